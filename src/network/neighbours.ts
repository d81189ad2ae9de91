import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { run } from '../host/run.ts';
import { neighbours as section } from './l2/objects/neighbours.ts';
import type { Request } from './l2/section.ts';
import { openSpace } from './netlink/space.ts';

/** Who the job's peers are on its wire. A cache, so a bounded part of it will do. */
const neighboursMax = 256;
/** Somebody set these: they belong to the network state. */
const setStates = ['PERMANENT', 'NOARP'];
/** Tunnels know each other by other addresses. */
const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

export const neighboursSchema = z
  .array(
    z.strictObject({
      address: z.union([z.ipv4(), z.ipv6()]),
      /** l2: on which of the job's devices. */
      device: z
        .string()
        .regex(/^[^\s/]{1,15}$/)
        .optional(),
      mac: z.string().regex(macPattern),
    }),
  )
  .max(neighboursMax);
export type Neighbours = z.infer<typeof neighboursSchema>;

/**
 * The neighbours that a job's devices have learned: all of its namespace, or one of the host's.
 */
export async function readNeighbours({
  device,
  netns,
}: {
  readonly device: string;
  readonly netns?: string | undefined;
}): Promise<Neighbours> {
  const which = netns === undefined ? ['dev', device] : [];
  const [program, ...args] = inside(netns, ['ip', '-j', 'neigh', 'show', ...which]);
  const { stdout } = await run(program ?? '', args);
  const entries = JSON.parse(stdout || '[]') as {
    dst: string;
    dev?: string;
    lladdr?: string;
    state?: string[];
    extern_learn?: null;
    managed?: null;
  }[];
  return entries
    .filter((one) => !('extern_learn' in one || 'managed' in one))
    .filter(({ state }) => state?.some((word) => setStates.includes(word)) !== true)
    .filter(({ lladdr = '' }) => macPattern.test(lladdr))
    .slice(0, neighboursMax)
    .map(({ dst, dev, lladdr = '' }) => ({
      address: dst,
      mac: lladdr,
      ...(netns === undefined || dev === undefined ? {} : { device: dev }),
    }));
}

/** NLM_F_REPLACE and NLM_F_EXCL of include/uapi/linux/netlink.h. */
const flags = { replace: 0x100, exclusive: 0x200 } as const;

/**
 * Tells a device who they are, as something to be verified (`stale`). The first packet of a job
 * that moved would otherwise wait for an ARP answer, and for a whole second if the question went
 * out before the job was on the wire (neigh_timer_handler, retrans_time). A host knows better if it
 * knows anything; in a namespace that is on no wire yet, a tunnel may have asked in vain already.
 * Harmless when repeated, as it has to be where a stale one was used before the job was on the
 * wire.
 */
export function addNeighbours(neighbours: Neighbours, device: string, netns?: string): void {
  if (neighbours.length === 0) return;
  const space = openSpace(netns ?? '/proc/self/ns/net');
  try {
    const requests = neighbours.flatMap(({ address, mac, device: own = device }) => {
      const family = isIPv4(address) ? (4 as const) : (6 as const);
      return section.add({ link: own, family, address, mac, state: 'dynamic' }, space.names);
    });
    const mild = ({ flags: asked, ...request }: Request) => ({
      ...request,
      flags: ((asked ?? 0) & ~flags.replace) | flags.exclusive,
    });
    space.socket('route').send(netns === undefined ? requests.map(mild) : requests);
  } finally {
    space.close();
  }
}

function inside(netns: string | undefined, argv: readonly string[]): readonly string[] {
  return netns === undefined ? argv : ['nsenter', `--net=${netns}`, ...argv];
}

import { z } from 'zod';
import { run } from '../host/run.ts';

/** Who the job's peers are on its wire. A cache, so a bounded part of it will do. */
const neighboursMax = 256;

export const neighboursSchema = z
  .array(
    z.strictObject({
      address: z.union([z.ipv4(), z.ipv6()]),
      mac: z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/),
    }),
  )
  .max(neighboursMax);
export type Neighbours = z.infer<typeof neighboursSchema>;

/** The neighbours that a device has learned; permanent ones belong to the network state. */
export async function readNeighbours(device: string, netns?: string): Promise<Neighbours> {
  const [program, ...args] = inside(netns, ['ip', '-j', 'neigh', 'show', 'dev', device]);
  const { stdout } = await run(program ?? '', args);
  const entries = JSON.parse(stdout || '[]') as {
    dst: string;
    lladdr?: string;
    state?: string[];
  }[];
  return entries
    .filter(({ lladdr, state }) => lladdr !== undefined && state?.includes('PERMANENT') !== true)
    .slice(0, neighboursMax)
    .map(({ dst, lladdr }) => ({ address: dst, mac: lladdr ?? '' }));
}

/**
 * Tells a device who they are, as something to be verified (`stale`), unless it knows better. The
 * first packet of a job that moved would otherwise wait for an ARP answer, and for a whole second
 * if the question went out before the job was on the wire (neigh_timer_handler, retrans_time).
 */
export async function addNeighbours(
  neighbours: Neighbours,
  device: string,
  netns?: string,
): Promise<void> {
  if (neighbours.length === 0) return;
  const lines = neighbours.map(
    ({ address, mac }) => `neigh add ${address} lladdr ${mac} dev ${device} nud stale`,
  );
  const [program, ...args] = inside(netns, ['ip', '-force', '-batch', '-']);
  await run(program ?? '', args, { input: `${lines.join('\n')}\n`, okCodes: [0, 1, 2, 255] });
}

function inside(netns: string | undefined, argv: readonly string[]): readonly string[] {
  return netns === undefined ? argv : ['nsenter', `--net=${netns}`, ...argv];
}

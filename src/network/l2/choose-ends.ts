import { z } from 'zod';
import { asMigrateError, MigrateError } from '../../base/errors.ts';
import { readIfPresent } from '../../host/files.ts';
import { linkNameSchema, macSchema, uint16Schema, uint32Schema } from '../netlink/codec.ts';
import { openSpace } from '../netlink/space.ts';
import type { NetworkProblem } from './capture.ts';
import { compact } from './compact.ts';
import type { Link } from './objects/link.ts';
import { readLinks } from './objects/link-read.ts';
import { filtersVlans, type OutsideEnd } from './outside.ts';

/**
 * Where devices that hang on one host's devices hang on this one: this host's own file, by the
 * names that other hosts use. `mtu` and `vlan` say that a difference is meant.
 */
const mapPath = '/etc/migrate/map.json';

const mapSchema = z.record(
  linkNameSchema,
  z.strictObject({
    /** The device of this host; the same name unless said. */
    device: linkNameSchema.optional(),
    /** The VLAN of this host's bridge that the job's untagged frames belong to; 0 for none. */
    vlan: uint16Schema.max(4_094).optional(),
    /** Bytes, of this host's device. */
    mtu: uint32Schema.optional(),
  }),
);
type HostMap = z.infer<typeof mapSchema>;

export interface ChosenEnds {
  /** As they will be here. */
  readonly ends: readonly OutsideEnd[];
  readonly problems: readonly NetworkProblem[];
  /** Differences that the map says are meant. */
  readonly warnings: readonly string[];
  /** MACs of this host's devices that devices will be on top of, by the names of those. */
  readonly macs: Readonly<Record<string, string>>;
}

/**
 * Chooses this host's devices for outside ends. A device that is missing or of another kind, and an
 * MTU or VLAN that differs without the map saying so, is a problem. Touches nothing.
 * Throws USAGE for a map that cannot be read.
 */
export async function chooseEnds(wanted: readonly OutsideEnd[]): Promise<ChosenEnds> {
  if (wanted.length === 0) return { ends: [], problems: [], warnings: [], macs: {} };
  const map = await readMap();
  const host = openSpace('/proc/self/ns/net');
  try {
    const reading = { names: host.names, unknown: new Set<string>() };
    const devices = new Map(readLinks(host, reading).map(({ link }) => [link.name, link]));
    const chosen = wanted.map((end) => chooseEnd(end, map[end.device] ?? {}, devices));
    return {
      ends: chosen.map(({ end }) => end),
      problems: chosen.flatMap(({ problems }) => problems),
      warnings: chosen.flatMap(({ warnings }) => warnings),
      macs: macsOf(
        chosen.map(({ end }) => end),
        devices,
      ),
    };
  } finally {
    host.close();
  }
}

function macsOf(ends: readonly OutsideEnd[], devices: ReadonlyMap<string, Link>) {
  const known = ends
    .filter(({ on }) => on === 'parent')
    .map(({ link, device }) => [link, devices.get(device)?.mac ?? ''] as const);
  return Object.fromEntries(known.filter(([, mac]) => macSchema.safeParse(mac).success));
}

type Device = Pick<Link, 'kind' | 'mtu' | 'data'>;

interface Choice {
  readonly end: OutsideEnd;
  readonly problems: NetworkProblem[];
  readonly warnings: string[];
}

/** One end, by what the map says of its device. Pure. */
export function chooseEnd(
  wanted: OutsideEnd,
  said: HostMap[string],
  devices: ReadonlyMap<string, Device>,
): Choice {
  const name = said.device ?? wanted.device;
  const device = devices.get(name);
  const refusal = (message: string): Choice => {
    const hint = `say in ${mapPath} of that host which device is meant: {"${wanted.device}": {"device": "..."}}`;
    return { end: wanted, problems: [{ message, hint }], warnings: [] };
  };
  if (device === undefined) {
    return refusal(`${wanted.link} hangs on ${wanted.device}, and there is no ${name} there`);
  }
  if (wanted.on === 'bridge' && device.kind !== 'bridge') {
    return refusal(`${wanted.link} hangs on a bridge, and ${name} is none there`);
  }
  const vlans = wanted.on === 'bridge' ? chooseVlans(wanted, said, device) : undefined;
  const differences = [mtuDifference(wanted, said, name, device), vlans?.difference];
  const found = differences.filter((one) => one !== undefined);
  return {
    end: compact({ ...wanted, device: name, mtu: device.mtu, vlans: vlans?.vlans }),
    problems: found.filter(({ isMeant }) => !isMeant),
    warnings: found.filter(({ isMeant }) => isMeant).map(({ message }) => message),
  };
}

interface Difference extends NetworkProblem {
  readonly isMeant: boolean;
}

function mtuDifference(
  wanted: OutsideEnd,
  said: HostMap[string],
  name: string,
  device: Device,
): Difference | undefined {
  if (device.mtu === wanted.mtu) return undefined;
  return {
    message: `${name} has an MTU of ${device.mtu} there, ${wanted.device} of ${wanted.mtu} here`,
    hint: meant(wanted.device, `"mtu": ${device.mtu}`),
    isMeant: said.mtu === device.mtu,
  };
}

/** The VLANs of the port here; none where this host's bridge keeps none apart. */
function chooseVlans(
  wanted: OutsideEnd,
  said: HostMap[string],
  device: Device,
): { readonly vlans?: OutsideEnd['vlans']; readonly difference?: Difference } {
  const isMeant = said.vlan !== undefined;
  const access = (id: number) => [
    { first: id, last: id, pvid: true as const, untagged: true as const },
  ];
  if (!filtersVlans(device)) {
    if (wanted.vlans === undefined) return {};
    const message = `${wanted.device} keeps VLANs apart here, and no bridge there does it for ${wanted.link}`;
    return { difference: { message, hint: meant(wanted.device, '"vlan": 0'), isMeant } };
  }
  if (said.vlan !== undefined && said.vlan > 0) return { vlans: access(said.vlan) };
  if (wanted.vlans !== undefined) return { vlans: wanted.vlans };
  const message = `${wanted.link} is in no VLAN here, and its bridge there keeps VLANs apart`;
  return { difference: { message, hint: meant(wanted.device, '"vlan": ID'), isMeant: false } };
}

function meant(device: string, what: string): string {
  return `give both the same, or say in ${mapPath} of that host that it is meant: {"${device}": {${what}}}`;
}

const hint = 'docs/network-state.md says what stands in it';

async function readMap(): Promise<HostMap> {
  try {
    const text = await readIfPresent(mapPath);
    if (text === undefined) return {};
    const parsed = mapSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new MigrateError('USAGE', `${mapPath}: ${issue?.path.join('.')}: ${issue?.message}`, {
      hint,
    });
  } catch (error) {
    if (error instanceof MigrateError) throw error;
    const why = error instanceof SyntaxError ? 'it is not JSON' : asMigrateError(error).message;
    throw new MigrateError('USAGE', `${mapPath}: ${why}`, { cause: error, hint });
  }
}

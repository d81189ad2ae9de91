import type { MapDefinition, ProgramDefinition } from './bpf.ts';

/** Where a program is attached. */
export type AttachPoint = 'jobs' | 'root' | 'netns';

export interface AttachedProgram extends ProgramDefinition {
  readonly at: AttachPoint;
}

/**
 * Every program of bindfilter.bpf.c, with the numbers that include/uapi/linux/bpf.h gives its type
 * and its attach type. The link is pinned under the program's name.
 */
export const programs: readonly AttachedProgram[] = [
  ...addressPrograms('jobs', 'job', { bind: [8, 9], connect: [10, 11], send: [14, 15] }),
  ...addressPrograms('jobs', 'job', { receive: [19, 20], peer: [29, 30], name: [31, 32] }),
  { name: 'job_socket', type: 9, attachType: 2, at: 'jobs' },
  { name: 'job_listen', type: 13, attachType: 3, at: 'jobs' },
  ...addressPrograms('root', 'guard', { bind: [8, 9], connect: [10, 11], send: [14, 15] }),
  { name: 'steer', type: 30, attachType: 36, at: 'netns' },
];

/**
 * Attached to each device that carries addresses of jobs, and to `lo`, by which other jobs and the
 * host come (BPF_PROG_TYPE_SCHED_CLS at BPF_TCX_INGRESS, Linux 6.6). The program itself is pinned
 * under its name, each link under that and the number of its device.
 */
export const deviceProgram: ProgramDefinition = { name: 'learn', type: 3, attachType: 0 };
export const deviceAttachType = 46;

const hash = 1;
const array = 2;
const socketHash = 18;
const socketStorage = 24;
const allocateLater = 1;

export const jobsMax = 16_384;
export const ownAddressesMax = 8;
/** Each job has up to 16 addresses of its own and two private ones; few have that many. */
const addressesMax = 65_536;
const listenersMax = 65_536;

/** The maps, by the names that bindfilter.bpf.c gives them; sizes as in layout.ts. */
export const maps = {
  jobs: map(
    'jobs',
    hash,
    8,
    8 + 2 * 16 + 2 * ownAddressesMax * 16 + 4 * ownAddressesMax,
    jobsMax,
    allocateLater,
  ),
  addresses: map('addresses', hash, 16, 16, addressesMax, allocateLater),
  settings: map('settings', array, 4, 24, 1, 0),
  listeners: map('listeners', socketHash, 20, 8, listenersMax, 0),
  sockets: {
    ...map('sockets', socketStorage, 4, 8, 0, allocateLater),
    typeIds: { key: 1, value: 2 },
  },
} as const satisfies Record<string, MapDefinition>;

function map(
  name: string,
  type: number,
  keyBytes: number,
  valueBytes: number,
  entriesMax: number,
  flags: number,
): MapDefinition {
  return { name, type, keyBytes, valueBytes, entriesMax, flags };
}

/** Each hook on addresses exists twice: for IPv4 and for IPv6. */
function addressPrograms(
  at: AttachPoint,
  prefix: string,
  hooks: Readonly<Record<string, readonly [number, number]>>,
): AttachedProgram[] {
  const type = 18;
  return Object.entries(hooks).flatMap(([hook, [four, six]]) => [
    { name: `${prefix}_${hook}4`, type, attachType: four, at },
    { name: `${prefix}_${hook}6`, type, attachType: six, at },
  ]);
}

/**
 * The two type descriptions that socket storage asks for: 1 is a 4-byte and 2 an 8-byte unsigned
 * integer. Format: Documentation/bpf/btf.rst
 */
export function typeDescriptions(): Buffer {
  const headerBytes = 24;
  const strings = Buffer.from('\0u32\0u64\0', 'latin1');
  const types = Buffer.concat([integerType(1, 4), integerType(5, 8)]);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  header.writeUInt32LE(headerBytes, 4);
  header.writeUInt32LE(types.length, 12);
  header.writeUInt32LE(types.length, 16);
  header.writeUInt32LE(strings.length, 20);
  return Buffer.concat([header, types, strings]);
}

function integerType(nameOffset: number, bytes: number): Buffer {
  const kindInteger = 1;
  const type = Buffer.alloc(16);
  type.writeUInt32LE(nameOffset, 0);
  type.writeUInt32LE(kindInteger << 24, 4);
  type.writeUInt32LE(bytes, 8);
  type.writeUInt32LE(bytes * 8, 12);
  return type;
}

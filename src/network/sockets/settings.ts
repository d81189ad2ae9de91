import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';

/** What a document about sockets may hold at most; each list is bounded for its reader. */
export const settingsLimits = {
  /** Sockets with equal settings are one entry, so that even a busy server has few. */
  entriesMax: 4_096,
  processesMax: 32_768,
  /** fs.nr_open's default is 1,048,576; a job with as many sockets is moved without settings. */
  descriptorsMax: 262_144,
  optionsMax: 64,
  groupsMax: 256,
  /** The kernel's default, net.ipv4.igmp_max_msf, is 10. */
  sourcesMax: 64,
  textCharsMax: 128,
} as const;

/**
 * Stands for the device of an l3 job, which may have another name on the target. No device is
 * called so: the kernel forbids colons (net/core/dev.c, dev_valid_name()).
 */
export const jobDevice = ':job';

const kernelInt = z.int().min(-0x8000_0000).max(0x7fff_ffff);
const name = z.string().regex(/^[a-z0-9-]{1,40}$/);
const text = z
  .string()
  .max(settingsLimits.textCharsMax)
  .regex(/^[\x21-\x7e]*$/);
const device = z.string().regex(/^[^\s/\0]{1,15}$/);
/** IPv6 addresses in groups of hex digits alone, as they are written here. */
const address = z.union([z.ipv4(), z.ipv6().regex(/^[0-9a-f:]*$/)]);
const descriptor = z.int().min(0).max(0x7fff_ffff);

/** A membership in a multicast group: from everybody but `sources`, or from them alone. */
const group = z
  .strictObject({
    group: address,
    device,
    mode: z.enum(['exclude', 'include']),
    sources: z.array(address).max(settingsLimits.sourcesMax),
  })
  .refine(
    ({ group: own, sources }) =>
      sources.every((source) => (isIPv4(own) ? isIPv4(source) : isIPv6(source))),
    'a source of the other family',
  );

const entry = z.strictObject({
  family: z.int().min(1).max(255),
  type: z.int().min(1).max(15),
  protocol: z.int().min(0).max(0xffff),
  /** Names of src/network/sockets/options.ts; one that the reader does not know is told as lost. */
  options: z
    .array(z.strictObject({ name, value: z.union([kernelInt, text]) }))
    .max(settingsLimits.optionsMax),
  groups: z.array(group).max(settingsLimits.groupsMax),
  /** Whose sockets these are: pids of the job's own PID namespace, and one descriptor of each. */
  at: z
    .array(
      z.strictObject({
        pid: z.int().min(1).max(0x7fff_ffff),
        fds: z.array(descriptor).min(1).max(settingsLimits.descriptorsMax),
      }),
    )
    .min(1)
    .max(settingsLimits.processesMax),
});

/** What the sockets of a job have beyond what CRIU's images keep. */
const socketSettingsSchema = z.array(entry).max(settingsLimits.entriesMax);
export type SocketSettings = z.infer<typeof entry>;
export type GroupMembership = z.infer<typeof group>;
export type OptionValue = SocketSettings['options'][number];

/** Throws BUNDLE_UNSAFE that names the first bad path. */
export function parseSocketSettings(value: unknown): SocketSettings[] {
  const parsed = socketSettingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = `${issue?.path.join('.')}: ${issue?.message}`;
  throw new MigrateError('BUNDLE_UNSAFE', `the settings of sockets are wrong: ${where}`);
}

/** The settings of one socket, before those of equal ones are told together. */
export type OneSocketsSettings = Omit<SocketSettings, 'at'> & {
  readonly pid: number;
  readonly fd: number;
};

/** Puts sockets with equal settings together; what is above the limits is counted in `left`. */
export function groupSettings(sockets: readonly OneSocketsSettings[]): {
  readonly settings: SocketSettings[];
  readonly left: number;
} {
  const entries = new Map<string, { entry: SocketSettings; fds: Map<number, number[]> }>();
  let left = 0;
  let descriptors = 0;
  for (const { pid, fd, ...own } of sockets) {
    const key = JSON.stringify(own);
    const known = entries.get(key);
    if ((known === undefined && entries.size >= settingsLimits.entriesMax) || isFull()) {
      left += 1;
      continue;
    }
    const held = known ?? { entry: { ...own, at: [] }, fds: new Map<number, number[]>() };
    entries.set(key, held);
    const fds = held.fds.get(pid) ?? [];
    held.fds.set(pid, fds);
    fds.push(fd);
    descriptors += 1;
  }
  return {
    settings: [...entries.values()].map(({ entry: one, fds }) => ({
      ...one,
      at: [...fds].map(([pid, list]) => ({ pid, fds: list })),
    })),
    left,
  };

  function isFull(): boolean {
    return descriptors >= settingsLimits.descriptorsMax;
  }
}

import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { bundleIdSchema, instantSchema } from './frames.ts';
import { describeIssues } from './issues.ts';
import { absolutePath, cgroupName, count, externalKey, hostName, jobName, line } from './names.ts';

/** Lists of the manifest end here; `headerBytesMax` bounds what they add up to. */
const manifestLimits = {
  addressesMax: 64,
  argumentsMax: 131_072,
  /** Linux takes no single argument above 128 KiB. */
  argumentCharsMax: 131_072,
  processesMax: 32_768,
  externalsMax: 1_024,
  filesMax: 4_096,
  socketSettingsMax: 4_096,
} as const;

/** Options of `criu dump` that `criu restore` has to repeat. Never free text. */
const criuOptions = [
  'ext-unix-sk',
  'file-locks',
  'lazy-pages',
  'link-remap',
  'shell-job',
  'skip-in-flight',
  'tcp-close',
  'tcp-established',
] as const;

const address = z.union([z.cidrv4(), z.cidrv6()]);
/** A process, user or group id. */
export const kernelId = z.int().min(0).max(0xffff_ffff);
const argument = z.string().max(manifestLimits.argumentCharsMax).refine(hasNoNul, 'holds a NUL');

/** What every kind of job has. */
export const jobCommon = {
  name: jobName,
  /** Addresses with prefix length. */
  ip: z.array(address).max(manifestLimits.addressesMax),
  user: line(64).optional(),
  command: z.array(argument).min(1).max(manifestLimits.argumentsMax),
  cwd: absolutePath.optional(),
  rootfs: absolutePath.optional(),
  createdAt: instantSchema,
  hostname: hostName,
  cgroupName,
  /** Process id of the first task, in the job's own process namespace. */
  initPid: z.int().min(1).max(0x7fff_ffff),
  memoryBytes: count,
};

const l3Job = z.strictObject({
  ...jobCommon,
  kind: z.literal('l3'),
  dev: line(15).optional(),
  /** The job's own stand-ins for 127.0.0.1 and ::1. */
  loopback: z.strictObject({ v4: z.ipv4(), v6: z.ipv6() }).optional(),
});
/** What a job with a network namespace of its own has besides. */
export const l2Fields = {
  kind: z.literal('l2'),
  bridge: line(15).optional(),
  gateway: z.union([z.ipv4(), z.ipv6()]).optional(),
};
const l2Job = z.strictObject({ ...jobCommon, ...l2Fields });

const process = z.strictObject({
  pid: z.int().min(1).max(0x7fff_ffff),
  name: z.string().max(64),
  uid: kernelId,
  /** 16 hex digits, as CapEff in /proc/PID/status. */
  capsEffective: z.string().regex(/^[0-9a-f]{16}$/),
});

/** `value` is what the source had. What a restore uses instead, the target decides. */
const external = z.strictObject({
  key: externalKey,
  kind: z.enum(['dev', 'file', 'mount', 'net', 'pid', 'tty', 'unix']),
  value: line(4_096),
});

/** Set-id bits are refused: no file of a job may become a way to root on the target. */
const file = z.strictObject({
  id: z
    .int()
    .min(0)
    .max(manifestLimits.filesMax - 1),
  path: absolutePath.refine((path) => path !== '/', 'not a file'),
  mode: z.int().min(0).max(0o777),
  uid: kernelId,
  gid: kernelId,
  size: count,
});

/** The manifest of version 1: what is in the bundle, where it comes from, what it needs. */
export const manifestSchemaV1 = z.strictObject({
  format: z.strictObject({ version: z.literal(1) }),
  /** Id of the migration; `id` and `createdAt` equal those of the begin frame. */
  id: bundleIdSchema,
  /** Grows with each move of the job, so that an old bundle is not taken for a new one. */
  epoch: count,
  createdAt: instantSchema,
  source: z.strictObject({
    host: hostName,
    kernel: line(128),
    arch: line(32),
    criuVersion: line(64),
    nodeVersion: line(64),
    migrateVersion: line(64),
  }),
  job: z.discriminatedUnion('kind', [l3Job, l2Job]),
  processes: z.array(process).min(1).max(manifestLimits.processesMax),
  sockets: z.strictObject({ listening: count, established: count, udp: count, closed: count }),
  /**
   * What the job's sockets have beyond CRIU's images; absent when there is nothing. The bundle does
   * not look into it, as it does not look into the network state: whoever restores it checks it.
   */
  socketSettings: z.array(z.unknown()).max(manifestLimits.socketSettingsMax).optional(),
  externals: z
    .array(external)
    .max(manifestLimits.externalsMax)
    .refine((list) => isUnique(list.map(({ key }) => key)), 'a key comes twice'),
  files: z
    .array(file)
    .max(manifestLimits.filesMax)
    .refine((list) => isUnique(list.map(({ id }) => id)), 'an id comes twice')
    .refine((list) => isUnique(list.map(({ path }) => path)), 'a path comes twice'),
  checkpoint: z.strictObject({
    criuOptions: z
      .array(z.enum(criuOptions))
      .max(criuOptions.length)
      .refine((list) => isUnique(list), 'an option comes twice'),
  }),
});

export type ManifestV1 = z.infer<typeof manifestSchemaV1>;

/** Throws BUNDLE_UNSAFE that names every bad path. */
export function assertManifestV1(value: unknown): ManifestV1 {
  const result = manifestSchemaV1.safeParse(value);
  if (result.success) return result.data;
  throw new MigrateError('BUNDLE_UNSAFE', `the manifest is wrong: ${describeIssues(result.error)}`);
}

function isUnique(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

function hasNoNul(text: string): boolean {
  return !text.includes('\0');
}

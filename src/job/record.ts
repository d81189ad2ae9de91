import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';

const text = z.string().max(4096);

/** `ADDR/LEN`, IPv4 or IPv6. */
const interfaceAddress = z.union([z.cidrv4(), z.cidrv6()]);
const deviceName = z.string().regex(/^[A-Za-z0-9_.:@-]{1,15}$/);

/**
 * A job's name also names files and cgroups, so it is kept to what all of them allow: what a
 * cgroup has by itself begins with `cgroup.`.
 */
const jobName = z
  .string()
  .regex(
    /^(?!cgroup[.])[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/,
    'a name has up to 63 letters, digits, _ . - and begins with none of _ . - nor with cgroup.',
  );

/** A namespace that `ip netns add` made, with all that runs in it, is named after that. */
const netnsJobName = z.string().regex(/^netns:[A-Za-z0-9][A-Za-z0-9_.-]{0,56}$/);
const addresses = z.array(interfaceAddress).max(64);

/** Whether a job is a named network namespace and not one that `migrate run` started. */
export function isNetnsJob(name: string): boolean {
  return netnsJobName.safeParse(name).success;
}

/** What both sides of a move know of a job, whoever started it. */
export function identityFields() {
  return {
    name: z.union([jobName, netnsJobName]),
    ip: addresses,
    /** l3: the addresses that stand for 127.0.0.1 and ::1. */
    loopback: z.strictObject({ v4: z.ipv4(), v6: z.ipv6() }).optional(),
  };
}

const pid = z.number().int().positive();
const ticks = z.number().int().nonnegative();

/** As many as the filter of l3 jobs keeps: src/network/l3/layout.ts. */
const familyAddressesMax = 8;

function isFewOfEach(all: readonly string[]): boolean {
  const ofSix = all.filter((one) => one.includes(':')).length;
  return Math.max(ofSix, all.length - ofSix) <= familyAddressesMax;
}

/** What a person asks for with `migrate run`. */
export const jobSpecSchema = z.strictObject({
  name: jobName,
  kind: z.enum(['l3', 'l2']),
  ip: z
    .array(interfaceAddress)
    .min(1)
    .max(2 * familyAddressesMax)
    .refine(isFewOfEach, `more than ${familyAddressesMax} addresses of a family`)
    .refine((all) => !all.some((one) => /^(0\.0\.0\.0|[0:]+)\//.test(one)), 'no wildcard address')
    .refine((all) => new Set(all).size === all.length, 'the same address twice'),
  dev: deviceName.optional(),
  bridge: deviceName.optional(),
  gateway: z.union([z.ipv4(), z.ipv6()]).optional(),
  rootfs: text.regex(/^\//).optional(),
  user: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$/)
    .optional(),
  /** l3: what its processes may do beyond the promise of an address. */
  allow: z
    .array(z.enum(['raw']))
    .min(1)
    .max(1)
    .optional(),
  command: z.array(text).min(1).max(1024),
});

/** A job on this host: the spec and what its launch or restore made of it. */
export const jobRecordSchema = jobSpecSchema.extend({
  ...identityFields(),
  cwd: text,
  hostname: z.string().max(64),
  /** The first process of its PID namespace, as this host numbers it. */
  initPid: pid,
  /** Clock ticks since boot at which that process began; guards against a reused pid. */
  initStartTime: ticks,
  /** A namespace's: the first processes of all its trees. */
  trees: z.array(z.strictObject({ pid, startTime: ticks })).optional(),
  /** A namespace's while it moves: the cgroup that each process came from, and its tree. */
  homes: z.array(z.strictObject({ pid, tree: ticks, cgroup: text })).optional(),
  cgroup: text,
  createdAt: z.string(),
  logPath: text,
  /** Where its packets arrive: the host's device for l3, its own for l2. */
  device: deviceName,
  /** l2: the path of its network namespace, and the host's end of its veth. */
  netns: text.optional(),
  hostEnd: deviceName.optional(),
  /** The move that brought it here. */
  moveId: z.string().max(64).optional(),
  /** How often it has moved; a bundle with a lower epoch is a replay. */
  epoch: z.number().int().nonnegative(),
});

export type JobSpec = z.infer<typeof jobSpecSchema>;
export type StoredJob = z.infer<typeof jobRecordSchema>;
export type JobState = 'running' | 'moving' | 'frozen' | 'ended';
export type JobRecord = StoredJob & { readonly state: JobState };

/** A spec that passed every check, or USAGE with the first thing that is wrong. */
export function parseJobSpec(value: unknown): JobSpec {
  const parsed = jobSpecSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') || 'job';
    throw new MigrateError('USAGE', `${where}: ${issue?.message ?? 'is wrong'}`);
  }
  const spec = parsed.data;
  if (spec.kind === 'l2' && spec.bridge === undefined) {
    throw new MigrateError('USAGE', 'an l2 job needs --bridge, the bridge that it hangs on');
  }
  if (spec.kind === 'l2' && spec.allow !== undefined) {
    throw new MigrateError('USAGE', 'an l2 job has raw sockets already: its namespace is its own');
  }
  return spec;
}

import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { treesMax } from '../bundle/index.ts';
import { identityFields, jobSpecSchema } from '../job/record.ts';
import { type Encoding, encodings } from '../memory/codec.ts';
import { addressSettingsList } from '../network/l3/settings.ts';
import { neighboursSchema } from '../network/neighbours.ts';
import { macSchema } from '../network/netlink/codec.ts';

/** What the source asks of the target's agent, and in which order: the calls of one move. */
export const calls = {
  plan: 'plan',
  prepare: 'prepare',
  commit: 'commit',
  /** Answered when the job has all its memory, MEMORY_LOST if it never will. */
  whole: 'whole',
  finish: 'finish',
  abort: 'abort',
  /** Asked by `recover` alone: what became of a move. */
  inquire: 'inquire',
  /** Asked by `recover` alone: the source has heeded the answer and will not ask again. */
  forget: 'forget',
} as const;

/** The stream that carries the bundle; its end is answered when the job is restored and held. */
export const bundleStream = 'bundle';
/** A bundle of made-up images, read and thrown away, before the job is frozen. */
export const rehearsalStream = 'rehearsal';
/** Memory of a job that is restored lazily: records of src/memory/records.ts. */
export const memoryStream = 'memory';
/** Which of its pages are old over there; it says as well that the rest follows the job. */
export const staleStream = 'memory-stale';
/** The last of it; its end is answered when no page is missing. */
export const restStream = 'memory-rest';
export const memoryStreams = [memoryStream, staleStream, restStream] as const;
export type MemoryStreamName = (typeof memoryStreams)[number];
/** Bytes that are thrown away: how fast the link is. */
export const probeStream = 'probe';

/** `memory-rest.zstd`: which stream it is, and how its records are packed. */
export function memoryStreamOf(
  name: string,
): { readonly name: MemoryStreamName; readonly encoding: Encoding } | undefined {
  for (const known of memoryStreams) {
    const encoding = encodings.find((one) => name === `${known}.${one}`);
    if (encoding !== undefined) return { name: known, encoding };
  }
  return undefined;
}
/** The target tells that the last byte was verified; what follows is the restore. */
export const receivedNote = 'received';
/**
 * The target has written down that the job is its own and has opened its network: what the source
 * holds may follow. The answer to `commit` comes when the tasks run as well.
 */
export const liveNote = 'live';

/** The job waits for these pages on the target: they go first. */
export const wantedNote = 'wanted';

const id = z.string().regex(/^[0-9a-f]{32}$/);
/** A job as both sides name it. */
export const jobIdentity = jobSpecSchema.extend({
  ...identityFields(),
  /** l3: what its addresses have on the source besides themselves. */
  addresses: addressSettingsList.optional(),
});

/** The trees of a namespace, as the target must know them before their images come. */
const treesSchema = z
  .array(
    z.strictObject({
      group: z.number().int().nonnegative().max(treesMax),
      pids: z.array(z.number().int().positive()).max(32_768),
    }),
  )
  .min(1)
  .max(treesMax);

export const planRequest = z.strictObject({
  job: jobIdentity,
  memoryBytes: z.number().nonnegative(),
  arch: z.string().max(32),
  /** l2: the NetworkState, checked by its own schema. */
  network: z.unknown().optional(),
});
export type PlanRequest = z.infer<typeof planRequest>;

const hostText = z.string().max(256);
export const planAnswer = z.object({
  host: hostText,
  kernel: hostText,
  criuVersion: hostText,
  v4: z.ipv4().optional(),
  v6: z.ipv6().optional(),
  /** l2: MACs of the target's devices that devices of the job will be on top of, by its names. */
  macs: z.record(z.string().max(15), macSchema).optional(),
  /** Whether a job can run there before its memory has come. */
  lazy: z.boolean().default(false),
  /** Whether memory may come packed. */
  zstd: z.boolean().default(false),
  problems: z
    .array(z.object({ message: z.string().max(2_000), hint: z.string().max(2_000).optional() }))
    .max(100),
  /** Differences between the hosts that are meant. */
  warnings: z.array(hostText).max(100).default([]),
});
export type PlanAnswer = z.infer<typeof planAnswer>;

export const prepareRequest = z.strictObject({
  id,
  source: hostText,
  job: jobIdentity,
  /** l2: the NetworkState, checked by its own schema. */
  network: z.unknown().optional(),
  /** A namespace's process trees. */
  trees: treesSchema.optional(),
  neighbours: neighboursSchema,
  /** Memory comes beside the bundle, and is restored lazily. */
  lazy: z.boolean(),
});
export type PrepareRequest = z.infer<typeof prepareRequest>;

/** The unix socket of further links for memory. An agent that has none is of one link alone. */
export const prepareAnswer = z.object({ lanes: z.string().startsWith('/').max(107).optional() });

export const wantedPages = z.object({
  pid: z.int().positive(),
  runs: z.array(z.object({ start: z.number().nonnegative(), pages: z.int().positive() })).max(1),
});

export const moveRequest = z.strictObject({ id });

/** As many warnings as a person reads. */
export const warningsMax = 100;
export const commitAnswer = z.object({
  initPid: z.int().positive(),
  /** What the sockets of the job did not get back. */
  warnings: z.array(z.string().max(2_000)).max(warningsMax),
});
export type CommitAnswer = z.infer<typeof commitAnswer>;

export const inquiry = z.strictObject({ id, job: z.string().max(64) });
/**
 * `unsure`: a move was prepared and its agent has neither finished nor undone it. `lost`: it ran,
 * and was killed because its memory did not follow.
 */
export const inquiryAnswer = z.enum(['running', 'absent', 'unsure', 'lost']);
export type InquiryAnswer = z.infer<typeof inquiryAnswer>;

/** The value, or PROTOCOL with the first thing that is wrong. */
export function parseMessage<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new MigrateError('PROTOCOL', `${what}: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** What an earlier call has made, or PROTOCOL when that call has not come. */
export function inTurn<T>(made: T | undefined): T {
  if (made === undefined) throw new MigrateError('PROTOCOL', 'a call came before its turn');
  return made;
}

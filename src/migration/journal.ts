import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MigrateError } from '../base/errors.ts';
import { isoNow } from '../host/clock.ts';
import { readIfPresent } from '../host/files.ts';
import { paths } from '../job/paths.ts';
import { jobRecordSchema } from '../job/record.ts';
import { hostEndSchema } from '../network/l2/host-ends.ts';
import { jobIdentity } from './protocol.ts';

/** The states of a move, in order; a side writes one before it takes the step that it names. */
export const moveStates = [
  'prepared',
  'frozen',
  'committed',
  'running',
  'done',
  'rolling-back',
  'rolled-back',
  'halted',
  'lost',
] as const;
export type MoveState = (typeof moveStates)[number];

const entrySchema = z.strictObject({
  at: z.string(),
  state: z.enum(moveStates),
  side: z.enum(['source', 'target']),
  id: z.string(),
  job: z.string(),
  host: z.string(),
  /** A checkpoint's: the bundle file that it writes, and that is worth nothing before its end. */
  file: z.string().optional(),
  /** The target's: what has to be taken away if its agent dies. */
  identity: jobIdentity.optional(),
  /** The target's from the commit on: the job, should its agent die before that is registered. */
  record: jobRecordSchema.optional(),
  /** The target's from the commit on: the job runs before its memory is there. */
  follows: z.boolean().optional(),
  /** l2: what of it may not be on the wire yet. */
  ends: z.array(hostEndSchema).optional(),
});
export type JournalEntry = z.infer<typeof entrySchema>;

/** The record of one move on one side. */
export interface Journal {
  readonly id: string;
  /** Resolves when the line is on the disk. */
  write(state: MoveState, more?: Pick<JournalEntry, 'record' | 'ends' | 'follows'>): Promise<void>;
  close(): Promise<void>;
}

/** Opens the journal of a move; `host` is the other side. Mode 0600 in a directory of ours. */
export async function openJournal(about: {
  readonly id: string;
  readonly side: 'source' | 'target';
  readonly job: string;
  readonly host: string;
  readonly file?: string;
  readonly identity?: JournalEntry['identity'];
}): Promise<Journal> {
  await mkdir(paths.journal, { recursive: true, mode: 0o700 });
  const file = await open(journalPathOf(about.id, about.side), 'a', 0o600);
  return {
    id: about.id,
    async write(state, more = {}) {
      const entry: JournalEntry = { at: isoNow(), state, ...about, ...more };
      await file.appendFile(`${JSON.stringify(entry)}\n`);
      await file.datasync();
    },
    close: () => file.close(),
  };
}

/** The last entry of every journal on this host. */
export async function readJournals(): Promise<JournalEntry[]> {
  const names = await readdir(paths.journal).catch(() => []);
  const entries: JournalEntry[] = [];
  for (const name of names.sort()) {
    const text = await readIfPresent(join(paths.journal, name));
    const last = lastWholeLine(text ?? '');
    if (last !== undefined) entries.push(last);
  }
  return entries;
}

/**
 * The last entry of one journal; undefined when there is none. What was read before the job's lock
 * was taken may be over by now: whoever acts on an entry reads it again under the lock.
 */
export async function readJournal(
  id: string,
  side: JournalEntry['side'],
): Promise<JournalEntry | undefined> {
  return lastWholeLine((await readIfPresent(journalPathOf(id, side))) ?? '');
}

/** A move that ended leaves no journal behind: what it did is in the result. */
export async function removeJournal(id: string, side: 'source' | 'target'): Promise<void> {
  await rm(journalPathOf(id, side), { force: true });
}

function journalPathOf(id: string, side: string): string {
  return join(paths.journal, `${id}.${side}.jsonl`);
}

/** A power failure can leave half a line; the one before it was written before its step. */
function lastWholeLine(text: string): JournalEntry | undefined {
  for (const line of text.trim().split('\n').reverse()) {
    try {
      return entrySchema.parse(JSON.parse(line));
    } catch {
      // The torn last line counts for nothing.
    }
  }
  if (text.trim() === '') return undefined;
  throw new MigrateError('INTERNAL', 'a journal holds no whole line', { location: 'unknown' });
}

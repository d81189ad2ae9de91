import { read as readCallback } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { MigrateError } from '../base/errors.ts';
import { memoryLimits } from './limits.ts';
import type { PageRun } from './pages.ts';

const read = promisify(readCallback);
const { pageBytes, pieceBytes } = memoryLimits;

/** A part of the memory of one process: at most `pieceBytes`. */
export interface Piece extends PageRun {
  /** /proc/PID/mem, open (proc_pid_mem(5)): reading it stops nobody. */
  readonly memory: FileHandle;
  /** The process in its own PID namespace, which is what records name. */
  readonly pid: number;
  /** Somebody waits for it. */
  readonly isUrgent?: boolean;
}

/** What `readPieces` found of a piece; the content is used again when `use` has resolved. */
export type UsePages = (piece: Piece, address: number, content: Buffer) => Promise<void>;

/** Undefined when the process is gone. */
export async function openMemory(pid: number): Promise<FileHandle | undefined> {
  return open(`/proc/${pid}/mem`, 'r').catch(() => undefined);
}

/**
 * Reads pieces, each while the one before it is used. Pages that are not there any more are left
 * out, because a program may unmap or guard them at any time, or DUMP_FAILED if they must be there.
 */
export async function readPieces(
  pieces: Iterable<Piece> | AsyncIterable<Piece>,
  mustBeThere: boolean,
  use: UsePages,
): Promise<void> {
  const buffers = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)];
  let using: Promise<void> = Promise.resolve();
  let turn = 0;
  for await (const piece of pieces) {
    const parts = await readPiece(piece, buffers[turn] as Buffer);
    if (mustBeThere) assertWhole(piece, parts);
    await using;
    using = useAll(piece, parts, use);
    using.catch(() => undefined);
    turn = 1 - turn;
  }
  await using;
}

/** Runs of a process cut into pieces. */
export function* piecesOf(
  memory: FileHandle,
  pid: number,
  runs: Iterable<PageRun>,
): Iterable<Piece> {
  const most = pieceBytes / pageBytes;
  for (const { start, pages } of runs) {
    for (let at = 0; at < pages; at += most) {
      yield { memory, pid, start: start + at * pageBytes, pages: Math.min(most, pages - at) };
    }
  }
}

interface ReadPart {
  readonly address: number;
  readonly content: Buffer;
}

async function useAll(piece: Piece, parts: readonly ReadPart[], use: UsePages): Promise<void> {
  for (const { address, content } of parts) await use(piece, address, content);
}

function assertWhole({ pid, start, pages }: Piece, parts: readonly ReadPart[]): void {
  const bytes = parts.reduce((sum, { content }) => sum + content.length, 0);
  if (bytes === pages * pageBytes) return;
  const where = `0x${start.toString(16)} of process ${pid}`;
  throw new MigrateError('DUMP_FAILED', `memory at ${where} can't be read`);
}

async function readPiece({ memory, start, pages }: Piece, buffer: Buffer): Promise<ReadPart[]> {
  const parts: ReadPart[] = [];
  const bytes = pages * pageBytes;
  for (let at = 0; at < bytes; ) {
    const position = start + at;
    const got = await read(memory.fd, buffer, at, bytes - at, position).catch(() => undefined);
    const whole = (got?.bytesRead ?? 0) - ((got?.bytesRead ?? 0) % pageBytes);
    if (whole > 0) {
      parts.push({ address: position, content: buffer.subarray(at, at + whole) });
    }
    at += whole === 0 ? pageBytes : whole;
  }
  return parts;
}

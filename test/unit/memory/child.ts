import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

/** A process with some private pages at an address that it tells, and that it changes when told. */
export interface MemoryChild {
  readonly pid: number;
  readonly startTime: number;
  /** Where its pages are. */
  readonly start: number;
  /** Fills a page with a byte. */
  fill(page: number, byte: number): Promise<void>;
  /** Reads a page, which puts the kernel's zero page there if it was never written to. */
  look(page: number): Promise<void>;
  /** MADV_DONTNEED. */
  drop(page: number): Promise<void>;
  /** The bytes of a page are never there again. */
  guard(page: number): Promise<void>;
  kill(): Promise<void>;
}

const script = `
import ctypes, mmap, sys
pages = int(sys.argv[1])
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
start = libc.mmap(None, ctypes.c_size_t(pages * 4096), 3, 0x22, -1, ctypes.c_long(0))
libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(pages * 4096), 15)
print(start, flush=True)
for line in sys.stdin:
    word, page, byte = line.split()
    at = start + int(page) * 4096
    if word == 'fill':
        ctypes.memset(at, int(byte), 4096)
    elif word == 'look':
        ctypes.string_at(at, 1)
    elif word == 'drop':
        libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(4096), 4)
    elif word == 'guard':
        libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(4096))
    print('done', flush=True)
`;

export async function startMemoryChild(pages: number): Promise<MemoryChild> {
  const child = spawn('python3', ['-c', script, String(pages)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const next = await lines.next();
    if (next.done === true) throw new Error('the child has ended');
    return next.value;
  };
  const tell = async (word: string, page: number, byte = 0): Promise<void> => {
    child.stdin.write(`${word} ${page} ${byte}\n`);
    await line();
  };
  const start = Number(await line());
  const pid = child.pid ?? 0;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return {
    pid,
    startTime: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]),
    start,
    fill: (page, byte) => tell('fill', page, byte),
    look: (page) => tell('look', page),
    drop: (page) => tell('drop', page),
    guard: (page) => tell('guard', page),
    async kill() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { say } from '../errors.ts';
import { RUN_DIR } from '../paths.ts';

/** Sets what CRIU needs of the whole machine, and remembers what was there before. */
export async function raiseSysctls(): Promise<void> {
  const before = await remembered();
  for (const { name, value, why } of await wanted()) {
    const now = (await readFile(fileOf(name), 'utf8')).trim();
    if (now === value) continue;
    before[name] ??= now;
    await mkdir(RUN_DIR, { recursive: true });
    await writeFile(MEMORY, JSON.stringify(before));
    await writeFile(fileOf(name), value);
    say(`set ${name} to ${value} (was ${now}) until the last lab is down: ${why}`);
  }
}

/** Puts the machine's own values back; called when the last lab is down. */
export async function restoreSysctls(): Promise<void> {
  for (const [name, value] of Object.entries(await remembered())) {
    await writeFile(fileOf(name), value);
  }
  await rm(MEMORY, { force: true });
}

interface Wanted {
  readonly name: string;
  readonly value: string;
  readonly why: string;
}

const MEMORY = join(RUN_DIR, 'sysctls.json');
const PIPE_BYTES = 4 * 1024 * 1024;
const CAP_SYS_RESOURCE = 24n;

/** With CAP_SYS_RESOURCE none of these limits binds CRIU, and the machine is left as it is. */
async function wanted(): Promise<Wanted[]> {
  if (await hasCapability(CAP_SYS_RESOURCE)) return [];
  const list: Wanted[] = [];
  const pipe = Number(await readFile(fileOf('fs.pipe-max-size'), 'utf8'));
  if (pipe < PIPE_BYTES) {
    const why = 'without CAP_SYS_RESOURCE lazy-pages needs such pipes';
    list.push({ name: 'fs.pipe-max-size', value: String(PIPE_BYTES), why });
  }
  const hard = await hardOpenFiles();
  if (hard !== undefined && Number(await readFile(fileOf('fs.nr_open'), 'utf8')) > hard) {
    const why = 'criu restore raises its limit to it, and may not go over the hard limit';
    list.push({ name: 'fs.nr_open', value: String(hard), why });
  }
  return list;
}

async function hasCapability(bit: bigint): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
}

async function hardOpenFiles(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? undefined : Number(hard);
}

async function remembered(): Promise<Record<string, string>> {
  const text = await readFile(MEMORY, 'utf8').catch(() => '{}');
  return JSON.parse(text) as Record<string, string>;
}

function fileOf(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}

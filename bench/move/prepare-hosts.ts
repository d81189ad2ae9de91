import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from './lab.ts';

const bench = join(import.meta.dirname, '..');

/** Scripts and workloads under /shared/bench, and the job's program where every host has it. */
export async function prepareHosts(lab: Lab): Promise<void> {
  const place = join(lab.shared, 'bench');
  await mkdir(place, { recursive: true });
  await cp(join(bench, 'workloads'), place, { recursive: true });
  for (const name of await readdir(bench)) {
    if (name.endsWith('.sh')) await cp(join(bench, name), join(place, name));
  }
  const built = '/shared/bench/resident';
  await lab.exec('a', 'gcc', '-O2', '-static', '-o', built, `${built}.c`);
  for (const host of ['a', 'b']) {
    await lab.exec(host, 'install', built, '/usr/local/bin/resident');
  }
}

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import { device } from '../move/contender.ts';
import type { Lab } from '../move/lab.ts';
import type { LinkRate } from './plan.ts';

const bench = join(import.meta.dirname, '..');
const hosts = ['a', 'b'] as const;

/** Scripts under /shared/bench, and the job's program where every host has it. */
export async function prepareHosts(lab: Lab): Promise<void> {
  const place = join(lab.shared, 'bench');
  await mkdir(place, { recursive: true });
  for (const name of ['measured.sh', 'start-bare.sh']) {
    await cp(join(bench, name), join(place, name));
  }
  for (const name of ['sample.sh', 'by-hand.sh', 'writer.c', 'no-uring.c', 'heap.mjs']) {
    await cp(join(import.meta.dirname, name), join(place, name));
  }
  await bundle(join(place, 'record-rounds.cjs'), join(import.meta.dirname, 'record-rounds.ts'));
  const built = '/shared/bench/writer';
  await lab.exec('a', 'gcc', '-O2', '-static', '-o', built, `${built}.c`);
  const library = '/shared/bench/no-uring';
  await lab.exec('a', 'gcc', '-O2', '-shared', '-fPIC', '-o', `${library}.so`, `${library}.c`);
  for (const host of hosts) {
    await lab.exec(host, 'install', built, '/usr/local/bin/bench-writer');
    await lab.exec(host, 'install', `${library}.so`, noUring);
    await lab.exec(host, 'install', '-m', '644', '/shared/bench/heap.mjs', heapProgram);
  }
}

/** What a node must load to be without io_uring. */
export const noUring = '/usr/local/lib/bench-no-uring.so';
export const heapProgram = '/usr/local/lib/bench-heap.mjs';

/**
 * Both hosts' own cards, so that the way back is as slow. A bucket of more than one TSO frame, for
 * tbf cuts larger ones up in software; what waits for longer than a slow switch would keep it is
 * dropped.
 */
export async function shapeLink(lab: Lab, link: LinkRate): Promise<void> {
  const words =
    link === 'unlimited'
      ? 'tc qdisc del dev "$1" root 2>/dev/null || true'
      : 'tc qdisc replace dev "$1" root tbf rate "$2" burst 256kb latency 50ms';
  for (const host of hosts) await lab.exec(host, 'sh', '-c', words, 'shape', device, link);
}

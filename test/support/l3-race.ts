import { openFilter, unloadFilter } from '../../src/network/l3/filter.ts';

/** One of several processes of test/system/l3-filter-life.test.ts that use the filter at once. */
async function race(parent: string): Promise<void> {
  const rounds = 8;
  for (let round = 0; round < rounds; round += 1) {
    const filter = await openFilter(parent);
    const jobs = await filter.list();
    filter.close();
    if (jobs.length !== 1) throw new Error(`${jobs.length} jobs`);
    if (await unloadFilter(parent)) throw new Error('unloaded under a job');
  }
  process.stdout.write('done');
}

await race(process.argv[2] ?? '');

import { randomInt } from 'node:crypto';

const seedMax = 0x7fff_ffff;

/**
 * `SEED` of the environment, to see a run again; else `usual`, so that what fails in a run of every
 * day was broken by a change. The long run gives none: it gets another one each time.
 */
export function seedOfRun(usual?: number): number {
  const given = Number(process.env.SEED ?? Number.NaN);
  return Number.isInteger(given) ? given : (usual ?? randomInt(seedMax));
}

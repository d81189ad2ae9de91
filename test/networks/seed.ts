import { randomInt } from 'node:crypto';

const seedMax = 0x7fff_ffff;

/** `SEED` of the environment, to see a run again; else another one each time. */
export function seedOfRun(): number {
  const given = Number(process.env.SEED ?? Number.NaN);
  return Number.isInteger(given) ? given : randomInt(seedMax);
}

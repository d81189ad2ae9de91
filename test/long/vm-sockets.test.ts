import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type World } from '../lab/world.ts';

const PLACE = '--l3 --ip 10.77.0.172/24';

describe('sockets of kinds that only this kernel has', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`vs${process.pid}`, 'a', 'b', '--backend', 'vm');
  });

  afterAll(async () => {
    await world?.down();
  });

  for (const [kind, name] of [
    ['sctp', 'an SCTP socket'],
    ['alg', 'an AF_ALG socket'],
  ] as const) {
    test(`${kind}: ${name}`, async ({ skip }) => {
      const program = `python3 /shared/workloads/sockets.py ${kind}`;
      await world.ask('a', `migrate run job ${PLACE} -- ${program} && sleep 3`);
      const log = await world.ask('a', 'migrate logs job');
      const { code, err } = await world.sh('a', 'migrate job b --quiet');
      await world.sh('a', 'migrate stop job; migrate rm job; true');
      skip(log.includes('=-1'), `socket(2): this kernel has no ${kind}`);
      expect(code, err).toBe(10);
      expect(err.split('\n')[0]).toMatch(new RegExp(`[(]python3[)]: ${name}, which CRIU cannot`));
    });
  }
});

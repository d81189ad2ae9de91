import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, type World } from './world.ts';

const ADDRESS = '10.77.0.160';
const KNOWN = '/root/.ssh/known_hosts';
/** Takes long enough to arrive for somebody to end the agent while it does. */
const MEMORY_MIB = 128;

describe('a move that is refused or cut off', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`rf${process.pid}`, 'a', 'b');
    const program = `import os, time; kept = os.urandom(${MEMORY_MIB} << 20); time.sleep(9999)`;
    await world.ask('a', `migrate run job --l3 --ip ${ADDRESS}/24 -- python3 -c '${program}'`);
    await world.ask('a', `cp ${KNOWN} /root/known`);
  });

  afterAll(async () => {
    await world?.down();
  });

  /** Changes something, tries, changes it back; the job must run on the source after each. */
  async function refused(wanted: Refusal): Promise<void> {
    const { host = 'a', before = 'true', after = 'true', words = 'job b' } = wanted;
    await world.ask(host, before);
    const { code, err } = await world.sh('a', `migrate ${words} --quiet`).finally(async () => {
      await world.ask(host, after);
    });
    expect(code, err).toBe(wanted.exit);
    const [first = '', ...others] = err.trim().split('\n');
    expect(first).toMatch(wanted.says);
    expect(others.filter((line) => !/^(hint|logs|job): /.test(line))).toEqual([]);
    expect(await world.ask('a', 'migrate ls')).toMatch(/^job\s+l3\s+running/m);
  }

  test('no such job: 2', () =>
    refused({ words: 'other b', exit: 2, says: /^migrate: no job other/ }));

  test('no such host: 12', () =>
    refused({ words: 'job nowhere', exit: 12, says: /^migrate: .*nowhere does not resolve/ }));

  test('an unknown host key: 12', () =>
    refused({
      before: `sed -i /^b,/d ${KNOWN}`,
      after: `cp /root/known ${KNOWN}`,
      exit: 12,
      says: /^migrate: .*host key of b .*is not in/,
    }));

  test('a changed host key: 12', () =>
    refused({
      before: `ssh-keygen -q -t ed25519 -N '' -f /tmp/key && echo "b $(cut -d' ' -f1,2 /tmp/key.pub)" >${KNOWN}`,
      after: `cp /root/known ${KNOWN}; rm /tmp/key*`,
      exit: 12,
      says: /^migrate: .*host key of b .*is not the one in/,
    }));

  test('no criu on the target: 10', () =>
    refused({
      host: 'b',
      before: 'mv /usr/sbin/criu /root/criu',
      after: 'mv /root/criu /usr/sbin/criu',
      exit: 10,
      says: /^migrate: .*target.*criu is not installed/,
    }));

  // A program that only says its version stands for an old CRIU; the kernel is the real one.
  test('a criu on the target that is too old for its kernel: 10', () =>
    refused({
      host: 'b',
      before: `mv /usr/sbin/criu /root/criu
        printf '#!/bin/sh\\necho Version: 3.17.1\\n' >/usr/sbin/criu; chmod 755 /usr/sbin/criu`,
      after: 'mv -f /root/criu /usr/sbin/criu',
      exit: 10,
      says: /^migrate: .*target.*CRIU 3[.]17[.]1 on kernel .* does not start there/,
    }));

  test('an address that the target has already: 10', () =>
    refused({
      host: 'b',
      before: `ip addr add ${ADDRESS}/24 dev eth0`,
      after: `ip addr del ${ADDRESS}/24 dev eth0`,
      exit: 10,
      says: new RegExp(`^migrate: .*${ADDRESS} is already on eth0`),
    }));

  test('a job that is moving already: 11, and the first move is done', async () => {
    const first = world.start('a', 'migrate job b --json');
    expect(await first.line()).toContain('"begin"');
    const { code, err } = await world.sh('a', 'migrate job b --quiet');
    expect(code, err).toBe(11);
    expect(err.split('\n')[0]).toMatch(/^migrate: another migration holds job job/);
    expect(await first.end()).toMatchObject({ code: 0 });
    expect(await world.ask('b', 'migrate ls')).toMatch(/^job\s+l3\s+running/m);
    await world.move('job', 'b', 'a');
  });

  test('an agent that is killed while the job arrives: 15, and recover tidies up there', async () => {
    const receiving = 'ls /run/migrate/moves/*.in/images/pages-*.img >/dev/null 2>&1';
    const agent = 'pgrep -f "^([^ ]*/)?node .*/[.]cache/migrate/"';
    const killer = world.start(
      'b',
      `echo ready; until ${receiving}; do :; done; kill -9 $(${agent})`,
    );
    expect(await killer.line()).toBe('ready');
    await refused({ exit: 15, says: /^migrate: / });
    expect(await killer.end()).toMatchObject({ code: 0 });
    await world.ask('b', 'migrate recover');
    expect(await world.ask('b', 'ip -o addr show dev eth0')).not.toContain(ADDRESS);
    expect(await world.ask('b', 'nft list ruleset')).toBe('');
    await world.move('job', 'a', 'b');
  });
});

interface Refusal {
  readonly host?: string;
  readonly before?: string;
  readonly after?: string;
  readonly words?: string;
  readonly exit: number;
  readonly says: RegExp;
}

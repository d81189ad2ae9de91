import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labCommand, machineLinks, namespacesOf, tracesOf } from './machine.ts';

const NAME = `t${process.pid}`;
const BESIDE = `u${process.pid}`;
/** The machine's own init buries the dead, in its own time. */
const SOON = { timeout: 5_000 };
const FIRST_BUILD_MS = 600_000;

describe('a lab of namespaces', { timeout: 120_000 }, () => {
  const lab = labCommand(NAME);
  let links: string[] = [];

  beforeAll(async () => {
    links = await machineLinks();
    const up = await lab('up', 'a', 'b');
    expect(up.err, up.err).not.toContain('Error');
    expect(up.code, up.err).toBe(0);
  }, FIRST_BUILD_MS);

  afterAll(async () => {
    await lab('down');
  }, 60_000);

  test('says what there is', async () => {
    const { out } = await lab('ls', '--json');
    expect(JSON.parse(out)).toMatchObject({
      lab: NAME,
      backend: 'netns',
      hosts: [
        { name: 'a', address: '10.77.0.11', running: true },
        { name: 'b', address: '10.77.0.12', running: true },
      ],
    });
  });

  test('hosts reach each other by name, with known keys, over both families', async () => {
    expect((await lab('exec', 'a', '--', 'ssh', 'b', 'hostname')).out).toBe('b');
    expect((await lab('exec', 'b', '--', 'ssh', 'fd77::11', 'hostname')).out).toBe('a');
  });

  test('exec passes words, streams and the exit status through', async () => {
    const said = await lab(
      'exec',
      'a',
      '--',
      'sh',
      '-c',
      'echo "$1"; exit 7',
      'sh',
      'it\'s "$HOME"',
    );
    expect(said).toMatchObject({ code: 7, out: 'it\'s "$HOME"' });
    expect((await lab('exec', 'a', '--', 'sh', '-c', 'kill -9 $$')).code).toBe(137);
    expect((await lab('exec', 'a', '--', 'no-such-program')).code).toBe(127);
    expect((await lab('exec', 'a', '--', 'cat', '/proc/self/cgroup')).out).toContain('0::/init');
  });

  test('what is wrong is one line and a code', async () => {
    for (const words of [['up'], ['exec', 'zz', '--', 'true'], ['cut', 'a', 'a'], ['kill']]) {
      const { code, err } = await lab(...words);
      expect({ words, code }).toEqual({ words, code: 2 });
      expect(err.trim().split('\n').at(-1)).toMatch(/^lab: /);
    }
    expect((await labCommand('no/such')('ls')).code).toBe(2);
  });

  test('criu dumps and restores a server with an established connection', async () => {
    const shared = JSON.parse((await lab('ls', '--json')).out).shared as string;
    const script = await readFile(join(import.meta.dirname, 'echo-through-criu.sh'));
    await writeFile(join(shared, 'echo.sh'), script);
    const { code, out, err } = await lab('exec', 'a', '--', 'sh', '/shared/echo.sh');
    expect(code, err).toBe(0);
    expect(out).toMatch(/answers \d+\nrestored/);
  });

  test('/shared is one directory for hosts and machine', async () => {
    const shared = JSON.parse((await lab('ls', '--json')).out).shared as string;
    await lab('exec', 'a', '--', 'sh', '-c', 'echo from-a >/shared/note');
    expect((await lab('exec', 'b', '--', 'cat', '/shared/note')).out).toBe('from-a');
    expect(await readFile(join(shared, 'note'), 'utf8')).toBe('from-a\n');
  });

  test('cut is silence, heal ends it', async () => {
    const ping = ['exec', 'a', '--', 'ping', '-c1', '-W1', 'b'];
    expect((await lab('cut', 'a', 'b')).code).toBe(0);
    const silent = await lab(...ping);
    expect(silent.code).not.toBe(0);
    expect(silent.out).toContain('100% packet loss');
    expect((await lab('heal', 'a', 'b')).code).toBe(0);
    expect((await lab(...ping)).code).toBe(0);
    expect((await lab('heal', 'a', 'b')).code).toBe(0);
  });

  test('a killed host keeps its disk and nothing else, and its peers hear nothing', async () => {
    await lab('exec', 'b', '--', 'sh', '-c', 'echo kept >/root/mark; echo lost >/run/mark');
    expect((await lab('kill', 'b')).code).toBe(0);
    expect(JSON.parse((await lab('ls', '--json')).out).hosts[1].running).toBe(false);
    expect((await lab('exec', 'b', '--', 'true')).code).toBe(1);
    expect((await lab('up', 'b')).code).toBe(0);
    expect((await lab('exec', 'b', '--', 'cat', '/root/mark')).out).toBe('kept');
    expect((await lab('exec', 'b', '--', 'cat', '/run/mark')).code).toBe(1);
  });

  test('a host that comes later is known to the others', async () => {
    expect((await lab('up', 'a', 'late')).code).toBe(0);
    expect((await lab('exec', 'a', '--', 'ssh', 'late', 'hostname')).out).toBe('late');
    expect((await lab('down', 'late')).code).toBe(0);
    expect((await lab('exec', 'a', '--', 'ping', '-c1', '-W1', '10.77.0.13')).code).not.toBe(0);
  });

  test('labs live side by side with the same names and addresses', async () => {
    const beside = labCommand(BESIDE);
    try {
      expect((await beside('up', 'a', 'b')).code).toBe(0);
      await beside('exec', 'a', '--', 'sh', '-c', 'echo beside >/shared/which');
      expect((await beside('exec', 'b', '--', 'cat', '/shared/which')).out).toBe('beside');
      expect((await lab('exec', 'b', '--', 'cat', '/shared/which')).code).toBe(1);
      expect((await lab('exec', 'a', '--', 'ssh', 'b', 'hostname')).out).toBe('b');
    } finally {
      await beside('down');
    }
    await expect.poll(() => tracesOf(BESIDE, new Set()), SOON).toEqual([]);
  });

  test('down leaves nothing behind', async () => {
    await lab('up', 'a', 'b');
    const job =
      'mkdir /sys/fs/cgroup/job; unshare --net --fork --pid setsid sleep 1000 >/dev/null 2>&1 &';
    await lab('exec', 'a', '--', 'sh', '-c', `${job} sleep 0.2`);
    const namespaces = await namespacesOf(NAME);
    expect(namespaces.size).toBeGreaterThanOrEqual(3);
    expect((await tracesOf(NAME, namespaces)).length).toBeGreaterThan(0);
    expect((await lab('down')).code).toBe(0);
    await expect.poll(() => tracesOf(NAME, namespaces), SOON).toEqual([]);
    expect(await machineLinks()).toEqual(links);
    expect((await lab('ls')).code).toBe(2);
  });
});

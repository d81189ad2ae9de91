import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labCommand, tracesOf } from '../lab/machine.ts';

const NAME = `v${process.pid}`;
const SOON = { timeout: 5_000 };

describe('a lab of guests', () => {
  const lab = labCommand(NAME);
  const script = (host: string, text: string, ...words: string[]) =>
    lab('exec', host, '--', 'sh', '-c', text, 'sh', ...words);

  beforeAll(async () => {
    const up = await lab('up', 'a', 'b', '--backend', 'vm');
    expect(up.code, up.err).toBe(0);
  });

  afterAll(async () => {
    await lab('down');
  });

  test('exec passes words, streams and the exit status through', async () => {
    const said = await script('a', 'echo "$1"; echo aside >&2; exit 7', 'it\'s "$HOME"');
    expect(said).toMatchObject({ code: 7, out: 'it\'s "$HOME"' });
    expect(said.err).toContain('aside');
    const killed = await script('a', 'kill -9 $$');
    expect(killed.code).toBe(137);
    expect(killed.err).not.toContain('Killed');
  });

  test('guests reach each other by name, and share a directory with the machine', async () => {
    expect((await lab('exec', 'a', '--', 'ssh', 'b', 'hostname')).out).toBe('b');
    const shared = JSON.parse((await lab('ls', '--json')).out).shared as string;
    await writeFile(join(shared, 'note'), 'from the machine');
    const seen = await script('b', 'cat /shared/note; echo from-b >/shared/answer');
    expect(seen.out).toBe('from the machine');
    expect(await readFile(join(shared, 'answer'), 'utf8')).toBe('from-b\n');
  });

  test('the kernel has what this machine may lack', async () => {
    const devices = 'for kind in dummy ifb vlan; do modprobe "$kind" 2>/dev/null; done; ';
    const qdiscs = 'tc qdisc add dev eth1 root netem delay 1ms && tc qdisc del dev eth1 root';
    const plug = 'ip link add p0 type dummy && tc qdisc add dev p0 root plug && ip link del p0';
    const made = await script('a', `${devices} ${qdiscs} && ${plug}`);
    expect(made.code, made.err).toBe(0);
    const dumped = await script(
      'a',
      `cd "$(mktemp -d)" && mkdir 1 2
      setpriv --reuid alice --regid alice --clear-groups setsid sleep 100 </dev/null >/dev/null 2>&1 &
      sleep 0.5
      criu pre-dump -t $! -D 1 --track-mem &&
      criu dump -t $! -D 2 --prev-images-dir ../1 --track-mem && criu restore -d -D 2 && kill $!`,
    );
    expect(dumped.code, dumped.err).toBe(0);
  });

  test('cut is silence, heal ends it', async () => {
    const ping = ['exec', 'a', '--', 'ping', '-c1', '-W2', 'b'];
    expect((await lab('cut', 'a', 'b')).code).toBe(0);
    expect((await lab(...ping)).code).not.toBe(0);
    expect((await lab('heal', 'a', 'b')).code).toBe(0);
    expect((await lab(...ping)).code).toBe(0);
  });

  test('when the power fails, what was synced is kept', async () => {
    await script('b', 'echo synced >/root/synced; sync; echo lost >/run/lost');
    expect((await lab('kill', 'b')).code).toBe(0);
    expect(JSON.parse((await lab('ls', '--json')).out).hosts[1].running).toBe(false);
    expect((await lab('up', 'b')).code).toBe(0);
    expect((await lab('exec', 'b', '--', 'cat', '/root/synced')).out).toBe('synced');
    expect((await lab('exec', 'b', '--', 'cat', '/run/lost')).code).toBe(1);
  });

  test('down leaves nothing behind', async () => {
    expect((await tracesOf(NAME, new Set())).length).toBeGreaterThan(0);
    expect((await lab('down')).code).toBe(0);
    await expect.poll(() => tracesOf(NAME, new Set()), SOON).toEqual([]);
  });
});

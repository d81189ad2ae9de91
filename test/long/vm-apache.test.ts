import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endWrk, startWrk, watchResets } from '../lab/web-clients.ts';
import { makeWorld, type Running, tell, type WatchedMove, type World } from '../lab/world.ts';

const JOBS = ['one', 'two', 'three', 'four'].map((name, index) => ({
  name,
  v4: `10.77.0.${131 + index}`,
  v6: `fd77::${131 + index}`,
  where: name === 'four' ? { kind: 'l2', bridge: 'br0' } : { kind: 'l3' },
}));
type Job = (typeof JOBS)[number];

const DOWNLOAD_BYTES = 20 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

/** Two connections with a pause for thought; an emulated server that is busy waits long. */
const LOAD = { options: '-c2 --timeout 120 -s /shared/pace.lua', seconds: 3_600 } as const;
const PACE = 'function delay() return 250 end\n';

/**
 * Debian's KeepAliveTimeout. A server that stood still for as long finds its idle connections too
 * old when it runs again and closes them, requests under way or not: that is its own clock.
 */
const KEEP_ALIVE_MS = 5_000;
/** Emulated guests on a machine with other work stand still for that long; it is tried again. */
const ROUNDS_MAX = 3;

describe('Apache as Debian delivers it', () => {
  let world: World;
  let digest = '';
  const wrks = new Map<string, Running>();
  const startLoad = ({ name, v4 }: Job): void => {
    wrks.set(name, startWrk(world, 'c', `http://${v4}/`, LOAD));
  };

  beforeAll(async () => {
    world = await makeWorld(`va${process.pid}`, 'a', 'b', 'c', '--backend', 'vm');
    const content = randomBytes(DOWNLOAD_BYTES);
    digest = createHash('sha256').update(content).digest('hex');
    await writeFile(join(world.shared, 'download'), content);
    await writeFile(join(world.shared, 'pace.lua'), PACE);
    for (const host of ['a', 'b']) await world.ask(host, 'cp /shared/download /var/www/html/');
    const batch = JOBS.map(({ name, v4, v6, where }) => {
      const ip = [`${v4}/24`, `${v6}/64`];
      return JSON.stringify({ name, ...where, ip, command: ['apache2ctl', '-D', 'FOREGROUND'] });
    });
    await writeFile(join(world.shared, 'jobs.jsonl'), `${batch.join('\n')}\n`);
    await world.ask('a', 'migrate run -f /shared/jobs.jsonl');
  });

  afterAll(async () => {
    await world?.down();
  });

  test('runs four times on one host, on the wildcard of both families', async () => {
    const urls = JOBS.flatMap(({ v4, v6 }) => [`http://${v4}/`, `http://[${v6}]/`]);
    const get = "curl -sSg --retry 5 --retry-connrefused -o /dev/null -w '%{http_code}\\n'";
    const codes = await world.ask('c', urls.map((url) => `${get} ${url}`).join(' && '));
    expect(codes.split('\n')).toEqual(urls.map(() => '200'));
    const listeners = await world.ask('a', 'ss -Htln sport = :80');
    for (const { v4, v6, where } of JOBS) {
      if (where.kind === 'l3') expect(listeners).toContain(`${v4}:80`);
      if (where.kind === 'l3') expect(listeners).toContain(`[${v6}]:80`);
    }
  });

  test('is unmodified, and its workers are of another user', async () => {
    const changed = "dpkg -V apache2 apache2-bin | grep ' /etc/' || true";
    for (const host of ['a', 'b']) expect(await world.ask(host, changed)).toBe('');
    const users = (await world.ask('a', 'ps -C apache2 -o user=')).split('\n').sort();
    expect(users.filter((user) => user === 'root')).toHaveLength(JOBS.length);
    expect(users.filter((user) => user === 'www-data').length).toBeGreaterThan(JOBS.length);
  });

  test('moves there and back under wrk: no failed request, no reset, no wrong byte', async () => {
    for (const job of JOBS) startLoad(job);
    for (const job of JOBS) await untilUntroubled(job);
    for (const [name, wrk] of wrks) expect((await endWrk(wrk)).failures, name).toEqual([]);
  });

  /** A round that lasted longer than the server's own deadline says nothing of the move. */
  async function untilUntroubled(job: Job): Promise<void> {
    for (let left = ROUNDS_MAX; left > 0; left -= 1) {
      const { moves, failures } = await round(job);
      const frozenMs = Math.max(...moves.map((move) => move.frozenMs));
      if (failures.length === 0) return;
      const reason = `${job.name}: frozen for ${frozenMs} ms: ${failures.join('; ')}`;
      expect(frozenMs, reason).toBeGreaterThan(KEEP_ALIVE_MS);
      process.stdout.write(`  again, Apache's KeepAliveTimeout has passed: ${reason}\n`);
    }
    expect.unreachable(`${job.name}: this machine is too busy for Apache's KeepAliveTimeout`);
  }

  /** There and back, while all four are loaded. The load of the job ends, and begins anew. */
  async function round(job: Job): Promise<{ moves: WatchedMove[]; failures: string[] }> {
    const resets = await watchResets(world, 'c');
    const download = world.start('c', slowDownload(job.v4));
    expect(await download.line()).toBe('began');
    const moves = [await world.move(job.name, 'a', 'b'), await world.move(job.name, 'b', 'a')];
    const took = await download.end();
    const [pieces, sum] = took.out.split(/\s+/);
    expect(Number(pieces) * PIECE_BYTES, 'taken during the moves').toBeLessThan(DOWNLOAD_BYTES);
    expect(sum, took.err).toBe(digest);
    const wrk = wrks.get(job.name);
    const { requests, failures } = wrk ? await endWrk(wrk) : { requests: 0, failures: ['no wrk'] };
    startLoad(job);
    const wire = await resets.end();
    expect(wire.code).toBe(0);
    tell(`Apache ${job.name} (${job.where.kind}) under wrk`, {
      requests,
      'frozen (ms)': moves.map(({ frozenMs }) => frozenMs).join(' and '),
      'total (ms)': moves.map(({ totalMs }) => totalMs).join(' and '),
      'established connections': moves[0]?.sockets.established ?? 0,
      'pieces of the download meanwhile': Number(pieces),
    });
    if (wire.out !== '') failures.push(...wire.out.split('\n'));
    return { moves, failures };
  }
});

/** Takes piece after piece of the download until the moves are over, then what is left of it. */
function slowDownload(address: string): string {
  return `
    rm -f /tmp/over /tmp/pieces
    curl -sS http://${address}/download | {
      pieces=0
      while [ ! -e /tmp/over ]; do
        head -c ${PIECE_BYTES}
        pieces=$((pieces + 1)) && [ $pieces != 1 ] || echo began >&3
        sleep 0.4
      done
      echo $pieces >/tmp/pieces
      cat
    } 3>&1 >/tmp/download &
    read -r _
    touch /tmp/over
    wait
    cat /tmp/pieces
    sha256sum </tmp/download`;
}

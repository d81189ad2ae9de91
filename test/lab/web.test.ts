import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { watchResets } from './web-clients.ts';
import { makeWorld, type Running, tell, type World } from './world.ts';

const NGINX = "nginx -g 'user root;'";
const JOBS = [
  { name: 'one', network: '--l3', v4: '10.77.0.131', v6: 'fd77::131' },
  { name: 'two', network: '--l3', v4: '10.77.0.132', v6: 'fd77::132' },
  { name: 'three', network: '--l3', v4: '10.77.0.133', v6: 'fd77::133' },
  { name: 'four', network: '--l2 --bridge br0', v4: '10.77.0.134', v6: 'fd77::134' },
] as const;
const DOWNLOAD_BYTES = 50 * 1024 * 1024;
/** A move under the load of four wrks takes some seconds; a download must span it. */
const DOWNLOAD_SECONDS = 8;
const LOAD_SECONDS = 120;

describe('web servers with one configuration', () => {
  let world: World;
  let digest = '';

  beforeAll(async () => {
    world = await makeWorld(`we${process.pid}`, 'a', 'b', 'c');
    const content = randomBytes(DOWNLOAD_BYTES);
    digest = createHash('sha256').update(content).digest('hex');
    await writeFile(join(world.shared, 'download'), content);
    const seed = 'cp /shared/download /var/www/html/download; echo page >/var/www/html/page';
    for (const host of ['a', 'b']) await world.ask(host, seed);
    for (const { name, network, v4, v6 } of JOBS) {
      const ip = `--ip ${v4}/24 --ip ${v6}/64`;
      await world.ask('a', `migrate run ${name} ${network} ${ip} -- ${NGINX}`);
    }
  });

  afterAll(async () => {
    await world?.down();
  });

  test('listen on the wildcard of both families, each on its own addresses', async () => {
    for (const { v4, v6 } of JOBS) {
      const page = await world.ask('c', `curl -sS http://${v4}/page http://[${v6}]/page`);
      expect(page).toBe('page\npage');
    }
    const listeners = await world.ask('a', 'ss -Htln sport = :80');
    for (const { v4, v6, network } of JOBS) {
      if (network === '--l3') expect(listeners).toContain(`${v4}:80`);
      if (network === '--l3') expect(listeners).toContain(`[${v6}]:80`);
    }
    expect(listeners).not.toMatch(/(0\.0\.0\.0|\*|\[::\]):80\s/);
  });

  test('move there and back under wrk: no failed request, no reset, no wrong byte', async () => {
    const resets = await watchResets(world, 'c');
    for (const { name, v4, v6 } of JOBS) {
      const loads = [load(world, v4), load(world, `[${v6}]`)];
      const download = world.start('c', curl(v4));
      const there = await world.move(name, 'a', 'b');
      const back = await world.move(name, 'b', 'a');
      const took = await download.end();
      expect(took.out.split(/\s+/)[0], took.err).toBe(digest);
      const seconds = Number(took.out.trim().split('\n').at(-1));
      expect(seconds * 1000).toBeGreaterThan(there.totalMs);
      const requests = await Promise.all(loads.map(finish));
      tell(`${name} (${back.kind}) under wrk`, {
        requests: requests.reduce((sum, count) => sum + count, 0),
        'frozen (ms)': `${there.frozenMs} and ${back.frozenMs}`,
        'established connections': there.sockets.established,
        'download (s)': seconds,
      });
    }
    expect(await resets.end()).toMatchObject({ code: 0, out: '' });
  });
});

/** The digest of the download, then the seconds that it took. */
function curl(address: string): string {
  const rate = Math.ceil(DOWNLOAD_BYTES / DOWNLOAD_SECONDS);
  const get = `curl -sS --limit-rate ${rate} -o /tmp/download -w '%{time_total}\\n'`;
  return `${get} http://${address}/download >/tmp/took && sha256sum /tmp/download && cat /tmp/took`;
}

/** wrk prints what it saw when it is interrupted. */
function load(world: World, address: string): Running {
  const wrk = `wrk --latency -t1 -c4 -d${LOAD_SECONDS} --timeout 20 http://${address}/page`;
  return world.start('c', `${wrk} & wrk=$!; read -r _; kill -INT $wrk; wait $wrk`);
}

async function finish(load: Running): Promise<number> {
  const { out, err } = await load.end();
  expect(out, err).toMatch(/requests in/);
  expect(out).not.toMatch(/Socket errors|Non-2xx/);
  const requests = Number(/(\d+) requests in/.exec(out)?.[1]);
  expect(requests).toBeGreaterThan(0);
  return requests;
}

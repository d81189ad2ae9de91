import { expect } from 'vitest';
import type { Running, World } from './world.ts';

/** Every reset that arrives, one a line; those that a client sends when it ends are its own. */
const RESETS = `
  tcpdump -Z root -Q in -lnni eth0 'tcp[13] & 4 != 0 or (ip6[6] == 6 and ip6[53] & 4 != 0)' &
  until [ "$(wc -l </proc/net/packet)" -gt 1 ]; do sleep 0.1; done
  echo ready; read -r _; kill -INT $!; wait $!
`;

/** Starts to write down the resets that arrive at a host. */
export async function watchResets(world: World, host: string): Promise<Running> {
  const resets = world.start(host, RESETS);
  expect(await resets.line()).toBe('ready');
  return resets;
}

export interface Load {
  /** What wrk takes before the address of the page. */
  readonly options: string;
  readonly seconds: number;
}

/** wrk hears an interrupt once it has made its connections: SIGINT is bit 1 of what it catches. */
const UNTIL_IT_LISTENS = `
  until [ $((0x$(awk '/SigCgt/ { print $2 }' /proc/$wrk/status) & 2)) -ne 0 ]; do sleep 0.1; done
`;

/** wrk with keep-alive, from a host; it prints what it saw when it is interrupted. */
export function startWrk(world: World, host: string, url: string, load: Load): Running {
  const wrk = `wrk --latency -t1 ${load.options} -d${load.seconds} ${url}`;
  const end = 'read -r _; kill -INT $wrk; wait $wrk';
  return world.start(host, `${wrk} & wrk=$!; ${UNTIL_IT_LISTENS} ${end}`);
}

/** Ends a wrk: how many requests it made, and its lines on what failed. */
export async function endWrk(wrk: Running): Promise<{ requests: number; failures: string[] }> {
  const { out, err } = await wrk.end();
  expect(out, err).toMatch(/requests in/);
  const failures = out.split('\n').filter((line) => /Socket errors|Non-2xx/.test(line));
  return { requests: Number(/(\d+) requests in/.exec(out)?.[1]), failures };
}

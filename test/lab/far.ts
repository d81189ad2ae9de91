import { expect } from 'vitest';
import type { Running, World } from './world.ts';

/** On `a` the host name `far` leads to `b`, each byte so many milliseconds late both ways. */
export async function makeFar(world: World, lateMs: number): Promise<Running> {
  const proxy = world.start(
    'a',
    `
    mkdir -p -m 700 ~/.ssh
    printf 'Host far\\n HostName 127.0.0.1\\n Port 2200\\n HostKeyAlias b\\n' >>~/.ssh/config
    exec python3 /shared/workloads/far-away.py 2200 b 22 ${lateMs}
    `,
  );
  expect(await proxy.line()).toBe('ready');
  return proxy;
}

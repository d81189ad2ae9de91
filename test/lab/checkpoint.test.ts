import { open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeWorld, tell, type World } from './world.ts';

const ADDRESS = '10.77.0.151';
const BUNDLE = '/shared/kept.bundle';

describe('a job in a file', () => {
  let world: World;

  beforeAll(async () => {
    world = await makeWorld(`ck${process.pid}`, 'a', 'b', 'c');
    const server = 'python3 /shared/workloads/udp-recorder.py 5000';
    await world.ask('a', `migrate run kept --l3 --ip ${ADDRESS}/24 -- ${server} && sleep 0.5`);
  });

  afterAll(async () => {
    await world?.down();
  });

  test('is a copy of what goes on running', async () => {
    await sendNumbers(world, 40);
    const said = await world.ask(
      'a',
      `migrate checkpoint kept -o ${BUNDLE} --leave-running --json`,
    );
    const { frozenMs, bytes } = JSON.parse(said.split('\n').at(-1) ?? '') as Checkpoint;
    tell('checkpoint --leave-running', { 'frozen (ms)': frozenMs, bytes });
    expect(await world.ask('a', 'migrate ls')).toMatch(/^kept\s+l3\s+running/m);
    expect(await missingBelow(world, 40)).toBe(0);
    await world.ask('a', `migrate bundle verify ${BUNDLE}`);
  });

  test('starts from the file on another host, with all that it knew then', async () => {
    await sendNumbers(world, 60);
    expect(await missingBelow(world, 60)).toBe(0);
    await world.ask('a', 'migrate stop kept && migrate rm kept');
    expect((await world.sh('c', `ping -qc1 -W1 ${ADDRESS}`)).code).not.toBe(0);
    await world.ask('b', `migrate restore ${BUNDLE}`);
    expect(await world.ask('b', 'migrate ls')).toMatch(/^kept\s+l3\s+running/m);
    expect(await missingBelow(world, 60), 'those sent after the checkpoint').toBe(20);
    expect(await missingBelow(world, 40)).toBe(0);
  });

  test('ends where it ran when it is put into a file without --leave-running', async () => {
    await world.ask('b', 'migrate checkpoint kept -o /shared/moved.bundle');
    expect(await world.ask('b', 'migrate ls')).not.toContain('kept');
    await world.ask('a', 'migrate restore /shared/moved.bundle');
    expect(await missingBelow(world, 40)).toBe(0);
    await world.ask('a', 'migrate stop kept && migrate rm kept');
  });

  test('is refused with 13 when a byte is flipped or the end is missing', async () => {
    const damage: readonly [string, (path: string, size: number) => Promise<void>][] = [
      ['flipped', (path, size) => flipByte(path, Math.floor(size / 2))],
      ['truncated', (path, size) => truncate(path, size - 1000)],
      ['halved', (path, size) => truncate(path, Math.floor(size / 2))],
    ];
    for (const [name, spoil] of damage) {
      await world.ask('a', `cp ${BUNDLE} /shared/${name}`);
      const size = Number(await world.ask('a', `stat -c %s /shared/${name}`));
      await spoil(join(world.shared, name), size);
      for (const verb of ['restore', 'bundle verify']) {
        const { code, err } = await world.sh('b', `migrate ${verb} /shared/${name}`);
        expect({ name, verb, code }, err).toEqual({ name, verb, code: 13 });
        expect(err.split('\n')[0]).toMatch(/^migrate: /);
      }
      expect(await world.ask('b', 'migrate ls')).not.toContain('kept');
    }
  });
});

/** The numbers below `count`, one after the other. */
async function sendNumbers(world: World, count: number): Promise<void> {
  await inPython(world, `for n in range(${count}): sock.send(b"%d" % n); sock.recv(100)`);
}

async function missingBelow(world: World, count: number): Promise<number> {
  const ask = `sock.send(b"missing ${count}"); print(sock.recv(65536).decode())`;
  return (JSON.parse(await inPython(world, ask)) as { count: number }).count;
}

function inPython(world: World, lines: string): Promise<string> {
  const socket = 'sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.settimeout(5)';
  const program = `import socket\n${socket}\nsock.connect(("${ADDRESS}", 5000))\n${lines}`;
  return world.ask('c', `python3 -c '${program}'`);
}

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, position);
  } finally {
    await file.close();
  }
}

interface Checkpoint {
  readonly frozenMs: number;
  readonly bytes: number;
}

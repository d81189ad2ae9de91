import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { World } from './world.ts';

export const KEEPER_ADDRESS = '10.77.0.160';
/** An echo server in the same job, whose connection must live. */
export const KEEPER_PORT = 7000;

/** test/workloads/memory-keeper.c as a job that judges its own memory. */
export interface Keeper {
  readonly name: string;
  /** What it says of its memory now, on the host that it runs on; it goes on. */
  judge(home: string): Promise<string>;
  /** The same for the last time; the job has ended and is gone then. */
  end(home: string): Promise<string>;
}

export interface KeeperWish {
  readonly name?: string;
  readonly address?: string;
  /** `--l3` unless said. */
  readonly network?: string;
  /** NAME=VALUE words of the program. */
  readonly options: string;
}

/** Seconds until it has filled its memory, and until it has judged it, in emulated guests too. */
const waitS = 120;

/** Starts it on a host; resolves when all of its memory is filled. */
export async function startKeeper(world: World, host: string, wish: KeeperWish): Promise<Keeper> {
  const { name = 'keeper', address = KEEPER_ADDRESS, network = '--l3', options } = wish;
  const place = `/shared/${name}`;
  const program = '/shared/workloads/memory-keeper';
  await world.ask(
    host,
    `set -e
    [ -e ${program} ] || gcc -O2 -pthread -o ${program} ${program}.c
    rm -rf ${place}; mkdir ${place}
    migrate run ${name} ${network} --ip ${address}/24 -- sh -c \
      '/shared/workloads/echo-server ${KEEPER_PORT} & exec ${program} ${place}/pid ${place}/verdict ${options}'
    ${untilThere(`${place}/pid`)} || { migrate logs ${name}; exit 1; }`,
  );
  const read = async (): Promise<string> => {
    const path = join(world.shared, name, 'verdict');
    const text = await readFile(path, 'utf8');
    await rm(path);
    return text;
  };
  return {
    name,
    async judge(home) {
      await world.ask(home, told(name, 'USR1'));
      return read();
    },
    async end(home) {
      // Its echo server does not end by itself.
      const end = `migrate stop ${name} --timeout 1 && migrate rm ${name}`;
      await world.ask(home, `${told(name, 'TERM')} && ${end}`);
      return read();
    },
  };
}

/** Signals the first process of the job, the parent of the others; waits for its verdict. */
function told(name: string, signal: string): string {
  return `
    init=$(migrate show ${name} | sed -n 's/^initPid: //p')
    kill -${signal} $(pgrep -x memory-keeper -P $init)
    ${untilThere(`/shared/${name}/verdict`)}`;
}

/** The verdict without its figures. */
export function expectPass(verdict: string): void {
  expect(verdict).toMatch(/^PASS\n/);
}

function untilThere(path: string): string {
  return `timeout ${waitS} sh -c 'until [ -e ${path} ]; do sleep 0.1; done'`;
}

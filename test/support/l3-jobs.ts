import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execaSync } from 'execa';
import { expect } from 'vitest';
import { findCgroupRoot } from '../../src/host/cgroup.ts';
import { openFilter, unloadFilter } from '../../src/network/l3/filter.ts';
import type { JobAddresses } from '../../src/network/l3/layout.ts';
import { choosePrivateLoopback } from '../../src/network/l3/loopback.ts';
import {
  type Agent,
  enterNewNetworkNamespace,
  holdNetworkNamespace,
  ip,
  startAgent,
} from './l3-host.ts';

/** The jobs of the tests: with both families, another one, IPv4 alone, IPv6 alone. */
export const jobs = {
  a: job('10.99.0.11', ['10.99.0.11', '10.99.0.12'], ['fd99::11', 'fd99::12'], ['10.99.0.255']),
  b: job('10.99.0.21', ['10.99.0.21'], ['fd99::21']),
  four: job('10.99.0.31', ['10.99.0.31'], []),
  six: job('fd99::41', [], ['fd99::41']),
} satisfies Record<string, JobAddresses>;

export type JobName = keyof typeof jobs;

/** A host (10.99.0.1, fd99::1) with those jobs, and a machine (.2, ::2) on the same network. */
export interface JobHost {
  readonly parent: string;
  /** The kernel lets us see what comes in by a device: Linux 6.6. */
  readonly seesDevices: boolean;
  readonly agents: Readonly<Record<JobName | 'host' | 'outside', Agent>>;
  readonly outsidePid: number;
  /** Runs a command on the other machine. */
  outside(command: string): void;
  tearDown(): Promise<void>;
}

export async function makeJobHost(): Promise<JobHost> {
  enterNewNetworkNamespace();
  const parent = join(await findCgroupRoot(), `l3-filter-test-${process.pid}`);
  mkdirSync(parent);
  const machine = await makeNetwork();
  const outsidePid = machine.pid ?? 0;
  const filter = await openFilter(parent);
  const agents = {} as Record<JobName | 'host' | 'outside', Agent>;
  for (const [name, addresses] of Object.entries(jobs)) {
    mkdirSync(join(parent, name));
    await filter.add(join(parent, name), addresses);
    agents[name as JobName] = await startAgent(join(parent, name));
  }
  const seesDevices = await filter.watch('v0');
  agents.host = await startAgent();
  agents.outside = await startAgent(undefined, outsidePid);
  const tearDown = async (): Promise<void> => {
    for (const agent of Object.values(agents)) await agent.stop();
    machine.kill('SIGKILL');
    for (const name of Object.keys(jobs)) {
      await filter.remove(join(parent, name));
      rmdirSync(join(parent, name));
    }
    filter.close();
    expect(await unloadFilter(parent)).toBe(true);
    rmdirSync(parent);
  };
  return {
    seesDevices,
    parent,
    agents,
    outsidePid,
    outside: (text) => inside(outsidePid, text),
    tearDown,
  };
}

/** The addresses that TCP sockets listen on, as the kernel has them. */
export function rawListeners(port: number): string[] {
  return execaSync('ss', ['-Htln', 'sport', '=', `:${port}`])
    .stdout.split('\n')
    .filter(Boolean)
    .map((line) => (line.split(/\s+/)[3] ?? '').replace(/:\d+$/, ''));
}

function job(
  primary: string,
  ipv4: string[],
  ipv6: string[],
  broadcast4: string[] = [],
): JobAddresses {
  return { ipv4, ipv6, broadcast4, ...choosePrivateLoopback(primary, () => false) };
}

/** A cable to another machine: veth, its far end in a network namespace of its own. */
async function makeNetwork(): Promise<ChildProcess> {
  const machine = holdNetworkNamespace();
  const own = readlinkSync('/proc/self/ns/net');
  while (readlinkSync(`/proc/${machine.pid}/ns/net`) === own) await sleep(1);
  ip('link add v0 type veth peer name v1');
  ip(`link set v1 netns ${machine.pid}`);
  ip('link set v0 up');
  ip('address add 10.99.0.1/24 broadcast + dev v0');
  ip('address add fd99::1/64 dev v0 nodad');
  for (const { ipv4, ipv6, loopback6 } of Object.values(jobs)) {
    for (const address of ipv4) ip(`address add ${address}/32 dev v0`);
    for (const address of ipv6) ip(`address add ${address}/128 dev v0 nodad preferred_lft 0`);
    ip(`address add ${loopback6}/128 dev lo`);
  }
  for (const command of [
    'ip link set lo up',
    'ip address add 10.99.0.2/24 broadcast + dev v1',
    'ip address add fd99::2/64 dev v1 nodad',
    'ip link set v1 up',
  ]) {
    inside(machine.pid ?? 0, command);
  }
  return machine;
}

function inside(pid: number, command: string): void {
  execaSync('nsenter', ['--net', '--target', String(pid), ...command.split(' ')]);
}

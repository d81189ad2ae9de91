import { readdirSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findCgroupRoot } from '../../src/host/cgroup.ts';
import { networkNamespace } from '../../src/host/syscall-ids.ts';
import { withFileLock } from '../../src/host/syscall-lock.ts';
import { systemCalls } from '../../src/host/syscalls.ts';
import { bpf } from '../../src/network/l3/bpf.ts';
import { openFilter, unloadFilter } from '../../src/network/l3/filter.ts';
import { type JobAddresses, layout, layoutVersion } from '../../src/network/l3/layout.ts';
import { choosePrivateLoopback } from '../../src/network/l3/loopback.ts';
import { programs } from '../../src/network/l3/programs.ts';
import { enterNewNetworkNamespace, runSupport, startAgent } from '../support/l3-host.ts';

let parent: string;
let pins: string;

beforeAll(async () => {
  enterNewNetworkNamespace();
  parent = join(await findCgroupRoot(), `l3-life-test-${process.pid}`);
  pins = join('/sys/fs/bpf/migrate', String(networkNamespace().inode));
  await mkdir(join(parent, 'one'), { recursive: true });
  await mkdir(join(parent, 'two'));
});

beforeEach(async () => {
  for (const name of ['one', 'two']) await forget(join(parent, name));
  expect(await unloadFilter(parent)).toBe(true);
});

afterAll(async () => {
  for (const name of ['one', 'two']) await rmdir(join(parent, name));
  expect(await unloadFilter(parent)).toBe(true);
  await rmdir(parent);
});

test('unloading leaves no pinned file, link, program or map', async () => {
  (await openFilter(parent)).close();
  const loaded = kernelObjects();
  expect(loaded.links.length).toBe(programs.length);
  expect(loaded.maps.length).toBe(5);
  expect(stillThere(loaded)).toEqual(loaded);
  expect(await unloadFilter(parent)).toBe(true);
  expect(pinned()).toBeUndefined();
  await expect.poll(() => stillThere(loaded)).toEqual({ links: [], programs: [], maps: [] });
});

test('a job keeps the filter; the end of its cgroup lets go of it, said or unsaid', async () => {
  const filter = await openFilter(parent);
  const dir = join(parent, 'short');
  await mkdir(dir);
  const id = await filter.add(dir, addresses(1));
  expect(await filter.list()).toEqual([{ id, ...addresses(1) }]);
  expect(await filter.isTaken('10.0.0.1')).toBe(true);
  expect(await filter.isTaken(addresses(1).loopback6)).toBe(true);
  expect(await filter.isTaken('10.0.0.2')).toBe(false);
  expect(await unloadFilter(parent)).toBe(false);
  await rmdir(dir);
  expect(await filter.list()).toEqual([]);
  // Its addresses are free again.
  await filter.add(join(parent, 'one'), addresses(1));
  filter.close();
});

test('an address belongs to one job', async () => {
  const filter = await openFilter(parent);
  await filter.add(join(parent, 'one'), addresses(1));
  const mixed = { ...addresses(2), ipv4: ['10.9.9.9', ...addresses(1).ipv4] };
  await expect(filter.add(join(parent, 'two'), mixed)).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
    message: '10.0.0.1 belongs to another job on this host',
  });
  expect(await filter.list()).toHaveLength(1);
  // The refusal claimed nothing.
  await filter.add(join(parent, 'one'), { ...addresses(1), ipv4: ['10.9.9.9', '10.0.0.1'] });
  await filter.add(join(parent, 'one'), addresses(3));
  await filter.add(join(parent, 'two'), addresses(1));
  await filter.remove(join(parent, 'two'));
  await filter.remove(join(parent, 'two'));
  expect((await filter.list()).map((job) => job.ipv4)).toEqual([['10.0.0.3']]);
  filter.close();
});

test('addresses that make no sense are refused', async () => {
  const filter = await openFilter(parent);
  const wrong: Partial<JobAddresses>[] = [
    { ipv4: [], ipv6: [] },
    { ipv4: ['127.0.0.1'] },
    { ipv4: ['fd00::1'] },
    { ipv6: ['10.0.0.1'] },
    { ipv4: Array.from({ length: 9 }, (_, index) => `10.1.1.${index}`) },
    { loopback4: '127.0.0.1' },
    { loopback4: '10.0.0.1' },
    { loopback6: '::1' },
  ];
  for (const part of wrong) {
    await expect(filter.add(join(parent, 'one'), { ...addresses(1), ...part })).rejects.toThrow();
  }
  await expect(filter.add('/tmp', addresses(1))).rejects.toMatchObject({ code: 'KERNEL' });
  filter.close();
});

test('processes that open, use and unload it at once do not disturb each other', async () => {
  const before = await openFilter(parent);
  await before.add(join(parent, 'one'), addresses(1));
  const results = await Promise.all(
    Array.from({ length: 4 }, () => runSupport('l3-race.ts', [parent], false)),
  );
  expect(results).toEqual(Array.from({ length: 4 }, () => 'done'));
  expect(await before.list()).toHaveLength(1);
  before.close();
});

test('a filter that another process unloaded is loaded again when a job is added', async () => {
  const filter = await openFilter(parent);
  expect(await unloadFilter(parent)).toBe(true);
  await filter.add(join(parent, 'one'), addresses(1));
  const agent = await startAgent(join(parent, 'one'));
  expect(await agent.run(`result = name(bound(4, '127.0.0.1', 0))`)).toBe('127.0.0.1');
  expect(await agent.run(`result = error_of(lambda: tcp(4).bind(('10.0.0.2', 0)))`)).toBe(
    'EADDRNOTAVAIL',
  );
  await agent.stop();
  filter.close();
});

test('a set that was left half done is made anew', async () => {
  (await openFilter(parent)).close();
  const settings = bpf.open(join(pins, 'settings')) ?? -1;
  bpf.close(settings);
  execaSync('rm', [join(pins, 'settings'), join(pins, 'job_send4')]);
  const filter = await openFilter(parent);
  await filter.add(join(parent, 'one'), addresses(1));
  expect(pinned()).toHaveLength(programs.length + 4);
  filter.close();
});

test('a set of another version: replaced if unused, used if its maps fit, else refused', async () => {
  (await openFilter(parent)).close();
  const first = linkId('job_bind4');
  pretend({ object: 1n });
  const filter = await openFilter(parent);
  expect(linkId('job_bind4')).not.toBe(first);
  await filter.add(join(parent, 'one'), addresses(1));
  const second = linkId('job_bind4');
  pretend({ object: 1n });
  const older = await openFilter(parent);
  expect(linkId('job_bind4')).toBe(second);
  expect(await older.list()).toHaveLength(1);
  older.close();
  pretend({ object: 1n, layout: layoutVersion + 1 });
  await expect(openFilter(parent)).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  pretend({ object: 1n });
  await filter.remove(join(parent, 'one'));
  filter.close();
});

test('a parent that was removed and made again is found out', async () => {
  const other = join(await findCgroupRoot(), `l3-other-test-${process.pid}`);
  await mkdir(other);
  (await openFilter(other)).close();
  await rmdir(other);
  await mkdir(join(other, 'job'), { recursive: true });
  const filter = await openFilter(other);
  await filter.add(join(other, 'job'), { ...addresses(1), ipv4: ['10.0.0.1'] });
  const agent = await startAgent(join(other, 'job'));
  expect(await agent.run(`result = error_of(lambda: tcp(4).bind(('10.0.0.2', 0)))`)).toBe(
    'EADDRNOTAVAIL',
  );
  await agent.stop();
  // A second parent has to wait for the first one's jobs.
  await expect(openFilter(parent)).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  await rmdir(join(other, 'job'));
  (await openFilter(parent)).close();
  filter.close();
  await rmdir(other);
});

test('what a namespace leaves behind when it ends is swept up by the next one', async () => {
  const left = await runSupport('l3-leave.ts', [parent], true);
  expect(left).toMatch(/^\d+$/);
  expect(readdirSync('/sys/fs/bpf/migrate')).toContain(left);
  (await openFilter(parent)).close();
  expect(readdirSync('/sys/fs/bpf/migrate')).not.toContain(left);
});

test('the thousandth job costs what the first one did', async () => {
  const filter = await openFilter(parent);
  const count = 1_000;
  const dirs = Array.from({ length: count }, (_, index) => join(parent, `many-${index}`));
  for (const dir of dirs) await mkdir(dir);
  const times: number[] = [];
  for (const [index, dir] of dirs.entries()) {
    const start = performance.now();
    await filter.add(dir, addresses(index + 10));
    times.push(performance.now() - start);
  }
  const median = (from: number) => times.slice(from, from + 100).toSorted((a, b) => a - b)[50] ?? 0;
  expect(median(900)).toBeLessThan(3 * median(0) + 0.5);
  const agent = await startAgent(dirs[999]);
  expect(await agent.run(`result = error_of(lambda: tcp(4).bind(('10.0.0.1', 0)))`)).toBe(
    'EADDRNOTAVAIL',
  );
  await agent.stop();
  expect(await filter.list()).toHaveLength(count);
  for (const dir of dirs) await rmdir(dir);
  expect(await filter.list()).toHaveLength(0);
  filter.close();
});

test('a lock is held by one process, and given back by its end', async () => {
  const path = join('/run/migrate', `test-${process.pid}.lock`);
  const order: string[] = [];
  const hold = (name: string) =>
    withFileLock(path, async () => {
      order.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`${name} out`);
    });
  await Promise.all([hold('a'), hold('b')]);
  expect(order).toEqual(['a in', 'a out', 'b in', 'b out']);
  execaSync('rm', [path]);
});

function addresses(index: number): JobAddresses {
  const own = `10.0.${Math.floor(index / 256)}.${index % 256}`;
  return { ipv4: [own], ipv6: [], ...choosePrivateLoopback(own, () => false) };
}

async function forget(cgroup: string): Promise<void> {
  const filter = await openFilter(parent);
  await filter.remove(cgroup);
  filter.close();
}

function pinned(): string[] | undefined {
  try {
    return readdirSync(pins);
  } catch {
    return undefined;
  }
}

interface KernelObjects {
  readonly links: number[];
  readonly programs: number[];
  readonly maps: number[];
}

/** What the kernel holds for the set that is pinned, by its numbers. */
function kernelObjects(): KernelObjects {
  const infos = programs.map((program) => linkInfo(program.name));
  const programIds = infos.map((info) => info.readUInt32LE(8));
  const links = infos.map((info) => info.readUInt32LE(4));
  const maps = new Set(programIds.flatMap(mapsOfProgram));
  return { links, programs: programIds, maps: [...maps].toSorted((a, b) => a - b) };
}

function stillThere(objects: KernelObjects): KernelObjects {
  return {
    links: objects.links.filter((id) => openById(commandById.link, id)),
    programs: objects.programs.filter((id) => openById(commandById.program, id)),
    maps: objects.maps.filter((id) => openById(commandById.map, id)),
  };
}

/** BPF_PROG_GET_FD_BY_ID and its like: the product needs none of them. */
const commandById = { program: 13, map: 14, link: 30 } as const;

function openById(command: number, id: number, use: (fd: number) => void = () => {}): boolean {
  const attribute = Buffer.alloc(16);
  attribute.writeUInt32LE(id, 0);
  const fd = systemCalls().bpf(command, attribute, `number ${id}`, ['ENOENT']);
  if (fd < 0) return false;
  use(fd);
  bpf.close(fd);
  return true;
}

/** nr_map_ids and map_ids of struct bpf_prog_info are at 52 and 56. */
function mapsOfProgram(id: number): number[] {
  const info = Buffer.alloc(64);
  const ids = Buffer.alloc(4 * 8);
  const attribute = Buffer.alloc(16);
  openById(commandById.program, id, (fd) => {
    info.writeUInt32LE(8, 52);
    info.writeBigUInt64LE(systemCalls().addressOf(ids), 56);
    attribute.writeUInt32LE(fd, 0);
    attribute.writeUInt32LE(info.length, 4);
    attribute.writeBigUInt64LE(systemCalls().addressOf(info), 8);
    systemCalls().bpf(15, attribute, 'program info');
  });
  return Array.from({ length: info.readUInt32LE(52) }, (_, index) => ids.readUInt32LE(index * 4));
}

function linkInfo(name: string): Buffer {
  const fd = bpf.open(join(pins, name));
  if (fd === undefined) throw new Error(`${name} is not pinned`);
  const info = bpf.linkInfo(fd);
  bpf.close(fd);
  return info;
}

function linkId(name: string): number {
  return linkInfo(name).readUInt32LE(4);
}

/** Changes what the pinned set says about itself. */
function pretend(change: { object?: bigint; layout?: number }): void {
  const fd = bpf.open(join(pins, 'settings')) ?? -1;
  const settings = {
    object: 0n,
    layout: layoutVersion,
    netns: networkNamespace().cookie,
    ...change,
  };
  bpf.update(fd, Buffer.alloc(4), layout.settings(settings));
  bpf.close(fd);
}

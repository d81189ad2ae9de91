import { join } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { findCgroupRoot, makeCgroup, removeCgroup, removeEmptyCgroup } from '../host/cgroup.ts';
import { cgroupParentName } from '../job/paths.ts';
import { broadcastOf, type InterfaceAddress, parseInterfaceAddress } from '../network/address.ts';
import { type L3Filter, openFilter, unloadFilter } from '../network/l3/filter.ts';
import {
  addIdentity,
  chooseDevice,
  deviceFacts,
  type L3Identity,
  presentAddresses,
  removeIdentity,
} from '../network/l3/identity.ts';
import { choosePrivateLoopback } from '../network/l3/loopback.ts';
import { readBackIdentity } from '../network/l3/read-back.ts';
import type { AddressSettings } from '../network/l3/settings.ts';
import {
  addLock,
  armLock,
  type LockSpec,
  openLock,
  removeLock,
} from '../network/switchover/lock.ts';
import { probeAddresses } from '../network/switchover/probe.ts';
import type { Established } from './established.ts';

export interface L3Wish {
  readonly name: string;
  readonly ip: readonly string[];
  readonly dev?: string;
  /** Chosen by the first host; a job keeps it, since its sockets are bound to it. */
  readonly loopback?: { readonly v4: string; readonly v6: string };
  /** What the addresses had on the host before; new ones have nothing. */
  readonly addresses?: readonly AddressSettings[];
  /** A move's id: the job stays mute behind a lock of that name until it goes live. */
  readonly mutedBy?: string;
}

/**
 * Makes a host ready for an l3 job: cgroup, bind filter, addresses. Throws NETWORK_FAILED when an
 * address is here already; every effect has its inverse on `undo` first.
 */
export async function establishL3(wish: L3Wish, undo: UndoStack): Promise<Established> {
  const addresses = wish.ip.map(parseInterfaceAddress);
  await refuseTaken(wish);
  const device = await chooseDevice(addresses, wish.dev);
  // Asking takes its time, and nothing is said to the network until it has answered.
  const free = refuseHeldElsewhere(wish, device);
  free.catch(() => undefined);
  const parent = join(await findCgroupRoot(), cgroupParentName);
  const cgroup = join(parent, wish.name);
  undo.push('parent cgroup', () => removeEmptyCgroup(parent));
  undo.push('cgroup', () => removeCgroup(cgroup));
  await makeCgroup(cgroup);
  const loopback = await enterFilter(parent, cgroup, { ...wish, dev: device }, undo);
  const identity: L3Identity = {
    device,
    addresses,
    loopback4: loopback.v4,
    loopback6: loopback.v6,
    ...(wish.addresses === undefined ? {} : { settings: wish.addresses }),
  };
  const lock = lockOf(wish, loopback);
  if (lock !== undefined) {
    undo.push('lock', () => removeLock(lock));
    await addLock(lock);
  }
  const armed = lock === undefined ? undefined : armLock();
  undo.push('armed tool', () => armed?.cancel());
  await free;
  undo.push('addresses', () => removeIdentity(identity));
  await addIdentity(identity);
  await compare(identity);
  const facts = await deviceFacts(device);
  const own = addresses.map(({ address }) => address);
  return {
    ...facts,
    cgroup,
    speakers: () => [{ device, mac: facts.mac, addresses: own }],
    loopback,
    async goLive() {
      if (lock !== undefined) await openLock(lock, armed);
    },
    async settle() {
      if (lock !== undefined) await removeLock(lock);
    },
  };
}

/** The inverse of establishL3 for a job that runs or has ended here. */
export async function dismantleL3(
  job: L3Wish & { readonly cgroup: string; readonly device: string },
): Promise<void> {
  const loopback = job.loopback ?? { v4: '', v6: '' };
  await removeIdentity({
    device: job.device,
    addresses: job.ip.map(parseInterfaceAddress),
    loopback4: loopback.v4,
    loopback6: loopback.v6,
  });
  await leaveFilter(join(job.cgroup, '..'), job.cgroup);
  await removeCgroup(job.cgroup);
}

async function compare(identity: L3Identity): Promise<void> {
  const differences = await readBackIdentity(identity);
  if (differences.length === 0) return;
  throw new MigrateError(
    'NETWORK_DIFFERS',
    `this host differs from what the job had: ${differences.join('; ')}`,
    {
      hint: 'something else on this host changes addresses; `ip monitor address` shows it at work',
    },
  );
}

/** Every address of the job, without length; its private ones included when they are known. */
function allAddressesOf(job: L3Wish): string[] {
  const own = job.ip.map((text) => parseInterfaceAddress(text).address);
  return job.loopback === undefined ? own : [...own, job.loopback.v4, job.loopback.v6];
}

async function refuseTaken(wish: L3Wish): Promise<void> {
  const [taken] = await presentAddresses(wish.ip.map(parseInterfaceAddress));
  if (taken === undefined) return;
  throw new MigrateError(
    'NETWORK_FAILED',
    `address ${taken.address} is already on ${taken.device} of this host`,
    { hint: 'an address belongs to one job; `ip addr` shows who has it' },
  );
}

/**
 * Nobody else on the network may have an address that begins to live here. In a move it lives on
 * the source, of course, and its target is mute.
 */
async function refuseHeldElsewhere(wish: L3Wish, device: string): Promise<void> {
  if (wish.mutedBy !== undefined) return;
  const { mac, canBeAsked } = await deviceFacts(device);
  if (!canBeAsked) return;
  const own = wish.ip.map((text) => parseInterfaceAddress(text).address);
  const [holder] = await probeAddresses({ device, mac }, own);
  if (holder === undefined) return;
  throw new MigrateError(
    'NETWORK_FAILED',
    `address ${holder.address} is in use on the network of ${device}, by ${holder.mac}`,
    { hint: 'an address belongs to one job on one host; `ip neigh` may know whose MAC that is' },
  );
}

async function enterFilter(
  parent: string,
  cgroup: string,
  wish: L3Wish & { readonly dev: string },
  undo: UndoStack,
): Promise<{ v4: string; v6: string }> {
  const addresses = wish.ip.map(parseInterfaceAddress);
  undo.push('bind filter', () => leaveFilter(parent, cgroup));
  const filter = await openFilter(parent);
  try {
    const loopback = wish.loopback ?? (await chooseLoopback(addresses[0]?.address ?? '', filter));
    await filter.add(cgroup, {
      ipv4: addresses.filter(({ family }) => family === 4).map(({ address }) => address),
      ipv6: addresses.filter(({ family }) => family === 6).map(({ address }) => address),
      loopback4: loopback.v4,
      loopback6: loopback.v6,
      broadcast4: broadcastsOf(addresses),
    });
    await filter.watch(wish.dev);
    return loopback;
  } finally {
    filter.close();
  }
}

function broadcastsOf(addresses: readonly InterfaceAddress[]): string[] {
  const all = addresses.map(broadcastOf).filter((address) => address !== undefined);
  return [...new Set(all)];
}

/** The first private loopback addresses that no job of this host has. */
async function chooseLoopback(
  primary: string,
  filter: L3Filter,
): Promise<{ v4: string; v6: string }> {
  const taken = new Set<string>();
  for (;;) {
    const chosen = choosePrivateLoopback(primary, (candidate) => taken.has(candidate));
    if (!(await filter.isTaken(chosen.loopback4))) {
      return { v4: chosen.loopback4, v6: chosen.loopback6 };
    }
    taken.add(chosen.loopback4);
  }
}

/** Forgets the job; the last one takes the programs and the parent cgroup with it. */
async function leaveFilter(parent: string, cgroup: string): Promise<void> {
  const filter = await openFilter(parent).catch(() => undefined);
  if (filter === undefined) return;
  try {
    await filter.remove(cgroup);
  } finally {
    filter.close();
  }
  await unloadFilter(parent);
}

function lockOf(
  wish: L3Wish,
  loopback: { readonly v4: string; readonly v6: string },
): LockSpec | undefined {
  if (wish.mutedBy === undefined) return undefined;
  return { id: wish.mutedBy, addresses: allAddressesOf({ ...wish, loopback }), mute: true };
}

import { MigrateError } from '../../base/errors.ts';
import { cgroupId, cgroupRootOf, liveCgroups } from '../../host/syscall-ids.ts';
import { withFileLock } from '../../host/syscall-lock.ts';
import { bpf } from './bpf.ts';
import { type JobAddresses, layout, layoutVersion } from './layout.ts';
import {
  attachToDevice,
  findSet,
  isPinned,
  loadSet,
  objectHash,
  type PinnedSet,
  removeDeadSets,
  removeSet,
} from './pinned-set.ts';
import { jobsMax, maps } from './programs.ts';

export interface FilteredJob extends JobAddresses {
  /** The number of the job's cgroup. */
  readonly id: bigint;
}

/** The bind filter of this host: which addresses belong to which job. */
export interface L3Filter {
  /**
   * From here on, the tasks in `cgroupDir` and below see these addresses only; a job that is there
   * already gets the new ones. Sockets that were bound before keep their addresses. Throws
   * NETWORK_FAILED when an address belongs to another job. Returns the job's number.
   */
  add(cgroupDir: string, addresses: JobAddresses): Promise<bigint>;
  /**
   * UDP that comes in by this device is brought to sockets on the wildcard at every address of a
   * job; `lo` is seen as well. False where the kernel cannot do that: before Linux 6.6.
   */
  watch(device: string): Promise<boolean>;
  /** Forgets a job, by its cgroup's directory or its number; one that is not there is fine. */
  remove(cgroup: string | bigint): Promise<void>;
  /** Whether an address, own or private, belongs to a job; one look into a map. */
  isTaken(address: string): Promise<boolean>;
  /** Every job whose cgroup exists; takes 60 us a job. */
  list(): Promise<FilteredJob[]>;
  /** Gives back the file descriptors; the filter itself stays. */
  close(): void;
}

/**
 * Opens the filter of this network namespace; loads, attaches and pins it if it is not there yet.
 * `cgroupParent` is the cgroup v2 directory below which all jobs lie. A filter of another version
 * is replaced when no job uses it, and used as it is when its maps look the same. Throws
 * NETWORK_FAILED when it cannot be used, KERNEL when the kernel refuses the programs.
 */
export async function openFilter(cgroupParent: string): Promise<L3Filter> {
  const root = cgroupRootOf(cgroupParent);
  let set = await locked(() => openOrLoad(cgroupParent, root));
  const withSet = <T>(section: (set: PinnedSet) => T): Promise<T> =>
    locked(() => {
      // The last job of another process may have taken the filter with it in the meantime.
      if (!isPinned(set)) {
        closeSet(set);
        set = openOrLoad(cgroupParent, root);
      }
      return section(set);
    });
  return {
    add(cgroupDir, addresses) {
      return withSet((set) => {
        const id = cgroupId(cgroupDir);
        addJob(set, root, id, addresses);
        return id;
      });
    },
    watch(device) {
      return withSet(() => ['lo', device].every(attachToDevice));
    },
    remove(cgroup) {
      return withSet((set) => {
        if (typeof cgroup === 'bigint') removeJob(set, cgroup);
        else removeByPath(set, root, cgroup);
      });
    },
    isTaken(address) {
      const key = layout.addressKey(address);
      return withSet(
        (set) => bpf.lookup(set.addresses, key, maps.addresses.valueBytes) !== undefined,
      );
    },
    list() {
      return withSet((set) => liveJobs(set, root));
    },
    close() {
      closeSet(set);
    },
  };
}

/**
 * Takes the filter off this host, pinned files included; `false` and untouched while a job uses it.
 */
export async function unloadFilter(cgroupParent: string): Promise<boolean> {
  return await locked(() => {
    removeDeadSets();
    const found = findSet();
    if (found.state === 'none') return true;
    if (found.state === 'loaded') {
      const busy = hasLiveJob(found.set, cgroupRootOf(cgroupParent));
      closeSet(found.set);
      if (busy) return false;
    }
    removeSet();
    return true;
  });
}

const lockPath = '/run/migrate/l3-filter.lock';

function locked<T>(section: () => T): Promise<T> {
  return withFileLock(lockPath, section);
}

function openOrLoad(cgroupParent: string, root: string): PinnedSet {
  removeDeadSets();
  const found = findSet();
  if (found.state === 'loaded') {
    const { set } = found;
    const isHere = found.parent === cgroupId(cgroupParent);
    if (isHere && set.settings.object === objectHash()) return set;
    if (hasLiveJob(set, root)) {
      if (isHere && set.settings.layout === layoutVersion) return set;
      closeSet(set);
      throw new MigrateError(
        'NETWORK_FAILED',
        isHere
          ? 'jobs of another version of migrate run on this host'
          : 'jobs below another cgroup use the bind filter of this host',
        { hint: 'move or stop those jobs first' },
      );
    }
    closeSet(set);
  }
  if (found.state !== 'none') removeSet();
  return loadSet(cgroupParent);
}

function closeSet(set: PinnedSet): void {
  bpf.close(set.jobs);
  bpf.close(set.addresses);
}

function addJob(set: PinnedSet, root: string, id: bigint, addresses: JobAddresses): void {
  const value = layout.job(addresses);
  const previous = readJob(set, id);
  const claimed: string[] = [];
  try {
    for (const [address, loopback] of addressesOf(addresses)) {
      if (claim(set, root, address, id, loopback)) claimed.push(address);
    }
    // The addresses come first: a job never has one that the map does not know.
    bpf.update(set.jobs, layout.jobKey(id), value);
  } catch (error) {
    for (const address of claimed) bpf.delete(set.addresses, layout.addressKey(address));
    throw error;
  }
  const kept = new Set(addressesOf(addresses).map(([address]) => address));
  for (const [address] of previous === undefined ? [] : addressesOf(previous)) {
    if (!kept.has(address)) bpf.delete(set.addresses, layout.addressKey(address));
  }
}

/** True when the address is new to the job; throws when it belongs to another one. */
function claim(
  set: PinnedSet,
  root: string,
  address: string,
  id: bigint,
  loopback: boolean,
): boolean {
  const key = layout.addressKey(address);
  const value = layout.owner({ job: id, loopback });
  if (bpf.update(set.addresses, key, value, true)) return true;
  const present = bpf.lookup(set.addresses, key, maps.addresses.valueBytes);
  const owner = present === undefined ? undefined : layout.readOwner(present);
  if (owner?.job === id) {
    bpf.update(set.addresses, key, value);
    return false;
  }
  if (owner !== undefined) {
    if (liveCgroups(root, [owner.job]).size > 0) {
      throw new MigrateError('NETWORK_FAILED', `${address} belongs to another job on this host`);
    }
    // Its cgroup is gone and nobody said so.
    removeJob(set, owner.job);
    bpf.delete(set.addresses, key);
  }
  bpf.update(set.addresses, key, value);
  return true;
}

function removeJob(set: PinnedSet, id: bigint): void {
  const job = readJob(set, id);
  if (job === undefined) return;
  bpf.delete(set.jobs, layout.jobKey(id));
  for (const [address] of addressesOf(job)) {
    const key = layout.addressKey(address);
    const owner = bpf.lookup(set.addresses, key, maps.addresses.valueBytes);
    if (owner !== undefined && layout.readOwner(owner).job === id) bpf.delete(set.addresses, key);
  }
}

function removeByPath(set: PinnedSet, root: string, cgroupDir: string): void {
  let id: bigint;
  try {
    id = cgroupId(cgroupDir);
  } catch {
    // The directory is gone, and with it the job's number: every job without a cgroup goes.
    liveJobs(set, root);
    return;
  }
  removeJob(set, id);
}

/** Looks at jobs until one is alive, so that a host full of jobs answers at once. */
function hasLiveJob(set: PinnedSet, root: string): boolean {
  for (;;) {
    const [key] = bpf.keys(set.jobs, maps.jobs.keyBytes, 1);
    if (key === undefined) return false;
    const id = layout.readJobKey(key);
    if (liveCgroups(root, [id]).size > 0) return true;
    removeJob(set, id);
  }
}

/** The jobs whose cgroup exists; the others are removed on the way. */
function liveJobs(set: PinnedSet, root: string): FilteredJob[] {
  const keys = bpf.keys(set.jobs, maps.jobs.keyBytes, jobsMax);
  const ids = keys.map((key) => layout.readJobKey(key));
  const live = liveCgroups(root, ids);
  const jobs: FilteredJob[] = [];
  for (const id of ids) {
    const job = readJob(set, id);
    if (job === undefined) continue;
    if (live.has(id)) jobs.push({ id, ...job });
    else removeJob(set, id);
  }
  return jobs;
}

function readJob(set: PinnedSet, id: bigint): JobAddresses | undefined {
  const value = bpf.lookup(set.jobs, layout.jobKey(id), maps.jobs.valueBytes);
  return value === undefined ? undefined : layout.readJob(value);
}

/** Every address of a job, and whether it is a private loopback one. */
function addressesOf(job: JobAddresses): [string, boolean][] {
  return [
    ...[...job.ipv4, ...job.ipv6].map((address): [string, boolean] => [address, false]),
    [job.loopback4, true],
    [job.loopback6, true],
  ];
}

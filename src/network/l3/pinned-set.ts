import { constants, mkdirSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../host/files.ts';
import { cgroupRootOf, ensureBpfFileSystem, networkNamespace } from '../../host/syscall-ids.ts';
import { systemCalls } from '../../host/syscalls.ts';
import { bindFilterObject, bindFilterSha256 } from './bindfilter-object.ts';
import { bpf, type ProgramDefinition } from './bpf.ts';
import { type BpfObject, type BpfProgramText, readBpfObject } from './elf.ts';
import { layout, layoutVersion, type Settings } from './layout.ts';
import {
  type AttachPoint,
  deviceAttachType,
  deviceProgram,
  maps,
  programs,
  typeDescriptions,
} from './programs.ts';

/** The maps of a set that is loaded, as file descriptors of this process. */
export interface PinnedSet {
  readonly jobs: number;
  readonly addresses: number;
  readonly settings: Settings;
}

/** What there is in this network namespace before anything is done. */
export type Found =
  | { readonly state: 'none' }
  /** Pinned, but not whole, not attached, or of a namespace that is gone: of no use to anybody. */
  | { readonly state: 'broken' }
  /** Whole and attached; `parent` is the cgroup that its jobs lie in. */
  | { readonly state: 'loaded'; readonly set: PinnedSet; readonly parent: bigint };

const bpfDirectory = '/sys/fs/bpf';
const ourDirectory = join(bpfDirectory, 'migrate');

/** Each network namespace has a set of its own: hosts made of namespaces can share a kernel. */
function setDirectory(): string {
  return join(ourDirectory, String(networkNamespace().inode));
}

/** The first 8 bytes of the SHA-256 of the object that this program carries. */
export function objectHash(): bigint {
  return Buffer.from(bindFilterSha256, 'hex').readBigUInt64LE(0);
}

/** Opens the set that is pinned here. The caller holds the lock. Throws KERNEL. */
export function findSet(): Found {
  const directory = setDirectory();
  const settingsFd = bpf.open(join(directory, 'settings'));
  if (settingsFd === undefined) return { state: pinnedNames(directory) ? 'broken' : 'none' };
  const value = bpf.lookup(settingsFd, Buffer.alloc(4), maps.settings.valueBytes);
  bpf.close(settingsFd);
  const settings = value === undefined ? undefined : layout.readSettings(value);
  if (settings?.netns !== networkNamespace().cookie) return { state: 'broken' };
  const parent = attachedParent(directory);
  const jobs = bpf.open(join(directory, 'jobs'));
  const addresses = bpf.open(join(directory, 'addresses'));
  if (parent === undefined || jobs === undefined || addresses === undefined) {
    for (const fd of [jobs, addresses]) if (fd !== undefined) bpf.close(fd);
    return { state: 'broken' };
  }
  return { state: 'loaded', set: { jobs, addresses, settings }, parent };
}

/** False when another process has unloaded the set since. The caller holds the lock. */
export function isPinned(set: PinnedSet): boolean {
  const fd = bpf.open(join(setDirectory(), 'jobs'));
  if (fd === undefined) return false;
  const id = bpf.mapId(fd);
  bpf.close(fd);
  return id === bpf.mapId(set.jobs);
}

/**
 * Loads the programs, attaches them to `parent`, to the root of its hierarchy and to our network
 * namespace, and pins everything. The settings are pinned last: a set without them is not whole,
 * and the next call throws it away. The caller holds the lock. Throws KERNEL.
 */
export function loadSet(parent: string): PinnedSet {
  ensureBpfFileSystem(bpfDirectory);
  const directory = setDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const fds: number[] = [];
  const keep = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  try {
    const mapFds = createMaps(keep);
    const settings: Settings = {
      layout: layoutVersion,
      object: objectHash(),
      netns: networkNamespace().cookie,
    };
    bpf.update(mapFds.settings, Buffer.alloc(4), layout.settings(settings));
    attachPrograms(parent, directory, mapFds, keep);
    const device = loadProgram(deviceProgram, readBpfObject(bindFilterObject()), mapFds);
    bpf.pin(keep(device), join(directory, deviceProgram.name));
    for (const name of ['jobs', 'addresses', 'settings'] as const) {
      bpf.pin(mapFds[name], join(directory, name));
    }
    fds.splice(fds.indexOf(mapFds.jobs), 1);
    fds.splice(fds.indexOf(mapFds.addresses), 1);
    return { jobs: mapFds.jobs, addresses: mapFds.addresses, settings };
  } catch (error) {
    removeSet();
    throw error;
  } finally {
    for (const fd of fds) bpf.close(fd);
  }
}

/**
 * Lets the set see what comes in by a device; one that it sees already is fine. False where the
 * kernel cannot attach to devices: UDP sockets then have what comes for their own address only.
 */
export function attachToDevice(device: string): boolean {
  const directory = setDirectory();
  const ifindex = systemCalls().interfaceIndex(device);
  const path = join(directory, `${deviceProgram.name}-${ifindex}`);
  const present = bpf.open(path);
  if (present !== undefined) {
    const attachedTo = bpf.linkInfo(present).readUInt32LE(16);
    bpf.close(present);
    if (attachedTo === ifindex) return true;
    // A device of this number was there before, and has taken its link's end with it.
    unlinkSync(path);
  }
  const program = bpf.open(join(directory, deviceProgram.name));
  if (program === undefined) return false;
  try {
    const link = bpf.createDeviceLink(program, ifindex, deviceAttachType);
    if (link === undefined) return false;
    try {
      bpf.pin(link, path);
    } finally {
      bpf.close(link);
    }
    return true;
  } finally {
    bpf.close(program);
  }
}

function isDeviceLink(name: string): boolean {
  return name.startsWith(`${deviceProgram.name}-`);
}

/**
 * Removes the sets of network namespaces that are gone: their programs for everybody else are
 * still attached to the root of the cgroup hierarchy. The caller holds the lock.
 */
export function removeDeadSets(): void {
  for (const name of pinnedNames(ourDirectory) ?? []) {
    const directory = join(ourDirectory, name);
    const fd = bpf.open(join(directory, 'steer'));
    if (fd === undefined) continue;
    const namespace = bpf.linkInfo(fd).readUInt32LE(16);
    bpf.close(fd);
    if (namespace === 0) removeSet(directory);
  }
}

/** Detaches and unpins everything of this network namespace; nothing there is fine. */
export function removeSet(directory: string = setDirectory()): void {
  const names = pinnedNames(directory);
  if (names === undefined) return;
  // The settings go first, so that a set that is half removed counts as broken.
  for (const name of names.toSorted(
    (a, b) => Number(b === 'settings') - Number(a === 'settings'),
  )) {
    const isLink = programs.some((program) => program.name === name) || isDeviceLink(name);
    if (isLink) detach(join(directory, name));
    unlinkSync(join(directory, name));
  }
  rmdirSync(directory);
  try {
    rmdirSync(ourDirectory);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY')) throw error;
  }
}

type MapFds = Readonly<Record<keyof typeof maps, number>>;

function createMaps(keep: (fd: number) => number): MapFds {
  const types = keep(bpf.loadTypes(typeDescriptions()));
  const create = (name: keyof typeof maps): number => keep(bpf.createMap(maps[name], types));
  return {
    jobs: create('jobs'),
    addresses: create('addresses'),
    settings: create('settings'),
    listeners: create('listeners'),
    sockets: create('sockets'),
  };
}

function attachPrograms(
  parent: string,
  directory: string,
  mapFds: MapFds,
  keep: (fd: number) => number,
): void {
  const object = readBpfObject(bindFilterObject());
  const open = (path: string): number => keep(openSync(path, constants.O_RDONLY));
  const targets: Readonly<Record<AttachPoint, number>> = {
    jobs: open(parent),
    root: open(cgroupRootOf(parent)),
    netns: open('/proc/self/ns/net'),
  };
  for (const program of programs) {
    const fd = keep(loadProgram(program, object, mapFds));
    const link = keep(bpf.createLink(fd, targets[program.at], program.attachType));
    bpf.pin(link, join(directory, program.name));
  }
}

function loadProgram(program: ProgramDefinition, object: BpfObject, mapFds: MapFds): number {
  const instructions = withMaps(programText(object, program.name), mapFds);
  return bpf.loadProgram(program, instructions, object.license);
}

function programText(object: BpfObject, name: string): BpfProgramText {
  const text = object.programs.find((program) => program.name === name);
  if (text === undefined) throw new Error(`the bind filter's object has no program ${name}`);
  return text;
}

/** Fills in the maps: a load of a 64-bit immediate whose source says "a map's file descriptor". */
function withMaps(text: BpfProgramText, mapFds: MapFds): Buffer {
  const pseudoMapFd = 1;
  const instructions = Buffer.from(text.instructions);
  for (const { offset, map } of text.maps) {
    const fd = mapFds[map as keyof MapFds];
    const registers = instructions.readUInt8(offset + 1);
    instructions.writeUInt8((registers & 0x0f) | (pseudoMapFd << 4), offset + 1);
    instructions.writeInt32LE(fd, offset + 4);
  }
  return instructions;
}

/** The cgroup that every program for jobs is attached to; undefined if one is not there. */
function attachedParent(directory: string): bigint | undefined {
  const parents = new Set<bigint>();
  for (const program of programs) {
    const fd = bpf.open(join(directory, program.name));
    if (fd === undefined) return undefined;
    const info = bpf.linkInfo(fd);
    bpf.close(fd);
    // A cgroup or a namespace that is gone has taken its programs off; its number is 0 then.
    const target = program.at === 'netns' ? info.readUInt32LE(16) : info.readBigUInt64LE(16);
    if (Number(target) === 0) return undefined;
    if (program.at === 'jobs') parents.add(BigInt(target));
  }
  const [parent] = parents;
  return parents.size === 1 ? parent : undefined;
}

function detach(path: string): void {
  const fd = bpf.open(path);
  if (fd === undefined) return;
  try {
    bpf.detachLink(fd);
  } finally {
    bpf.close(fd);
  }
}

/** The names in the set's directory; undefined when there is no directory. */
function pinnedNames(directory: string): string[] | undefined {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

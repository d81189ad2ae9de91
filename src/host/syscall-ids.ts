import { closeSync, constants, mkdirSync, openSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { systemCalls } from './syscalls.ts';

/** The number that BPF programs know a cgroup by: its directory's inode. cgroups(7) */
export function cgroupId(directory: string): bigint {
  if (fileSystemType(directory) !== cgroup2Magic) {
    throw new MigrateError('KERNEL', `${directory} is not a cgroup v2 directory`);
  }
  return statSync(directory, { bigint: true }).ino;
}

/** The root of the hierarchy that `directory` lies in, as far up as it is mounted here. */
export function cgroupRootOf(directory: string): string {
  let root = directory;
  while (dirname(root) !== root && fileSystemType(dirname(root)) === cgroup2Magic) {
    root = dirname(root);
  }
  return root;
}

/** Whether the cgroups with these numbers still exist, seen from the hierarchy at `root`. */
export function liveCgroups(root: string, ids: readonly bigint[]): Set<bigint> {
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return new Set(ids.filter((id) => isLive(fd, id)));
  } finally {
    closeSync(fd);
  }
}

/** Identifies our network namespace: SO_NETNS_COOKIE (never reused) and the inode of its file. */
export function networkNamespace(): { readonly cookie: bigint; readonly inode: bigint } {
  const calls = systemCalls();
  const fd = calls.socket(afUnix, sockDgram, 0);
  try {
    const cookie = calls.socketOption(fd, solSocket, soNetnsCookie, 8).readBigUInt64LE(0);
    return { cookie, inode: statSync('/proc/self/ns/net', { bigint: true }).ino };
  } finally {
    closeSync(fd);
  }
}

/** Mounts the file system that pinned BPF objects live in, where it is not mounted yet. */
export function ensureBpfFileSystem(directory: string): void {
  mkdirSync(directory, { recursive: true });
  if (fileSystemType(directory) !== bpfMagic) systemCalls().mount('bpf', directory);
}

/** include/uapi/linux/magic.h */
const cgroup2Magic = 0x63677270;
const bpfMagic = 0xcafe4a11;
const afUnix = 1;
const sockDgram = 2;
const solSocket = 1;
const soNetnsCookie = 71;
/** FILEID_KERNFS of include/linux/exportfs.h: a handle that holds a kernfs node's number. */
const handleTypeKernfs = 0xfe;

function isLive(mountFd: number, id: bigint): boolean {
  const handle = Buffer.alloc(16);
  handle.writeUInt32LE(8, 0);
  handle.writeInt32LE(handleTypeKernfs, 4);
  handle.writeBigUInt64LE(id, 8);
  const fd = systemCalls().openByHandle(mountFd, handle);
  if (fd === undefined) return false;
  closeSync(fd);
  return true;
}

function fileSystemType(path: string): number {
  try {
    return statfsSync(path).type;
  } catch (error) {
    throw asMigrateError(error, 'KERNEL');
  }
}

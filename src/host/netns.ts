import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { openPacketSocket, type PacketFilter, type PacketSocket } from './packet-socket.ts';
import { type SystemCalls, systemCalls } from './syscalls.ts';

/** A packet socket on a device of our own or of another network namespace. */
export function openDeviceSocket(
  device: string,
  netns?: string,
  filter?: PacketFilter,
): PacketSocket {
  const open = (): PacketSocket => openPacketSocket(systemCalls().interfaceIndex(device), filter);
  return netns === undefined ? open() : inNetns(netns, open);
}

/** The kernel answers in pieces, mostly of a page; the whole is bounded for files that grow. */
const pieceBytesMax = 64 * 1024;
const fileBytesMax = 64 * 1024 * 1024;

/**
 * The files below some directories, as a thread in that network namespace sees them: /proc/sys/net
 * and /proc/net show the reader's own. Directories that are not there have none.
 */
export function listFilesIn(netns: string, directories: readonly string[]): string[] {
  return inNetns(netns, () => directories.flatMap(listHere));
}

/** The content of each file, read in that network namespace; undefined where reading fails. */
export function readFilesIn(netns: string, paths: readonly string[]): (string | undefined)[] {
  const buffer = Buffer.allocUnsafe(pieceBytesMax);
  return inNetns(netns, () => paths.map((path) => readHere(path, buffer)));
}

/** Writes values to files in that network namespace, in order; the errno's name where it fails. */
export function writeFilesIn(
  netns: string,
  values: readonly (readonly [path: string, value: string])[],
): (string | undefined)[] {
  return inNetns(netns, () => values.map(([path, value]) => writeHere(path, value)));
}

function listHere(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((one) => one.isFile()).map((one) => `${directory}/${one.name}`);
  } catch {
    return [];
  }
}

function readHere(path: string, buffer: Buffer): string | undefined {
  try {
    const fd = openSync(path, 'r');
    try {
      // A list of /proc/net ends where the kernel says nothing more, not with the first piece.
      let text = '';
      while (text.length < fileBytesMax) {
        const bytes = readSync(fd, buffer, 0, buffer.length, null);
        if (bytes === 0) return text;
        text += buffer.toString('utf8', 0, bytes);
      }
      return undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function writeHere(path: string, value: string): string | undefined {
  try {
    const fd = openSync(path, 'w');
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'EIO';
  }
}

/**
 * Runs `section` with this thread inside a network namespace, and comes back whatever happens.
 * `section` must not wait: setns(2) moves this thread, and nothing else may run on it meanwhile.
 */
export function inNetns<T>(path: string, section: () => T): T {
  return awayFromHome((calls) => {
    const away = openSync(path, 'r');
    try {
      calls.enterNetns(away);
    } finally {
      closeSync(away);
    }
  }, section);
}

/**
 * As `inNetns`, in a new namespace without a name: it lives as long as a socket that is left in it.
 */
export function inNewNetns<T>(section: () => T): T {
  return awayFromHome((calls) => calls.newNetns(), section);
}

function awayFromHome<T>(leave: (calls: SystemCalls) => void, section: () => T): T {
  const calls = systemCalls();
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    leave(calls);
    try {
      return section();
    } finally {
      calls.enterNetns(home);
    }
  } finally {
    closeSync(home);
  }
}

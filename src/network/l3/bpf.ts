import { closeSync } from 'node:fs';
import { MigrateError } from '../../base/errors.ts';
import { systemCalls } from '../../host/syscalls.ts';

/**
 * The few commands of bpf(2) that the filter needs, each as one function over file descriptors.
 * Offsets are those of `union bpf_attr` in include/uapi/linux/bpf.h, which only ever grows.
 * All of them throw KERNEL. File descriptors are closed on exec; close them with fs.closeSync.
 */
export const bpf = {
  createMap(map: MapDefinition, typeInformation: number): number {
    return command(commands.mapCreate, 72, `map ${map.name}`, (attribute) => {
      attribute.writeUInt32LE(map.type, 0);
      attribute.writeUInt32LE(map.keyBytes, 4);
      attribute.writeUInt32LE(map.valueBytes, 8);
      attribute.writeUInt32LE(map.entriesMax, 12);
      attribute.writeUInt32LE(map.flags, 16);
      attribute.write(map.name, 28, nameBytesMax, 'latin1');
      if (map.typeIds === undefined) return;
      attribute.writeUInt32LE(typeInformation, 48);
      attribute.writeUInt32LE(map.typeIds.key, 52);
      attribute.writeUInt32LE(map.typeIds.value, 56);
    });
  },

  /** The value of a key, or undefined. */
  lookup(fd: number, key: Buffer, valueBytes: number): Buffer | undefined {
    const value = Buffer.alloc(valueBytes);
    const result = element(commands.mapLookup, fd, key, value, 0n, ['ENOENT']);
    return result < 0 ? undefined : value;
  },

  /** Sets a value; with `ifMissing`, false when the key is there already. */
  update(fd: number, key: Buffer, value: Buffer, ifMissing = false): boolean {
    const flags = ifMissing ? 1n : 0n;
    return element(commands.mapUpdate, fd, key, value, flags, ifMissing ? ['EEXIST'] : []) >= 0;
  },

  delete(fd: number, key: Buffer): void {
    element(commands.mapDelete, fd, key, undefined, 0n, ['ENOENT']);
  },

  /** The first keys of a map, at most `keysMax`; all of them if nobody changes it meanwhile. */
  keys(fd: number, keyBytes: number, keysMax: number): Buffer[] {
    const keys: Buffer[] = [];
    while (keys.length < keysMax) {
      const next = Buffer.alloc(keyBytes);
      if (element(commands.mapNextKey, fd, keys.at(-1), next, 0n, ['ENOENT']) < 0) break;
      keys.push(next);
    }
    return keys;
  },

  loadProgram(program: ProgramDefinition, instructions: Buffer, license: string): number {
    const licenseText = Buffer.from(`${license}\0`, 'latin1');
    const load = (log?: Buffer): number => {
      const fill = (attribute: Buffer): void => {
        attribute.writeUInt32LE(program.type, 0);
        attribute.writeUInt32LE(instructions.length / 8, 4);
        attribute.writeBigUInt64LE(systemCalls().addressOf(instructions), 8);
        attribute.writeBigUInt64LE(systemCalls().addressOf(licenseText), 16);
        attribute.write(program.name, 48, nameBytesMax, 'latin1');
        attribute.writeUInt32LE(program.attachType, 68);
        if (log === undefined) return;
        attribute.writeUInt32LE(1, 24);
        attribute.writeUInt32LE(log.length, 28);
        attribute.writeBigUInt64LE(systemCalls().addressOf(log), 32);
      };
      // The verifier gives up when a signal waits for us, such as the one of a child that ended.
      for (let attempt = 1; attempt < loadAttemptsMax; attempt += 1) {
        const what = `program ${program.name}`;
        const fd = command(commands.programLoad, 144, what, fill, ['EAGAIN']);
        if (fd >= 0) return fd;
      }
      return command(commands.programLoad, 144, `program ${program.name}`, fill);
    };
    try {
      return load();
    } catch (error) {
      return explainRefusal(program.name, load, error);
    }
  },

  /** Loads type descriptions (BTF); socket storage wants them for its key and value. */
  loadTypes(types: Buffer): number {
    return command(commands.typesLoad, 28, 'types', (attribute) => {
      attribute.writeBigUInt64LE(systemCalls().addressOf(types), 0);
      attribute.writeUInt32LE(types.length, 16);
    });
  },

  /** Attaches a program to a cgroup's or a network namespace's file descriptor. */
  createLink(programFd: number, targetFd: number, attachType: number): number {
    return link(programFd, targetFd, attachType, []);
  },

  /** Attaches a program to a device; undefined where the kernel cannot (EINVAL before 6.6). */
  createDeviceLink(programFd: number, ifindex: number, attachType: number): number | undefined {
    const fd = link(programFd, ifindex, attachType, ['EINVAL']);
    return fd < 0 ? undefined : fd;
  },

  /** Takes a program off at once, whoever else still holds the link; one that is off is fine. */
  detachLink(fd: number): void {
    const detach = (attribute: Buffer) => attribute.writeUInt32LE(fd, 0);
    command(commands.linkDetach, 4, `link ${fd}`, detach, ['ENOLINK']);
  },

  /** `struct bpf_link_info`: what a link is attached to is at offset 16. */
  linkInfo(fd: number): Buffer {
    return info(fd);
  },

  /** The kernel's number of a map, which no other map ever gets. */
  mapId(fd: number): number {
    return info(fd).readUInt32LE(4);
  },

  pin(fd: number, path: string): void {
    const name = Buffer.from(`${path}\0`);
    command(commands.pin, 16, `pin ${path}`, (attribute) => {
      attribute.writeBigUInt64LE(systemCalls().addressOf(name), 0);
      attribute.writeUInt32LE(fd, 8);
    });
  },

  /** Opens a pinned object; undefined when nothing is pinned there. */
  open(path: string): number | undefined {
    const name = Buffer.from(`${path}\0`);
    const open = (attribute: Buffer) =>
      attribute.writeBigUInt64LE(systemCalls().addressOf(name), 0);
    const fd = command(commands.open, 16, `open ${path}`, open, ['ENOENT']);
    return fd < 0 ? undefined : fd;
  },

  close(fd: number): void {
    closeSync(fd);
  },
} as const;

export interface MapDefinition {
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entriesMax: number;
  readonly flags: number;
  readonly typeIds?: { readonly key: number; readonly value: number };
}

export interface ProgramDefinition {
  readonly name: string;
  readonly type: number;
  readonly attachType: number;
}

const commands = {
  mapCreate: 0,
  mapLookup: 1,
  mapUpdate: 2,
  mapDelete: 3,
  mapNextKey: 4,
  programLoad: 5,
  pin: 6,
  open: 7,
  info: 15,
  typesLoad: 18,
  linkCreate: 28,
  linkDetach: 34,
} as const;

const nameBytesMax = 15;
/** The verifier's words about one program; the end of them says what it did not like. */
const verifierLogBytesMax = 1024 * 1024;
const verifierLogLinesShown = 4;
/** Signals are few; libbpf tries five times (tools/lib/bpf/bpf.c). */
const loadAttemptsMax = 10;

function command(
  number: number,
  attributeBytes: number,
  what: string,
  fill: (attribute: Buffer) => unknown,
  okErrors: readonly string[] = [],
): number {
  const attribute = Buffer.alloc(attributeBytes);
  fill(attribute);
  return systemCalls().bpf(number, attribute, what, okErrors);
}

function link(
  programFd: number,
  target: number,
  attachType: number,
  okErrors: readonly string[],
): number {
  const fill = (attribute: Buffer): void => {
    attribute.writeUInt32LE(programFd, 0);
    attribute.writeUInt32LE(target, 4);
    attribute.writeUInt32LE(attachType, 8);
  };
  return command(commands.linkCreate, 32, `attach type ${attachType}`, fill, okErrors);
}

function element(
  number: number,
  fd: number,
  key: Buffer | undefined,
  value: Buffer | undefined,
  flags: bigint,
  okErrors: readonly string[],
): number {
  const fill = (attribute: Buffer): void => {
    attribute.writeUInt32LE(fd, 0);
    attribute.writeBigUInt64LE(addressOf(key), 8);
    attribute.writeBigUInt64LE(addressOf(value), 16);
    attribute.writeBigUInt64LE(flags, 24);
  };
  return command(number, 32, 'map element', fill, okErrors);
}

/** The first 64 bytes of what BPF_OBJ_GET_INFO_BY_FD tells of a link or a map. */
function info(fd: number): Buffer {
  const info = Buffer.alloc(64);
  command(commands.info, 16, `descriptor ${fd}`, (attribute) => {
    attribute.writeUInt32LE(fd, 0);
    attribute.writeUInt32LE(info.length, 4);
    attribute.writeBigUInt64LE(systemCalls().addressOf(info), 8);
  });
  return info;
}

function addressOf(buffer: Buffer | undefined): bigint {
  return buffer === undefined ? 0n : systemCalls().addressOf(buffer);
}

/** Loads once more with the verifier's log, which costs too much to ask for every time. */
function explainRefusal(name: string, load: (log: Buffer) => number, error: unknown): number {
  const log = Buffer.alloc(verifierLogBytesMax);
  try {
    return load(log);
  } catch {
    const text = log.toString('latin1', 0, Math.max(0, log.indexOf(0)));
    const end = text.trim().split('\n').slice(-verifierLogLinesShown).join('; ');
    const message = `the kernel refuses the bind filter's program ${name}: ${end}`;
    throw new MigrateError('KERNEL', message, { cause: error });
  }
}

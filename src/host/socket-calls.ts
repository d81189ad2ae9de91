import { MigrateError } from '../base/errors.ts';
import { errnoName, loadKoffi } from './syscalls.ts';

type Native = (...args: readonly (number | Buffer)[]) => number;

/**
 * System calls for asking and telling thousands of sockets of other processes: each about a
 * microsecond, nothing allocated, nothing thrown for what the kernel answers.
 */
export interface SocketCalls {
  /** getsockopt(2) into as much of `value` as there is: bytes written, or the negative errno. */
  ask(fd: number, level: number, option: number, value: Buffer): number;
  /** setsockopt(2): undefined, or why the kernel refused it, such as "ENOENT". */
  tell(fd: number, level: number, option: number, value: Buffer): string | undefined;
  /** pidfd_open(2), closed on exec: undefined when there is no such process. Throws KERNEL. */
  openProcess(pid: number): number | undefined;
  /** pidfd_getfd(2): a duplicate of another's descriptor, undefined when closed. Throws KERNEL. */
  duplicateFrom(processFd: number, fd: number): number | undefined;
  /** if_indextoname(3) in the calling thread's network namespace: undefined without the device. */
  deviceName(index: number): string | undefined;
  /** if_nametoindex(3) there: undefined without the device. */
  deviceIndex(name: string): number | undefined;
}

let bound: SocketCalls | undefined;

export function socketCalls(): SocketCalls {
  bound ??= bind();
  return bound;
}

/** Calls of Linux 5.3 and 5.6 have one number on every architecture. */
const pidfdOpen = 434;
const pidfdGetfd = 438;
/** IFNAMSIZ of include/uapi/linux/if.h */
const deviceNameBytes = 16;

function bind(): SocketCalls {
  const koffi = loadKoffi();
  const libc = koffi.load(null);
  const native = (signature: string): Native => libc.func(signature) as unknown as Native;
  const getsockopt = native('int getsockopt(int fd, int level, int option, void *v, void *size)');
  const setsockopt = native('int setsockopt(int fd, int level, int option, void *v, uint size)');
  const syscall = native('long syscall(long number, long first, long second, long third)');
  const indexToName = libc.func('void *if_indextoname(uint index, void *name)');
  const nameToIndex = libc.func('uint if_nametoindex(str name)');
  const length = Buffer.alloc(4);

  function descriptor(name: string, number: number, first: number, second: number) {
    const fd = syscall(number, first, second, 0);
    if (fd >= 0) return fd;
    const error = errnoName(koffi.errno());
    if (['EBADF', 'ESRCH', 'EINVAL'].includes(error)) return undefined;
    throw new MigrateError('KERNEL', `${name} (${first}, ${second}): ${error}`);
  }

  return {
    ask(fd, level, option, value) {
      length.writeUInt32LE(value.length);
      if (getsockopt(fd, level, option, value, length) !== 0) return -koffi.errno();
      return length.readUInt32LE();
    },
    tell(fd, level, option, value) {
      if (setsockopt(fd, level, option, value, value.length) === 0) return undefined;
      return errnoName(koffi.errno());
    },
    openProcess: (pid) => descriptor('pidfd_open', pidfdOpen, pid, 0),
    duplicateFrom: (processFd, fd) => descriptor('pidfd_getfd', pidfdGetfd, processFd, fd),
    deviceName(index) {
      const name = Buffer.alloc(deviceNameBytes);
      if (indexToName(index, name) === null) return undefined;
      return name.toString('utf8').replace(/\0.*$/s, '');
    },
    deviceIndex: (name) => (nameToIndex(name) as number) || undefined,
  };
}

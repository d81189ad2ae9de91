import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { MigrateError } from '../base/errors.ts';

type Koffi = typeof import('koffi');
type Native = (...args: readonly (number | bigint | string | Buffer | null)[]) => number;

/**
 * System calls that Node has no function for, made synchronously on the calling thread: only such
 * that return at once. Every call throws KERNEL with the call's name and errno; `okErrors` are
 * errno names that are an answer and not a failure, returned as a negative number.
 */
export interface SystemCalls extends SocketCalls {
  /** bpf(2). The attribute is a `union bpf_attr`; see src/network/l3/bpf.ts. */
  bpf(command: number, attribute: Buffer, what: string, okErrors?: readonly string[]): number;
  /** flock(2) without waiting: false when another process holds the lock. */
  tryLock(fd: number): boolean;
  /** mount(2) of a file system without a device. */
  mount(type: string, directory: string): void;
  /** open_by_handle_at(2) with O_PATH; undefined when the object is gone (ESTALE). */
  openByHandle(mountFd: number, handle: Buffer): number | undefined;
  /** pipe2(2), closed on exec: the end to read from, the end to write to. */
  pipe(): [number, number];
  /** setns(2) into a network namespace, for the calling thread alone. */
  enterNetns(fd: number): void;
  /** unshare(2) of the network namespace, for the calling thread alone. */
  newNetns(): void;
  /** if_nametoindex(3) in the calling thread's network namespace; throws KERNEL (ENODEV). */
  interfaceIndex(name: string): number;
  /** Where a Buffer's bytes are, for structures that hold pointers; keep the Buffer alive. */
  addressOf(buffer: Buffer): bigint;
}

/** Those about sockets. */
interface SocketCalls {
  /** socket(2), closed on exec; close it with fs.closeSync. */
  socket(family: number, type: number, protocol: number): number;
  /** sendto(2): bytes sent. `address` is a struct sockaddr. */
  sendTo(fd: number, data: Buffer, address: Buffer): number;
  /** recv(2) into `buffer`: bytes received. EAGAIN after SO_RCVTIMEO is thrown like any other. */
  receive(fd: number, buffer: Buffer): number;
  /** recvfrom(2) without waiting, at most `bytesMax`; undefined when nothing is there. */
  receiveIfAny(fd: number, bytesMax: number): Buffer | undefined;
  /** bind(2). `address` is a struct sockaddr. */
  bind(fd: number, address: Buffer): void;
  /** setsockopt(2). */
  setSocketOption(fd: number, level: number, option: number, value: Buffer): void;
  /** getsockopt(2) of an option of `size` bytes. */
  socketOption(fd: number, level: number, option: number, size: number): Buffer;
  /** ioctl(2) with a number or a structure that the kernel reads and writes; what it returns. */
  ioctl(fd: number, request: number, argument: number | Buffer, what: string): number;
}

let loaded: SystemCalls | undefined;

/** Loads the foreign-function library at the first call (about 20 ms), then answers at once. */
export function systemCalls(): SystemCalls {
  loaded ??= bindSystemCalls(loadKoffi());
  return loaded;
}

/** The number of bpf(2) per architecture: arch/x86/entry/syscalls, include/uapi/asm-generic. */
const bpfNumbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280 };

const lockExclusiveNoWait = 2 | 4;
const socketCloseOnExec = 0o2000000;
const doNotWait = 0x40;
const cloneNewNet = 0x4000_0000;
const openPathCloseOnExec = 0o10000000 | 0o2000000;

/** The foreign-function library. */
export function loadKoffi(): Koffi {
  // A bundle is one CommonJS file: there, `require` is the bundle's own and holds koffi itself.
  if (typeof require === 'function') return require('koffi') as Koffi;
  return createRequire(import.meta.url)('koffi') as Koffi;
}

function bindSystemCalls(koffi: Koffi): SystemCalls {
  const libc = koffi.load(null);
  const native = (signature: string): Native => libc.func(signature) as unknown as Native;
  const syscall = native('long syscall(long number, long command, void *attribute, long size)');
  const flock = native('int flock(int fd, int operation)');
  const mount = native('int mount(str source, str target, str type, ulong flags, void *data)');
  const pipe2 = native('int pipe2(void *fds, int flags)');
  const setns = native('int setns(int fd, int type)');
  const unshare = native('int unshare(int flags)');
  const nameToIndex = native('uint if_nametoindex(str name)');
  const openHandle = native('int open_by_handle_at(int fd, void *handle, int flags)');

  const call: Call = (name, native, what, okErrors = []) => {
    const result = native();
    if (result >= 0) return result;
    const errno = koffi.errno();
    const errorName = errnoName(errno);
    if (okErrors.includes(errorName)) return -errno;
    throw new MigrateError('KERNEL', `${name} (${what}): ${errorName}`, { cause: errno });
  };

  return {
    ...socketCalls(native, call),
    bpf(command, attribute, what, okErrors) {
      const number = bpfNumbers[process.arch];
      if (number === undefined) {
        throw new MigrateError('KERNEL', `bpf: no system call number for ${process.arch}`);
      }
      const bpf = () => syscall(number, command, attribute, attribute.length);
      return call('bpf', bpf, what, okErrors);
    },
    tryLock(fd) {
      return call('flock', () => flock(fd, lockExclusiveNoWait), `${fd}`, ['EAGAIN']) === 0;
    },
    mount(type, directory) {
      call('mount', () => mount(type, directory, type, 0, null), `${type} on ${directory}`);
    },
    openByHandle(mountFd, handle) {
      const open = () => openHandle(mountFd, handle, openPathCloseOnExec);
      const fd = call('open_by_handle_at', open, 'handle', ['ESTALE', 'ENOENT']);
      return fd < 0 ? undefined : fd;
    },
    pipe() {
      const ends = Buffer.alloc(8);
      call('pipe2', () => pipe2(ends, socketCloseOnExec), 'close on exec');
      return [ends.readInt32LE(0), ends.readInt32LE(4)];
    },
    enterNetns(fd) {
      call('setns', () => setns(fd, cloneNewNet), `${fd}`);
    },
    newNetns() {
      call('unshare', () => unshare(cloneNewNet), 'network namespace');
    },
    interfaceIndex(name) {
      return call('if_nametoindex', () => nameToIndex(name) || -1, name);
    },
    addressOf(buffer) {
      return koffi.address(buffer);
    },
  };
}

type Call = (
  name: string,
  native: () => number,
  what: string,
  okErrors?: readonly string[],
) => number;

function socketCalls(native: (signature: string) => Native, call: Call): SocketCalls {
  const socket = native('int socket(int family, int type, int protocol)');
  const sendto = native('long sendto(int fd, void *data, ulong n, int flags, void *to, uint size)');
  const recv = native('long recv(int fd, void *data, ulong n, int flags)');
  const bindTo = native('int bind(int fd, void *address, uint size)');
  const setsockopt = native('int setsockopt(int fd, int level, int option, void *v, uint size)');
  const getsockopt = native('int getsockopt(int fd, int level, int option, void *v, void *size)');
  const ioctl = native('int ioctl(int fd, ulong request, void *argument)');
  return {
    socket(family, type, protocol) {
      const make = () => socket(family, type | socketCloseOnExec, protocol);
      return call('socket', make, `${family}/${type}/${protocol}`);
    },
    sendTo(fd, data, to) {
      const send = () => sendto(fd, data, data.length, 0, to, to.length);
      return call('sendto', send, `${data.length} bytes`);
    },
    receive(fd, buffer) {
      return call('recv', () => recv(fd, buffer, buffer.length, 0), `${fd}`);
    },
    receiveIfAny(fd, bytesMax) {
      const data = Buffer.alloc(bytesMax);
      const receive = () => recv(fd, data, bytesMax, doNotWait);
      // EWOULDBLOCK has the same number, and whichever name Node finds first.
      const got = call('recv', receive, `${fd}`, ['EAGAIN', 'EWOULDBLOCK']);
      return got < 0 ? undefined : data.subarray(0, got);
    },
    bind(fd, address) {
      call('bind', () => bindTo(fd, address, address.length), `${fd}`);
    },
    setSocketOption(fd, level, option, value) {
      const set = () => setsockopt(fd, level, option, value, value.length);
      call('setsockopt', set, `${level}/${option}`);
    },
    socketOption(fd, level, option, size) {
      const value = Buffer.alloc(size);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(size);
      call('getsockopt', () => getsockopt(fd, level, option, value, length), `${level}/${option}`);
      return value;
    },
    ioctl(fd, request, argument, what) {
      const value = typeof argument === 'number' ? BigInt(argument) : argument;
      return call('ioctl', () => ioctl(fd, request, value), what);
    },
  };
}

/** "ENOENT" for 2; the number itself where Node knows no name. */
export function errnoName(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}

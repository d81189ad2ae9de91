import { closeSync, fstatSync } from 'node:fs';
import {
  descriptorInfo,
  nameOfProcess,
  openDescriptorsOf,
  openForeignProcess,
  readProcNet,
} from '../../host/foreign-sockets.ts';
import { inNetns } from '../../host/netns.ts';
import { socketCalls } from '../../host/socket-calls.ts';
import { systemCalls } from '../../host/syscalls.ts';
import { joinedGroups } from '../../network/sockets/groups.ts';
import {
  type SocketKind,
  socketFamilies,
  socketProtocols,
  socketTypes,
  tcpStates,
} from '../../network/sockets/kinds.ts';
import { type SettingsReader, settingsReader } from '../../network/sockets/read.ts';
import { readSockDiag, type SocketDiag } from './diag.ts';
import type { Holder, JobSockets, OpenEnd, SocketAnswers } from './facts.ts';

export interface SocketsWish {
  /** The job's processes, as this host numbers them. */
  readonly pids: readonly number[];
  /** The first of them: in its network namespace, and at its depth of PID namespaces, all are. */
  readonly initPid: number;
  /** l3: the job's device, which the target may call otherwise. */
  readonly device?: string;
}

/**
 * Every socket of a job and what CRIU forgets of it: one dump of sock_diag(7) a protocol, a walk
 * through /proc/PID/fd, some getsockopt(2) a socket: about 40 us each. Changes nothing and waits
 * for nothing, so that it may also look while CRIU dumps the job.
 */
export function readSockets({ pids, initPid, device }: SocketsWish): JobSockets {
  const held = holdersOf(pids, initPid);
  if (held.sockets.size === 0) return { ends: held.rings, waiting: new Map() };
  const netns = `/proc/${initPid}/ns/net`;
  const diag = readSockDiag(netns);
  const joined = joinedGroups(readProcNet(initPid, 'igmp'), readProcNet(initPid, 'igmp6'));
  const asker = socketAsker(netns, settingsReader(netns, joined, device));
  const ends: OpenEnd[] = [...held.rings];
  for (const [pid, sockets] of byProcess(held.sockets)) {
    const process = openForeignProcess(pid);
    if (process === undefined) continue;
    try {
      for (const { inode, holder } of sockets) {
        const own = diag.get(inode);
        // A program that runs may have closed it meanwhile, and have a file at that number now.
        const answers = process.borrow(holder.fd, (socket) =>
          fstatSync(socket).ino === inode ? asker(socket, holder, own) : undefined,
        );
        if (answers !== undefined) ends.push({ holder, inode, diag: own, answers });
      }
    } finally {
      process.close();
    }
  }
  ends.sort((one, other) => one.holder.pid - other.holder.pid || one.holder.fd - other.holder.fd);
  return { ends, waiting: waitingAt(diag) };
}

interface Held {
  readonly sockets: Map<number, Holder>;
  readonly rings: OpenEnd[];
}

function holdersOf(pids: readonly number[], initPid: number): Held {
  const held: Held = { sockets: new Map(), rings: [] };
  const depth = nameOfProcess(initPid)?.pids.length ?? 0;
  for (const pid of pids) {
    const name = nameOfProcess(pid);
    const jobPid = name?.pids[depth - 1];
    if (name === undefined || jobPid === undefined) continue;
    for (const { fd, target } of openDescriptorsOf(pid)) {
      const holder: Holder = { pid, jobPid, program: name.program, fd };
      if (target === 'anon_inode:[io_uring]') held.rings.push({ holder, ring: true });
      const device = attachedDevice(pid, fd, target);
      if (device !== undefined) held.rings.push({ holder, ring: true, device });
      if (!target.startsWith('socket:[')) continue;
      const inode = Number(target.slice('socket:['.length, -1));
      if (!held.sockets.has(inode)) held.sockets.set(inode, holder);
    }
  }
  return held;
}

/**
 * The device that a descriptor is attached to, if it is one of tun(4) or macvtap: CRIU 4.2 dumps it
 * and does not find the device again in a namespace that it did not make (criu/tun.c).
 */
function attachedDevice(pid: number, fd: number, target: string): string | undefined {
  if (/^\/dev\/tap\d+$/.test(target)) return target;
  if (target !== '/dev/net/tun') return undefined;
  return /^iff:\t(\S+)$/m.exec(descriptorInfo(pid, fd))?.[1];
}

function byProcess(
  sockets: ReadonlyMap<number, Holder>,
): Map<number, { inode: number; holder: Holder }[]> {
  const found = new Map<number, { inode: number; holder: Holder }[]>();
  for (const [inode, holder] of sockets) {
    const list = found.get(holder.pid) ?? [];
    list.push({ inode, holder });
    found.set(holder.pid, list);
  }
  return found;
}

function waitingAt(diag: ReadonlyMap<number, SocketDiag>): Map<number, number> {
  const waiting = new Map<number, number>();
  for (const [inode, socket] of diag) {
    if (socket.table !== 'unix') continue;
    for (const peer of socket.waiting) if (peer !== 0) waiting.set(peer, inode);
  }
  return waiting;
}

type Asker = (socket: number, holder: Holder, diag: SocketDiag | undefined) => SocketAnswers;

const socketLevel = 1;
/** include/uapi/asm-generic/socket.h */
const asked = {
  type: 3,
  getFilter: 26,
  peerName: 28,
  protocol: 38,
  domain: 39,
  cookie: 71,
} as const;
const udpCork = 1;
const tcpAoInfo = 40;
/** struct tcp_ao_info_opt of include/uapi/linux/tcp.h */
const aoInfoBytes = 64;
const eacces = -13;
const enoprotoopt = -92;

function socketAsker(netns: string, reader: SettingsReader): Asker {
  const calls = socketCalls();
  const four = Buffer.alloc(4);
  const eight = Buffer.alloc(8);
  const nothing = Buffer.alloc(0);
  const address = Buffer.alloc(128);
  const ao = Buffer.alloc(aoInfoBytes);
  const number = (socket: number, option: number, level = socketLevel): number =>
    calls.ask(socket, level, option, four) < 0 ? 0 : four.readInt32LE();
  const cookie = (socket: number): bigint =>
    calls.ask(socket, socketLevel, asked.cookie, eight) < 0 ? 0n : eight.readBigUInt64LE();
  const home = inFresh(netns, socketFamilies.unix, socketTypes.dgram, cookie);
  const knowsAo = inFresh(
    netns,
    socketFamilies.inet,
    socketTypes.stream,
    (socket) => calls.ask(socket, tcp, tcpAoInfo, ao) !== enoprotoopt,
  );

  return (socket, holder, diag) => {
    const kind = kindIn(diag) ?? {
      family: number(socket, asked.domain),
      type: number(socket, asked.type),
      protocol: number(socket, asked.protocol),
    };
    const isInet = kind.family === socketFamilies.inet || kind.family === socketFamilies.inet6;
    const isTcp = isInet && kind.type === socketTypes.stream && kind.protocol === tcp;
    const isUdp = isInet && kind.type === socketTypes.dgram && udps.includes(kind.protocol);
    const isRaw = isInet && kind.type === socketTypes.raw;
    const isIdle = !isTcp || diag?.table !== 'inet' || idle.includes(diag.state);
    const { groups, left } = reader.groups(socket, kind);
    return {
      kind,
      isCorked: isUdp && number(socket, udpCork, socketProtocols.udp) !== 0,
      hasBpfFilter: calls.ask(socket, socketLevel, asked.getFilter, nothing) === eacces,
      hasAo: knowsAo && isTcp && calls.ask(socket, tcp, tcpAoInfo, ao.fill(0)) >= 0,
      hasPeer: isRaw && calls.ask(socket, socketLevel, asked.peerName, address) >= 0,
      isElsewhere: diag === undefined && cookie(socket) !== home,
      settings: {
        pid: holder.jobPid,
        fd: holder.fd,
        ...kind,
        options: reader.options(socket, kind, isIdle),
        groups,
      },
      settingsLeft: left,
    };
  };
}

const { tcp, udp, udplite } = socketProtocols;
const udps: readonly number[] = [udp, udplite];
const idle: readonly number[] = [tcpStates.close, tcpStates.listen];

/** What sock_diag(7) says already, for most sockets. */
function kindIn(diag: SocketDiag | undefined): SocketKind | undefined {
  if (diag?.table !== 'inet') return undefined;
  const { family, protocol } = diag;
  if (protocol === tcp) return { family, type: socketTypes.stream, protocol };
  if (udps.includes(protocol)) return { family, type: socketTypes.dgram, protocol };
  return undefined;
}

/** Asks a fresh socket of the namespace. */
function inFresh<T>(netns: string, family: number, type: number, use: (socket: number) => T): T {
  const socket = inNetns(netns, () => systemCalls().socket(family, type, 0));
  try {
    return use(socket);
  } finally {
    closeSync(socket);
  }
}

import {
  socketFamilies,
  socketProtocols,
  socketTypes,
  tcpStates,
} from '../../network/sockets/kinds.ts';
import type { InetDiag, NetlinkDiag, PacketDiag, UnixDiag } from './diag.ts';
import type { Holder, JobSockets, OpenEnd, SocketAnswers } from './facts.ts';
import { nameOfKind } from './names.ts';

/**
 * What a move does to a socket beside moving it: `impossible` keeps the job from moving, `lost` is
 * told and done. A socket without a verdict arrives as it was, or is made so by us.
 */
export interface Verdict {
  readonly grade: 'impossible' | 'lost';
  readonly holder: Holder;
  /** What the descriptor is and why it gets this verdict, after "descriptor 3 of ...: ". */
  readonly what: string;
  readonly hint?: string;
}

/**
 * Judges every socket by what CRIU 4.2 does with it (sk-*.c), and by what we add to that. What
 * `isJudged` leaves out still counts as the job's own.
 */
export function classify(
  job: JobSockets,
  isJudged: (end: OpenEnd) => boolean = () => true,
): Verdict[] {
  const inodes = new Set<number>();
  for (const end of job.ends) if (end.ring === undefined) inodes.add(end.inode);
  return job.ends
    .filter(isJudged)
    .flatMap((end) =>
      opinionsOf(end, job, inodes).map((opinion) => ({ holder: end.holder, ...opinion })),
    );
}

type Opinion = Omit<Verdict, 'holder'>;

const impossible = (what: string, hint?: string): Opinion => ({
  grade: 'impossible',
  what,
  ...(hint === undefined ? {} : { hint }),
});
const lost = (what: string): Opinion => ({ grade: 'lost', what });

const soon = 'it passes: try again';

function opinionsOf(end: OpenEnd, job: JobSockets, inodes: ReadonlySet<number>): Opinion[] {
  if (end.ring === true && end.device !== undefined) {
    const hint = 'stop that program for the move; a persistent device itself moves';
    return [impossible(`on the device ${end.device}, which CRIU cannot give back`, hint)];
  }
  if (end.ring === true) {
    const hint = 'turn io_uring off in the program; most that use it can do without';
    return [impossible('a ring of io_uring, which CRIU cannot dump', hint)];
  }
  const { diag, answers, inode } = end;
  const unknown = unsupported(answers);
  if (unknown !== undefined) return [unknown];
  const common = commonOpinions(answers);
  if (diag?.table === 'inet') return [...common, ...inet(diag, answers)];
  if (diag?.table === 'unix') return [...common, ...unix(diag, inode, job, inodes)];
  if (diag?.table === 'packet') return [...common, ...packet(diag)];
  if (diag?.table === 'netlink') return [...common, ...netlink(diag)];
  if (answers.kind.family === socketFamilies.packet) {
    return [impossible('a packet socket that the kernel does not list', 'load packet_diag')];
  }
  return [...common, ...raw(answers)];
}

/** CRIU 4.2, dump_socket() in sockets.c and can_dump_ipproto() in sk-inet.c. */
function unsupported({ kind }: SocketAnswers): Opinion | undefined {
  const { family, type, protocol } = kind;
  const isInet = family === socketFamilies.inet || family === socketFamilies.inet6;
  if (isInet && protocol === socketProtocols.mptcp) {
    const hint =
      'start a Go program with GODEBUG=multipathtcp=0 in its environment; otherwise have it use TCP';
    return impossible('an MPTCP socket, which CRIU cannot dump', hint);
  }
  if (isInet && type === socketTypes.raw) return undefined;
  const protocols: readonly number[] = inetProtocols;
  const families: readonly number[] = Object.values(socketFamilies);
  const types: readonly number[] = [socketTypes.stream, socketTypes.dgram];
  if (isInet && protocols.includes(protocol) && types.includes(type)) return undefined;
  if (!isInet && families.includes(family)) return undefined;
  const name = nameOfKind(kind);
  const hint = 'have the program do without it, or stop it before the move';
  return impossible(`${name}, which CRIU cannot dump`, hint);
}

const { icmp, tcp, udp, icmpv6, udplite } = socketProtocols;
const inetProtocols = [0, icmp, tcp, udp, icmpv6, udplite];

function commonOpinions(answers: SocketAnswers): Opinion[] {
  const { isCorked, hasBpfFilter, isElsewhere, settingsLeft } = answers;
  const found: Opinion[] = [];
  if (isElsewhere) {
    const hint = 'have the program close it; a job has one network namespace';
    found.push(impossible('a socket of another network namespace than the job has', hint));
  }
  if (isCorked) {
    found.push(impossible('a corked UDP socket, which CRIU cannot dump', soon));
  }
  if (hasBpfFilter) {
    const hint = 'have the program attach a classic filter, or none';
    found.push(impossible('a socket with an eBPF filter, which CRIU cannot read', hint));
  }
  if (settingsLeft > 0) {
    found.push(lost(`${settingsLeft} multicast memberships or sources are too many to move`));
  }
  return found;
}

function inet(diag: InetDiag, answers: SocketAnswers): Opinion[] {
  if (answers.kind.type === socketTypes.raw) return [...raw(answers), ...unread(diag)];
  const found: Opinion[] = [];
  if (diag.isLinkLocalPeer) {
    const hint = 'have the program use addresses that are valid beyond one link';
    const what = 'it is connected to an fe80:: address, whose device CRIU does not keep';
    found.push(impossible(what, hint));
  }
  if (diag.protocol !== socketProtocols.tcp) return [...found, ...unread(diag)];
  if (diag.upper !== undefined && diag.upper !== 'mptcp') {
    // Restored as plain TCP, the program's words would leave in the clear.
    const hint = 'turn kernel TLS off in the program (nginx: ssl_conf_command Options -KTLS)';
    found.push(impossible(`TCP with ${diag.upper} in the kernel, which CRIU does not keep`, hint));
  }
  if (diag.hasMd5) found.push(lost('its TCP_MD5SIG keys are lost; its peers will drop it'));
  if (answers.hasAo) found.push(lost('its TCP-AO keys are lost; its peers will drop it'));
  if (diag.state === tcpStates.listen && diag.receiveQueue > 0) {
    found.push(lost(unaccepted(diag.receiveQueue)));
  }
  return found;
}

function raw({ kind, hasPeer }: SocketAnswers): Opinion[] {
  if (kind.type !== socketTypes.raw || !hasPeer) return [];
  return [lost('a connected raw socket; CRIU does not connect it again')];
}

function unread({ receiveQueue }: { readonly receiveQueue: number }): Opinion[] {
  if (receiveQueue === 0) return [];
  return [lost('what it had received and the program had not read is lost')];
}

function unix(
  diag: UnixDiag,
  inode: number,
  { waiting }: JobSockets,
  inodes: ReadonlySet<number>,
): Opinion[] {
  const found: Opinion[] = [];
  const outside = 'a unix socket connected to a process outside the job, which CRIU cannot dump';
  const hint = 'have the program close it (a logger, D-Bus), or run that service in the job';
  if (diag.peer !== 0 && !inodes.has(diag.peer)) found.push(impossible(outside, hint));
  const isConnected = diag.state === tcpStates.established && diag.type !== socketTypes.dgram;
  if (isConnected && diag.peer === 0) {
    const listener = waiting.get(inode);
    if (listener !== undefined && !inodes.has(listener)) found.push(impossible(outside, hint));
    else if (listener === undefined && !diag.isShut) {
      found.push(impossible('a unix socket whose other end nobody holds', soon));
    } else if (listener !== undefined && diag.sendQueue > 0) {
      const what = 'a unix socket that has sent before it was accepted, which CRIU cannot dump';
      found.push(impossible(what, soon));
    }
  }
  if (diag.state !== tcpStates.listen) return found;
  if (diag.waiting.includes(0)) {
    found.push(impossible('a unix listener whose client left before it was accepted', soon));
  }
  const strangers = diag.waiting.filter((peer) => peer !== 0 && !inodes.has(peer)).length;
  if (strangers > 0) found.push(lost(unaccepted(strangers)));
  return found;
}

/** CRIU 4.2, sk-packet.c: devices go by number, and a ring begins anew at its first frame. */
function packet(diag: PacketDiag): Opinion[] {
  const hint = 'stop the program before the move';
  if (diag.hasRing) {
    const what = 'a packet socket with a ring, whose place in it CRIU does not keep';
    return [impossible(what, `${hint}, or have it read without PACKET_RX_RING`)];
  }
  const devices = [diag.device, ...diag.memberships.map(({ device }) => device)];
  if (devices.some((device) => device !== 0 && device !== loopbackDevice)) {
    const what = 'a packet socket bound to a device, whose number differs on the target';
    return [impossible(what, hint)];
  }
  if (diag.memberships.some(({ count }) => count !== 1)) {
    return [impossible('a packet socket with a membership made twice', hint)];
  }
  return unread(diag);
}

/** The number of `lo` in every network namespace (net/core/dev.c, LOOPBACK_IFINDEX). */
const loopbackDevice = 1;

/** CRIU 4.2, sk-netlink.c, dump_one_netlink_fd(): at most one word of groups. */
function netlink({ receiveQueue, groups, port }: NetlinkDiag): Opinion[] {
  if (receiveQueue > 0) {
    const what = 'a netlink socket with data that the program has not read, which CRIU cannot dump';
    return [impossible(what, 'have the program read it, or try again')];
  }
  if (groups === undefined) return [];
  const hint = 'stop the program before the move';
  const words = groups.length / 4;
  const used = groups.subarray(-4).every((byte) => byte === 0) ? words - 1 : words;
  if (used > 1) return [impossible('a netlink socket with more groups than CRIU can keep', hint)];
  if (port > 0) return [];
  return [impossible('a netlink socket with groups and without a port', hint)];
}

function unaccepted(count: number): string {
  if (count === 1) return '1 connection not accepted yet is lost';
  return `${count} connections not accepted yet are lost`;
}

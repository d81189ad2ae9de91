import type { Descriptor } from '../../host/proc.ts';
import { called, type Obstacle } from './trees.ts';

/** What one process has open; `tree` is undefined for one that does not move. */
export interface Holder {
  readonly pid: number;
  readonly name: string;
  readonly tree: number | undefined;
  readonly descriptors: readonly Descriptor[];
}

/** Two ends of connected unix sockets, by inode. */
export interface UnixPair {
  readonly inode: number;
  readonly peer: number;
  readonly path: string;
}

/**
 * What a tree shares with another tree or with a process that stays: CRIU takes one tree, and what
 * hangs between two of them would be torn. One line for each process and kind of thing. Pure.
 */
export function findShared(holders: readonly Holder[], pairs: readonly UnixPair[]): Obstacle[] {
  const owners = ownersByTarget(holders);
  const peers = new Map(pairs.map((pair) => [pair.inode, pair]));
  const obstacles = new Map<string, Obstacle>();
  for (const holder of holders) {
    if (holder.tree === undefined) continue;
    for (const { fd, target } of holder.descriptors) {
      const found =
        terminal(target) ??
        sharedWith(target, holder, owners) ??
        unixPeer(target, holder, owners, peers);
      if (found === undefined) continue;
      const message = `${called(holder)} has on descriptor ${fd} ${found.what}`;
      const key = `${holder.pid} ${found.what}`;
      if (!obstacles.has(key)) obstacles.set(key, { message, hint: found.hint });
    }
  }
  return [...obstacles.values()];
}

interface Finding {
  readonly what: string;
  readonly hint: string;
}

type Owners = ReadonlyMap<string, readonly Holder[]>;

const restartHint = (kind: string): string =>
  `start it again without that ${kind}, such as with </dev/null >>FILE 2>&1`;

function ownersByTarget(holders: readonly Holder[]): Owners {
  const owners = new Map<string, Holder[]>();
  for (const holder of holders) {
    for (const target of new Set(holder.descriptors.map((one) => one.target))) {
      if (!isOneObject(target)) continue;
      owners.set(target, [...(owners.get(target) ?? []), holder]);
    }
  }
  return owners;
}

/** Whether the words name one object in the kernel; files that are on a disk may be shared. */
function isOneObject(target: string): boolean {
  return /^(pipe|socket):\[\d+\]$/.test(target) || target.startsWith('/memfd:');
}

function terminal(target: string): Finding | undefined {
  if (!/^\/dev\/(pts\/\d+|tty\w*|console)$/.test(target)) return undefined;
  return { what: `the terminal ${target}`, hint: restartHint('terminal') };
}

function sharedWith(target: string, holder: Holder, owners: Owners): Finding | undefined {
  const other = owners.get(target)?.find(({ tree }) => tree !== holder.tree);
  if (other === undefined) return undefined;
  const kind = target.startsWith('/') ? 'memory file' : (target.split(':')[0] ?? 'file');
  return { what: `a ${kind} that ${called(other)} has too`, hint: restartHint(kind) };
}

function unixPeer(
  target: string,
  holder: Holder,
  owners: Owners,
  peers: ReadonlyMap<number, UnixPair>,
): Finding | undefined {
  const pair = peers.get(Number(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? 0));
  if (pair === undefined || pair.peer === 0) return undefined;
  const [other] = owners.get(`socket:[${pair.peer}]`) ?? [];
  if (other !== undefined && other.tree === holder.tree) return undefined;
  const whose = other === undefined ? 'somebody else' : called(other);
  return {
    what: `a unix socket that is connected to ${whose}`,
    hint: 'end that connection: a service beside the tree (syslog, D-Bus, php-fpm) stays where it is',
  };
}

/** Reads `ss -xanH`: the inode of a socket and of its peer, 0 for none. */
export function readUnixPairs(text: string): UnixPair[] {
  return text.split('\n').flatMap((line) => {
    const [, , , , path = '', inode, , peer] = line.trim().split(/\s+/);
    if (inode === undefined || peer === undefined) return [];
    return [{ inode: Number(inode), peer: Number(peer), path }];
  });
}

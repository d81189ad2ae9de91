import { allPids, descriptorsOf, namespaceIn, readProcess, threadsIn } from '../../host/proc.ts';
import { tcpStates } from '../../network/sockets/kinds.ts';
import { readSockDiag, type SocketDiag } from '../sockets/diag.ts';
import { findStranger } from './members.ts';
import type { Holder } from './shared.ts';
import { called, type Obstacle } from './trees.ts';

/**
 * What of a network namespace belongs to processes that stay: a socket that one took out of it, a
 * thread of one that is in it alone. Neither would arrive, and the namespace would not end here.
 * `members` are the processes that move. Touches nothing.
 */
export async function findOutsiders(
  netns: string,
  members: ReadonlySet<number>,
): Promise<Obstacle[]> {
  const pids = (await allPids()).filter((pid) => pid !== process.pid);
  const [holders, threads] = await Promise.all([
    Promise.all(pids.map((pid) => holderOf(pid, members))),
    findThreads(netns, pids, members),
  ]);
  const isHolder = (one: Holder | undefined) => one !== undefined;
  return [...threads, ...findTaken(holders.filter(isHolder), readSockDiag(netns))];
}

/**
 * A process that is in the namespace of a job that has a cgroup, and not in that. `first` is the
 * job's first process: what started it waits for its end outside of the cgroup, and is ours.
 */
export async function findBeside(
  netns: string,
  members: ReadonlySet<number>,
  first: number,
): Promise<Obstacle | undefined> {
  const known = new Set(members);
  let at = first;
  for (let depth = 0; depth < launcherDepthMax && at > 1; depth += 1) {
    at = (await readProcess(at))?.ppid ?? 0;
    known.add(at);
  }
  const stranger = await findStranger(netns, known);
  if (stranger === undefined) return undefined;
  return {
    message: `${called(stranger)} is in the job's network namespace and not in the job`,
    hint: 'end it: it would stay behind, in a namespace without a way out',
  };
}

/** `nsenter`, `unshare` and what sets limits become one another: one process or two. */
const launcherDepthMax = 4;

/** Sockets of the namespace that none of those who move has, one line a process. Pure. */
export function findTaken(
  holders: readonly Holder[],
  sockets: ReadonlyMap<number, SocketDiag>,
): Obstacle[] {
  const moving = new Set(
    holders
      .filter(({ tree }) => tree !== undefined)
      .flatMap(({ descriptors }) => descriptors.map(({ target }) => target)),
  );
  return holders.flatMap((holder): Obstacle[] => {
    if (holder.tree !== undefined) return [];
    const taken = holder.descriptors.find(({ target }) => {
      const socket = sockets.get(Number(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? 0));
      return socket !== undefined && isReachable(socket) && !moving.has(target);
    });
    if (taken === undefined) return [];
    return [
      {
        message: `${called(holder)} stays, and has on descriptor ${taken.fd} a socket of the network namespace`,
        hint: 'end it, or start all of it inside the namespace, so that it moves too',
      },
    ];
  });
}

/** Whether the network, or a program that moves, may talk to it. */
function isReachable(socket: SocketDiag): boolean {
  if (socket.table === 'netlink') return false;
  return socket.table !== 'unix' || socket.state === tcpStates.listen;
}

async function findThreads(
  netns: string,
  pids: readonly number[],
  members: ReadonlySet<number>,
): Promise<Obstacle[]> {
  const wanted = await namespaceIn(netns, 'net');
  const found = await Promise.all(
    pids.map(async (pid): Promise<Obstacle[]> => {
      const spaces = await threadsIn(pid, 'net');
      const isMember = members.has(pid);
      const isOdd = (space: string) => (space === wanted) !== (spaces[0] === wanted);
      if (spaces[0] === undefined || !spaces.some(isOdd)) return [];
      const stat = await readProcess(pid);
      if (stat === undefined) return [];
      const where = isMember ? 'has a thread outside of' : 'stays, and has a thread in';
      return [
        {
          message: `${called(stat)} ${where} the network namespace`,
          hint: 'end it: a process moves with all of its threads in one network namespace',
        },
      ];
    }),
  );
  return found.flat();
}

async function holderOf(pid: number, members: ReadonlySet<number>): Promise<Holder | undefined> {
  const [stat, descriptors] = await Promise.all([readProcess(pid), descriptorsOf(pid)]);
  const tree = members.has(pid) ? 0 : undefined;
  return stat === undefined ? undefined : { pid, name: stat.name, tree, descriptors };
}

import type { Member } from './members.ts';

/** One process tree in a network namespace: CRIU dumps one tree at a time. */
export interface JobTree {
  /** Its first process as this host numbers it, and the clock ticks at which that began. */
  readonly pid: number;
  readonly startTime: number;
  readonly name: string;
  /** The same process as its own PID namespace numbers it. */
  readonly nsPid: number;
  /** Trees of one PID namespace are a group: their pids do not collide, those of two may. */
  readonly group: number;
  /** Every process of it, the first one first. */
  readonly members: readonly Member[];
}

/** Something that keeps a move from being done, and what a person can do about it. */
export interface Obstacle {
  readonly message: string;
  readonly hint: string;
}

/**
 * Sorts the processes of a host into the trees of a network namespace. A tree begins with a process
 * whose parent is not in the namespace, or is our own init. Pure; `us` is where we are: the tools
 * that we have in the namespace are no tree of it.
 */
export function sortIntoTrees(
  everything: readonly Member[],
  us: { readonly pid: number; readonly pidns: string },
): { trees: JobTree[]; obstacles: Obstacle[] } {
  const { pidns: hostPidns } = us;
  const tools = new Set(descendantsOf(us.pid, childrenByParent(everything)));
  const all = everything.filter((one) => one.pid !== us.pid && !tools.has(one));
  const byPid = new Map(all.map((member) => [member.pid, member]));
  const children = childrenByParent(all);
  const inits = new Map(all.filter((one) => one.isOurInit).map((one) => [one.pidns, one.pid]));
  const isMember = (pid: number): boolean => {
    const found = byPid.get(pid);
    return found?.isInside === true && !found.isOurInit;
  };
  const roots = all.filter(({ pid, ppid }) => isMember(pid) && !isMember(ppid));
  const groups = [...new Set([hostPidns, ...roots.map(({ pidns }) => pidns)])].filter((pidns) =>
    roots.some((root) => root.pidns === pidns),
  );
  const obstacles: Obstacle[] = [];
  const trees = roots
    .map((root): JobTree => {
      const { pid, startTime, name, nsPid, pidns } = root;
      const members = [root, ...descendantsOf(pid, children)];
      obstacles.push(...misplaced(members, hostPidns, inits));
      return { pid, startTime, name, nsPid, group: groups.indexOf(pidns), members };
    })
    .sort((a, b) => a.group - b.group || a.nsPid - b.nsPid);
  return { trees, obstacles };
}

function childrenByParent(all: readonly Member[]): Map<number, Member[]> {
  const children = new Map<number, Member[]>();
  for (const member of all) {
    children.set(member.ppid, [...(children.get(member.ppid) ?? []), member]);
  }
  return children;
}

function descendantsOf(pid: number, children: ReadonlyMap<number, Member[]>): Member[] {
  const found = [...(children.get(pid) ?? [])];
  for (let at = 0; at < found.length; at += 1) {
    found.push(...(children.get(found[at]?.pid ?? 0) ?? []));
  }
  return found;
}

/** What of a tree is not where the tree is. */
function misplaced(
  members: readonly Member[],
  hostPidns: string,
  inits: ReadonlyMap<string, number>,
): Obstacle[] {
  const [root] = members;
  if (root === undefined) return [];
  const init = inits.get(root.pidns);
  if (root.pidns !== hostPidns && init === undefined) {
    return [
      {
        message: `${called(root)} is in a PID namespace of its own`,
        hint: 'a container cannot move with the namespace: stop it, or move it by its own means',
      },
    ];
  }
  if (init !== undefined && root.ppid !== init) {
    return [
      {
        message: `${called(root)} is in the PID namespace of processes that moved here`,
        hint: 'it was started with `migrate exec` or nsenter: wait for it to end',
      },
    ];
  }
  return members.flatMap((member) => {
    if (!member.isInside) {
      return [
        {
          message: `${called(member)} has left the network namespace, its parent is in it`,
          hint: `end it, or start it from outside of the tree of ${called(root)}`,
        },
      ];
    }
    if (member.pidns === root.pidns) return [];
    return [
      {
        message: `${called(member)} is in another PID namespace than ${called(root)}`,
        hint: 'end it: a PID namespace within the tree cannot move',
      },
    ];
  });
}

/** `process 4711 (nginx)` */
export function called({ pid, name }: Pick<Member, 'pid' | 'name'>): string {
  return `process ${pid} (${name})`;
}

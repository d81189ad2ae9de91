import {
  allPids,
  descriptorsOf,
  type NamespaceKind,
  namespaceOf,
  readMounts,
  readProcess,
} from '../../host/proc.ts';
import { run } from '../../host/run.ts';
import { foreignMounts } from './mounts.ts';
import { findOutsiders } from './outsiders.ts';
import { findShared, type Holder, readUnixPairs } from './shared.ts';
import { called, type JobTree, type Obstacle } from './trees.ts';

/**
 * Why trees could not go although each is where it should be: what they share with others, where
 * they would not be at home on the target. Touches nothing.
 */
export async function findObstacles(netns: string, trees: readonly JobTree[]): Promise<Obstacle[]> {
  const found = await Promise.all([
    foreignNamespaces(trees),
    terminals(trees),
    mountsOfTheirOwn(trees),
    shared(netns, trees),
    findOutsiders(netns, new Set(trees.flatMap(({ members }) => members.map(({ pid }) => pid)))),
  ]);
  return found.flat();
}

/** Trees are restored into these namespaces of the target, so they must be in the host's here. */
const hostKinds: readonly NamespaceKind[] = ['user', 'cgroup', 'ipc', 'uts'];

async function foreignNamespaces(trees: readonly JobTree[]): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  for (const kind of hostKinds) {
    const ours = await namespaceOf('self', kind);
    for (const member of trees.flatMap(({ members }) => members)) {
      const theirs = await namespaceOf(member.pid, kind);
      if (theirs === undefined || theirs === ours) continue;
      obstacles.push({
        message: `${called(member)} has ${kind === 'ipc' ? 'an' : 'a'} ${kind} namespace of its own`,
        hint: 'a container cannot move with the namespace: stop it, or move it by its own means',
      });
    }
  }
  return obstacles;
}

async function terminals(trees: readonly JobTree[]): Promise<Obstacle[]> {
  const members = trees.flatMap((tree) => tree.members);
  const stats = await Promise.all(members.map(({ pid }) => readProcess(pid)));
  const bound = stats.filter((stat) => stat !== undefined).filter(({ terminal }) => terminal !== 0);
  return bound.map((stat) => ({
    message: `${called(stat)} has a controlling terminal`,
    hint: 'start it again with setsid(1), and its input and output away from the terminal',
  }));
}

async function mountsOfTheirOwn(trees: readonly JobTree[]): Promise<Obstacle[]> {
  const host = await readMounts('self');
  const obstacles: Obstacle[] = [];
  for (const { pid, name, members } of trees) {
    const mnt = await namespaceOf(pid, 'mnt');
    for (const member of members) {
      const theirs = await namespaceOf(member.pid, 'mnt');
      if (theirs === undefined || theirs === mnt) continue;
      obstacles.push({
        message: `${called(member)} is in another mount namespace than ${called({ pid, name })}`,
        hint: 'start it from outside of that tree: each tree moves with one mount namespace',
      });
    }
    const [foreign] = foreignMounts(host, await readMounts(pid));
    if (foreign === undefined) continue;
    obstacles.push({
      message: `${called({ pid, name })} has a mount of its own on ${foreign}`,
      hint: 'it would see another file system on the target: start it without that mount',
    });
  }
  return obstacles;
}

async function shared(netns: string, trees: readonly JobTree[]): Promise<Obstacle[]> {
  const treeOf = new Map(
    trees.flatMap(({ members }, tree) => members.map(({ pid }) => [pid, tree] as const)),
  );
  const [holders, { stdout }] = await Promise.all([
    Promise.all((await allPids()).map((pid) => holderOf(pid, treeOf.get(pid)))),
    run('nsenter', [`--net=${netns}`, 'ss', '-xanH']),
  ]);
  return findShared(
    holders.filter((holder) => holder !== undefined),
    readUnixPairs(stdout),
  );
}

async function holderOf(pid: number, tree: number | undefined): Promise<Holder | undefined> {
  const [stat, descriptors] = await Promise.all([readProcess(pid), descriptorsOf(pid)]);
  return stat === undefined ? undefined : { pid, name: stat.name, tree, descriptors };
}

import { MigrateError } from '../../base/errors.ts';
import { treesMax } from '../../bundle/index.ts';
import { namespaceOf } from '../../host/proc.ts';
import { netnsNameOf } from '../../job/paths.ts';
import { readMembers } from './members.ts';
import { findObstacles } from './obstacles.ts';
import { type JobTree, type Obstacle, sortIntoTrees } from './trees.ts';

/** Obstacles that one refusal names: more would hide the first. */
const obstaclesMax = 5;

/**
 * The process trees in a job's network namespace. Throws PLAN_REFUSED with every reason why they
 * cannot go as they are.
 */
export async function surveyTrees(name: string, netns: string): Promise<JobTree[]> {
  const { trees, obstacles } = await findTrees(netns);
  refuse(obstacles);
  firstOf(trees, name);
  if (trees.length > treesMax) {
    throw refusal(`${trees.length} process trees run in it, ${treesMax} can move at once`, {
      hint: 'start them from one process, which makes them one tree',
    });
  }
  refuse(await findObstacles(netns, trees));
  return trees;
}

/**
 * The first tree. Throws PLAN_REFUSED when there is none: processes are what a live move is for,
 * and a move of nothing would hide that they have ended.
 */
export function firstOf(trees: readonly JobTree[], name: string): JobTree {
  const [first] = trees;
  if (first !== undefined) return first;
  throw refusal(`nothing runs in the network namespace ${netnsNameOf(name)}`, {
    hint: 'start a program in it first, or make it on the other host with `ip netns add`',
  });
}

/** The trees as they are now, and what of them is not where its tree is. */
export async function findTrees(
  netns: string,
): Promise<{ trees: JobTree[]; obstacles: Obstacle[] }> {
  const [members, pidns = ''] = await Promise.all([readMembers(netns), namespaceOf('self', 'pid')]);
  return sortIntoTrees(members, { pid: process.pid, pidns });
}

function refuse(obstacles: readonly Obstacle[]): void {
  const [first] = obstacles;
  if (first === undefined) return;
  const said = obstacles.slice(0, obstaclesMax).map(({ message }) => message);
  const more = obstacles.length - said.length;
  throw refusal(`${said.join('; ')}${more > 0 ? `; and ${more} more` : ''}`, first);
}

function refusal(message: string, { hint }: { readonly hint: string }): MigrateError {
  return new MigrateError('PLAN_REFUSED', message, {
    side: 'source',
    location: 'source-running',
    hint,
  });
}

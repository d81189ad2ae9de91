import type { MoveMode } from '../../src/index.ts';
import { expectPass, startKeeper } from './keeper.ts';
import { moveMemory } from './memory-move.ts';
import { median, tell, type World } from './world.ts';

/** Words of the command line for each mode; `auto` goes over to post-copy under so low a limit. */
export const memoryModes: readonly (readonly [MoveMode, string])[] = [
  ['stop-copy', '--mode stop-copy'],
  ['pre-copy', '--mode pre-copy'],
  ['post-copy', '--mode post-copy'],
  ['auto', '--mode auto'],
  ['auto', '--mode auto --max-frozen 20'],
];

/** Moves a keeper of its memory between a and b: it says PASS after each move and at the end. */
export async function moveBackAndForth(
  world: World,
  what: { readonly options: string; readonly words: string; readonly moves: number },
): Promise<void> {
  const keeper = await startKeeper(world, 'a', { options: what.options });
  const frozen: number[] = [];
  for (let move = 0; move < what.moves; move += 1) {
    const [from, to] = move % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const);
    frozen.push((await moveMemory(world, keeper.name, from, to, what.words)).frozenMs);
    expectPass(await keeper.judge(to));
  }
  expectPass(await keeper.end(what.moves % 2 === 0 ? 'a' : 'b'));
  tell(`${what.moves} moves, ${what.words}, ${what.options}`, { 'frozen (ms)': median(frozen) });
}

import { expect } from 'vitest';
import type { Running, World } from './world.ts';

/** Slow enough that every phase lasts longer than a lab takes to cut. */
const RATE = '--bandwidth 3M --compress none';

/** Starts a slow move and lets it come to a phase. */
export async function moveUntil(world: World, mode: string, phase: string): Promise<Running> {
  const move = world.start(
    'a',
    `echo $$ > /run/keeper-move.pid; exec migrate keeper b --mode ${mode} ${RATE} --json`,
  );
  for (;;) {
    const line = JSON.parse(await move.line()) as { type: string; name?: string };
    expect(line.type, JSON.stringify(line)).not.toMatch(/error|result/);
    if (line.name === phase) return move;
  }
}

/** The agent is the one that has the journal open. */
export const KILL_AGENT = `
for file in /var/lib/migrate/journal/*.target.jsonl; do
  for fd in /proc/[0-9]*/fd/*; do
    if [ "$fd" -ef "$file" ]; then
      pid=\${fd#/proc/}; kill -9 "\${pid%%/*}"; exit
    fi
  done
done
exit 1`;

import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { resultsDir, type Stage, stageLists } from './stages.ts';
import { add, formatTotals, noTests, totalsOf } from './totals.ts';

const top = join(import.meta.dirname, '..');

/** CI gives ninety minutes; stopping a little earlier leaves time to say what was slow. */
const budgetMs = { check: 10, test: 85, long: 24 * 60 } as const;
const minuteMs = 60_000;

/** Runs every stage of a list, also after a failure, and prints the totals last. */
async function runStages(list: string): Promise<void> {
  const stages = stageLists[list];
  if (stages === undefined) throw new Error(`no such list of stages: ${list}`);
  process.chdir(top);
  rmSync(resultsDir, { recursive: true, force: true });
  mkdirSync(resultsDir, { recursive: true });
  const endMs = Date.now() + budgetMs[list as keyof typeof budgetMs] * minuteMs;
  const failed: string[] = [];
  let totals = noTests;
  for (const stage of stages) {
    process.stderr.write(`\n== ${stage.name}: ${stage.command.join(' ')}\n`);
    const succeeded = await runStage(stage, endMs);
    if (!succeeded) failed.push(stage.name);
    totals = add(totals, totalsOf(stage.report, succeeded));
  }
  if (failed.length > 0) process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
  const line = formatTotals(totals);
  writeFileSync(join(resultsDir, 'totals.txt'), `${line}\n`);
  if (list !== 'check') process.stdout.write(`${line}\n`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

/** The stage's process group is killed at the end of the budget: it then counts as failed. */
function runStage(stage: Stage, endMs: number): Promise<boolean> {
  const [program, ...args] = stage.command;
  const path = `${join(top, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`;
  const child = spawn(program, args, {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const stop = (signal: NodeJS.Signals) => child.pid && killGroup(child.pid, signal);
  const late = setTimeout(
    () => {
      process.stderr.write(`\n${stage.name}: killed, the time for all stages is over\n`);
      stop('SIGKILL');
    },
    Math.max(0, endMs - Date.now()),
  );
  const interrupted = (signal: NodeJS.Signals) => {
    stop(signal);
    process.exit(130);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  return new Promise((resolve) => {
    const done = (succeeded: boolean) => {
      clearTimeout(late);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
      resolve(succeeded);
    };
    child.once('error', () => done(false));
    child.once('close', (exitCode) => done(exitCode === 0));
  });
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended by itself.
  }
}

await runStages(process.argv[2] ?? '');

import type { Command } from 'commander';
import type { Recovery } from '../../src/index.ts';
import { type Context, writeJson, writeLine } from '../context.ts';
import { locationInWords, oneLine } from '../words.ts';

export function registerRecover(program: Command, context: Context): void {
  program
    .command('recover')
    .description('finish or undo moves that were cut off')
    .argument('[JOB]', 'only the moves of this job')
    .option('--json', 'JSON lines on standard output')
    .action(async (job: string | undefined, flags: { json?: true }) => {
      context.signals.watch();
      const recoveries: Recovery[] = [];
      try {
        const api = await context.api();
        await api.recoverJobs(job, (recovery) => recoveries.push(recovery));
      } finally {
        for (const recovery of recoveries) {
          if (flags.json) await writeJson(context, { type: 'recovery', ...recovery });
          else await writeLine(context.out, inWords(recovery));
        }
      }
      if (recoveries.length === 0 && !flags.json) {
        await writeLine(context.out, 'nothing to recover');
      }
      context.exitCode = exitOf(recoveries);
    });
}

function inWords({ job, action, location }: Recovery): string {
  return `${oneLine(job)}: ${oneLine(action)}, ${locationInWords(location, job)}`;
}

/** 0 only when every job runs somewhere; otherwise somebody has to look. */
function exitOf(recoveries: readonly Recovery[]): number {
  const places = recoveries.map(({ location }) => location);
  if (places.some((place) => place === 'unknown' || place === 'target-stopped')) return 21;
  return places.includes('source-frozen') ? 20 : 0;
}

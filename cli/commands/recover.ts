import { type Command, Option } from 'commander';
import type { LostWish, Recovery } from '../../src/index.ts';
import { type Context, writeJson, writeLine } from '../context.ts';
import { usageError } from '../usage.ts';
import { locationInWords, oneLine } from '../words.ts';

export function registerRecover(program: Command, context: Context): void {
  program
    .command('recover')
    .description('finish or undo moves that were cut off')
    .argument('[JOB]', 'only the moves of this job')
    .addOption(
      new Option(
        '--lost <way>',
        'of a job that post-copy lost: let its copy here go on, or end it',
      ).choices(['resume', 'end']),
    )
    .option('--json', 'JSON lines on standard output')
    .action(async (job: string | undefined, flags: { json?: true; lost?: LostWish }) => {
      if (flags.lost !== undefined && job === undefined) {
        throw usageError('--lost is about one job: name it');
      }
      context.signals.watch();
      const recoveries: Recovery[] = [];
      try {
        const api = await context.api();
        await api.recoverJobs(job, (recovery) => recoveries.push(recovery), flags.lost);
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
  if (action === 'finished' && location === 'ended') {
    return `${oneLine(job)}: finished, its copy on this host has ended`;
  }
  if (action === 'lost') return `${oneLine(job)}: ${lostInWords(job)}`;
  return `${oneLine(job)}: ${oneLine(action)}, ${locationInWords(location, job)}`;
}

function lostInWords(job: string): string {
  return (
    'ran on the target and was lost there; its copy of before is frozen on the ' +
    `source until \`migrate recover ${oneLine(job)} --lost resume\` or \`--lost end\``
  );
}

/** 0 only when every job runs somewhere; otherwise somebody has to look. */
function exitOf(recoveries: readonly Recovery[]): number {
  const places = recoveries.map(({ location }) => location);
  if (places.some((place) => place === 'unknown' || place === 'target-stopped')) return 21;
  return places.includes('source-frozen') ? 20 : 0;
}

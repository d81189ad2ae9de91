import type { Command } from 'commander';
import type { JobRecord } from '../../src/index.ts';
import { type Context, writeJson } from '../context.ts';
import { outline, table } from '../report/table.ts';

/** `ls` and `show`: the jobs of this host. */
export function registerList(program: Command, context: Context): void {
  program
    .command('ls')
    .description('list the jobs of this host')
    .option('--json', 'JSON lines on standard output')
    .action(async (flags: { json?: true }) => {
      const jobs = await (await context.api()).listJobs();
      if (flags.json) for (const job of jobs) await writeJson(context, { type: 'job', ...job });
      else await context.out.write(table(heading, jobs.map(row)));
    });
  program
    .command('show')
    .description('show one job')
    .argument('<NAME>', 'the name of the job')
    .option('--json', 'one JSON line on standard output')
    .action(async (name: string, flags: { json?: true }) => {
      const job = await (await context.api()).findJob(name);
      if (flags.json) await writeJson(context, { type: 'job', ...job });
      else await context.out.write(outline(job));
    });
}

const heading = ['NAME', 'KIND', 'STATE', 'PID', 'ADDRESSES', 'COMMAND'];
const commandCharsMax = 40;

function row(job: JobRecord): string[] {
  const command = job.command.join(' ');
  const pid = job.state === 'ended' ? '-' : String(job.initPid);
  const shown =
    command.length > commandCharsMax ? `${command.slice(0, commandCharsMax - 1)}…` : command;
  return [job.name, job.kind, job.state, pid, job.ip.join(','), shown];
}

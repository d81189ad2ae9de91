import type { Command } from 'commander';
import { type Context, writeJson, writeLine } from '../context.ts';
import { writeWarnings } from '../report/warnings.ts';
import { bytesInWords, msInWords, oneLine } from '../words.ts';

export function registerCheckpoint(program: Command, context: Context): void {
  program
    .command('checkpoint')
    .description('put a job into a file')
    .usage('JOB -o FILE [options]')
    .argument('<JOB>', 'a name, netns:NAME, or pid:N')
    .requiredOption('-o, --output <file>', 'the bundle to write')
    .option('--leave-running', 'let the job go on afterwards')
    .option('--json', 'one JSON line on standard output')
    .action((job: string, flags: CheckpointFlags) => checkpoint(job, flags, context));
}

interface CheckpointFlags {
  readonly output: string;
  readonly leaveRunning?: true;
  readonly json?: true;
}

async function checkpoint(job: string, flags: CheckpointFlags, context: Context): Promise<void> {
  context.moving = job;
  context.signals.watch();
  const { output: file, leaveRunning = false } = flags;
  const api = await context.api();
  const result = await api.checkpointJob(job, file, { leaveRunning });
  if (result.warnings.length > 0) context.exitCode = 3;
  if (flags.json) {
    await writeJson(context, { type: 'checkpoint', job, file, leaveRunning, ...result });
    return;
  }
  await writeWarnings(context, result.warnings);
  const time = `frozen ${msInWords(result.frozenMs)}`;
  const size = `${bytesInWords(result.bytes)} for ${bytesInWords(result.memoryBytes)} of memory`;
  const where = leaveRunning ? 'goes on running here' : `is in ${oneLine(file)}`;
  await writeLine(context.out, `${oneLine(job)}: ${time}, ${size}, ${where}`);
}

import type { Command } from 'commander';
import { asMigrateError, MigrateError } from '../../src/base/errors.ts';
import type { ChannelsWish, CompressWish, MoveMode } from '../../src/index.ts';
import type { Context } from '../context.ts';
import { createMoveReport, type ReportOptions } from '../report/move.ts';
import { given, parseMilliseconds, parseRate, parseSeconds, usageError } from '../usage.ts';

/** `migrate JOB HOST`: the program's own action, so it has no name. */
export function registerMove(program: Command, context: Context): void {
  program
    .usage('JOB HOST [options]\n       migrate COMMAND ...')
    .argument('<JOB>', 'a name, netns:NAME, or pid:N')
    .argument('[HOST]', 'anything that ssh accepts')
    .option('--mode <mode>', modes.join(', '), parseMode, 'auto')
    .option('--max-frozen <ms>', 'how long the job may stand still', parseMilliseconds)
    .option('--bandwidth <rate>', 'bytes a second at most: 10M, 1G; or bits: 100Mbit', parseRate)
    .option('--compress <how>', compressions.join(', '), parseCompression, 'auto')
    .option('--channels <n>', 'of SSH, for memory: auto, or 1 to 8', parseChannels, 'auto')
    .option('--timeout <seconds>', 'roll back when the move takes longer', parseSeconds)
    .option('--json', 'JSON lines on standard output')
    .option('--quiet', 'print warnings and errors only')
    .action((job: string, host: string | undefined, flags: MoveFlags) => {
      if (host !== undefined) return move(job, host, flags, context);
      throw usageError(`HOST is missing to move a job '${job}', and no command has that name`);
    });
}

interface MoveFlags extends ReportOptions {
  readonly mode: MoveMode;
  readonly maxFrozen?: number;
  readonly bandwidth?: number;
  readonly compress: CompressWish;
  readonly channels: ChannelsWish;
  readonly timeout?: number;
}

async function move(job: string, host: string, flags: MoveFlags, context: Context): Promise<void> {
  context.moving = job;
  const signal = context.signals.watch();
  const report = createMoveReport(context, flags);
  const api = await context.api();
  try {
    const result = await api.moveJob(job, host, {
      mode: flags.mode,
      compress: flags.compress,
      channels: flags.channels,
      ...given({
        timeoutMs: flags.timeout,
        maxFrozenMs: flags.maxFrozen,
        bytesPerSecond: flags.bandwidth,
      }),
      signal,
      onEvent: (event) => report.event(event),
    });
    await report.result(result);
    context.exitCode = result.warnings.length > 0 ? 3 : 0;
  } catch (error) {
    report.end();
    throw signal.aborted ? afterSignal(asMigrateError(error)) : error;
  }
}

/** Ctrl-C reaches the programs that we run too: what then fails first is not what went wrong. */
function afterSignal(error: MigrateError): MigrateError {
  const { location = 'source-running', phase } = error.details;
  if (location !== 'source-running' || error.code === 'INTERNAL') return error;
  return new MigrateError('INTERRUPTED', 'a signal ended the move, it was rolled back', {
    location,
    cause: error,
    ...given({ phase }),
  });
}

const compressions: readonly CompressWish[] = ['auto', 'zstd', 'none'];

function parseCompression(text: string): CompressWish {
  const found = compressions.find((one) => one === text);
  if (found !== undefined) return found;
  throw usageError(`'${text}' is no way to compress; there are ${compressions.join(', ')}`);
}

function parseChannels(text: string): ChannelsWish {
  if (text === 'auto') return text;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= channelsMax) return count;
  throw usageError(`'${text}' is not auto and no number from 1 to ${channelsMax}`);
}

/** As many as the transport has. */
const channelsMax = 8;

const modes: readonly MoveMode[] = ['auto', 'stop-copy', 'pre-copy', 'post-copy'];

function parseMode(text: string): MoveMode {
  const mode = modes.find((one) => one === text);
  if (mode !== undefined) return mode;
  throw usageError(`'${text}' is not a mode; there are ${modes.join(', ')}`);
}

import type { Command } from 'commander';
import { type Context, writeJson, writeLine } from '../context.ts';
import { table } from '../report/table.ts';

export function registerStatus(program: Command, context: Context): void {
  program
    .command('status')
    .description('show moves that are under way or were cut off')
    .argument('[JOB]', 'only the moves of this job')
    .option('--json', 'JSON lines on standard output')
    .action(async (job: string | undefined, flags: { json?: true }) => {
      const all = await (await context.api()).listMoves();
      const moves = all.filter((move) => job === undefined || move.job === job);
      if (flags.json) for (const move of moves) await writeJson(context, { type: 'move', ...move });
      else if (moves.length === 0) await writeLine(context.out, 'no move is under way');
      else {
        const rows = moves.map((move) => [
          move.job,
          move.id,
          move.target,
          move.state,
          move.location,
        ]);
        await context.out.write(table(['JOB', 'ID', 'TARGET', 'STATE', 'LOCATION'], rows));
      }
    });
}

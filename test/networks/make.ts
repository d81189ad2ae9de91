import { execFileSync } from 'node:child_process';

/** Programs that read many lines in one start, with what they are started by. */
const batches: Readonly<Record<string, (namespace: string) => readonly [string, ...string[]]>> = {
  ip: (name) => ['ip', '-n', name, '-batch', '-'],
  'ip -6': (name) => ['ip', '-n', name, '-6', '-batch', '-'],
  bridge: (name) => ['bridge', '-n', name, '-batch', '-'],
  tc: (name) => ['tc', '-n', name, '-batch', '-'],
  nft: (name) => ['ip', 'netns', 'exec', name, 'nft', '-f', '-'],
};
const shell = (name: string) => ['ip', 'netns', 'exec', name, 'sh', '-e'] as const;

/** Lines that a program of the same kind reads together, in their order. */
interface Run {
  readonly program: string;
  readonly lines: string[];
}

/**
 * Runs lines of ip(8), bridge(8), tc(8) and nft(8), and of the shell, in a named namespace: as many
 * as possible in one start. Throws with the line that failed and what was said about it.
 */
export function runLines(name: string, lines: readonly string[]): void {
  for (const { program, lines: own } of runsOf(lines)) {
    const [file, ...args] = batches[program]?.(name) ?? shell(name);
    try {
      execFileSync(file, args, { input: `${own.join('\n')}\n`, stdio: 'pipe', encoding: 'utf8' });
    } catch (error) {
      const said = String((error as { stderr?: unknown }).stderr ?? error).trim();
      const at = Number(/^Command failed -:(\d+)/m.exec(said)?.[1] ?? own.length);
      throw new Error(`${program} ${own[at - 1] ?? ''}: ${said}`);
    }
  }
}

function runsOf(lines: readonly string[]): Run[] {
  const runs: Run[] = [];
  for (const line of lines) {
    const program = programOf(line);
    const last = runs.at(-1);
    const own = program === 'sh' ? line : line.slice(program.length + 1);
    if (last?.program === program) last.lines.push(own);
    else runs.push({ program, lines: [own] });
  }
  return runs;
}

/** A batch of `ip maddr` forgets all lines but the first. */
function programOf(line: string): string {
  if (line.startsWith('ip maddr ')) return 'sh';
  if (line.startsWith('ip -6 ')) return 'ip -6';
  const [first = ''] = line.split(' ');
  return first in batches ? first : 'sh';
}

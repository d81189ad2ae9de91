import { join } from 'node:path';
import { execa } from 'execa';

/** The hosts of one bench, driven over the lab's command line as a person would. */
export interface Lab {
  /** The directory that all hosts see as /shared. */
  readonly shared: string;
  /** Runs a command in a host to its end; resolves to what it printed. */
  exec(host: string, ...command: string[]): Promise<string>;
  /** Starts a command that is talked to in lines. */
  talk(host: string, ...command: string[]): Dialogue;
  down(): Promise<void>;
}

export interface Dialogue {
  say(line: string): void;
  /** The next line; rejects when the command has ended. */
  answer(): Promise<string>;
  end(): Promise<void>;
}

/** `done with warnings` of migrate counts as done. */
const doneCodes: readonly (number | undefined)[] = [0, 3];
const checkout = join(import.meta.dirname, '../..');
const main = ['--import', 'tsx', join(checkout, 'lab/main.ts')];

export async function openLab(hosts: readonly string[], cancelSignal: AbortSignal): Promise<Lab> {
  const place = { cwd: checkout, env: { LAB: `bench${process.pid}` } };
  const lab = (...words: string[]) =>
    execa('node', [...main, ...words], { ...place, cancelSignal, stdin: 'ignore', reject: false });
  // In a session of its own, so that a second Ctrl-C does not leave half a lab behind.
  const down = async () => {
    await execa('node', [...main, 'down'], { ...place, detached: true, cleanup: false });
  };
  try {
    const up = await lab('up', ...hosts);
    if (up.exitCode !== 0) throw new Error(`lab up: ${up.stderr || up.shortMessage}`);
    const { shared } = JSON.parse((await lab('ls', '--json')).stdout) as { shared: string };
    return {
      shared,
      async exec(host, ...command) {
        const result = await lab('exec', host, '--', ...command);
        if (doneCodes.includes(result.exitCode)) return result.stdout;
        const words = [result.stdout.split('\n').at(-1), result.stderr].filter(Boolean);
        throw new Error(`${host}: ${command.join(' ')}: ${words.join('\n')}`);
      },
      talk(host, ...command) {
        const words = [...main, 'exec', host, '--', ...command];
        return converse(startTalk(words, { ...place, cancelSignal }));
      },
      down,
    };
  } catch (error) {
    await down().catch(() => undefined);
    throw error;
  }
}

interface Place {
  readonly cwd: string;
  readonly env: { readonly LAB: string };
  readonly cancelSignal: AbortSignal;
}

function startTalk(words: string[], place: Place) {
  return execa('node', words, { ...place, stdin: 'pipe', stdout: 'pipe', reject: false });
}

function converse(child: ReturnType<typeof startTalk>): Dialogue {
  const lines = child.iterable();
  return {
    say: (line) => void child.stdin.write(`${line}\n`),
    async answer() {
      const next = await lines.next();
      if (next.done !== true) return next.value;
      const { stderr } = await child;
      throw new Error(`a client ended: ${stderr.split('\n').at(-1) ?? ''}`);
    },
    async end() {
      child.stdin.end();
      await child;
    },
  };
}

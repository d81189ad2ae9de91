import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa, execaSync } from 'execa';

/** A Python process that runs what it is told, inside a cgroup or a network namespace. */
export interface Agent {
  readonly pid: number;
  /** Runs Python that sets `result`; throws what it raised. */
  run(code: string): Promise<unknown>;
  stop(): Promise<void>;
}

const agentProgram = join(import.meta.dirname, 'l3-agent.py');

/** Starts an agent in `cgroup`, and in a network namespace by its file or a process in it. */
export async function startAgent(cgroup?: string, netnsOf?: number | string): Promise<Agent> {
  const netns = typeof netnsOf === 'number' ? `/proc/${netnsOf}/ns/net` : netnsOf;
  const enter = netns === undefined ? [] : ['nsenter', `--net=${netns}`];
  // The shell moves itself into the cgroup first, so that no socket is made outside of it.
  const join = cgroup === undefined ? '' : `echo $$ > ${cgroup}/cgroup.procs; `;
  const command = [...enter, 'sh', '-c', `${join}exec python3 ${agentProgram}`];
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const run = async (code: string): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(code)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the agent has ended');
    const answer = JSON.parse(value) as { result?: unknown; error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.result;
  };
  const pid = (await run('import os; result = os.getpid()')) as number;
  return { pid, run, stop: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  await new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Moves this process's main thread, and so its children, into a network namespace of its own. */
export function enterNewNetworkNamespace(): void {
  const cloneNewNet = 0x40000000;
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const unshare = koffi.load(null).func('int unshare(int flags)') as (flags: number) => number;
  if (unshare(cloneNewNet) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  ip('link set lo up');
}

export function ip(command: string): string {
  return execaSync('ip', command.split(' ')).stdout;
}

/** A process that does nothing but hold a network namespace. */
export function holdNetworkNamespace(): ChildProcess {
  const child = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
  return child;
}

/** Runs a TypeScript program next to this file, in a network namespace of its own if `isolated`. */
export async function runSupport(
  program: string,
  args: readonly string[],
  isolated: boolean,
): Promise<string> {
  const path = join(import.meta.dirname, program);
  const enter = isolated ? ['unshare', '--net'] : [];
  const command = [...enter, process.execPath, '--import', 'tsx', path, ...args];
  const { stdout } = await execa(command[0] ?? '', command.slice(1));
  return stdout;
}

import { constants } from 'node:os';
import { execa } from 'execa';
import { backendOf } from '../backends.ts';
import { LabError, usage } from '../errors.ts';
import { isAlive } from '../machine/process.ts';
import { type Host, hostNamed, type Lab } from '../model.ts';
import { run } from '../run.ts';
import { requireLab } from '../state.ts';

/** Runs a command in a host with this process's own streams; resolves to its exit status. */
export async function exec(name: string, request: ExecRequest): Promise<number> {
  const lab = await requireLab(name);
  const host = hostNamed(lab, request.host);
  if (!(await isAlive(host.process))) throw new LabError(`${host.name} is not running`);
  if (request.command.length === 0) throw usage('exec NAME [-i] -- CMD...');
  const terminal = request.interactive && process.stdin.isTTY === true;
  const [program, ...args] = await backendOf(lab).enter(lab, host, request.command, terminal);
  const result = await execa(program, args, { stdio: 'inherit', reject: false, buffer: false });
  if (result.exitCode === LOST_BY_SSH && !(await isAlive(host.process))) {
    throw new LabError(`${host.name} died`);
  }
  if (result.exitCode !== undefined) return result.exitCode;
  if (result.signal !== undefined) return SIGNALLED + constants.signals[result.signal];
  throw new LabError(result.originalMessage ?? result.shortMessage ?? 'the command did not start');
}

/** The lab's own small errands in a host. */
export async function runInHost(lab: Lab, host: Host, command: readonly string[]): Promise<string> {
  return run(await backendOf(lab).enter(lab, host, command, false));
}

export interface ExecRequest {
  readonly host: string;
  readonly command: readonly string[];
  readonly interactive: boolean;
}

/** What ssh ends with when it is the connection that failed (ssh(1)). */
const LOST_BY_SSH = 255;
/** As shells report a program that a signal ended. */
const SIGNALLED = 128;

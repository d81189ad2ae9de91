import { join } from 'node:path';
import { execa } from 'execa';
import { LabError } from '../errors.ts';
import { asRootAtHome } from '../host/environment.ts';
import type { Host, Lab } from '../model.ts';
import { pathsOf } from '../paths.ts';
import type { Argv } from '../run.ts';
import { quoted, sshTo } from '../ssh.ts';

/**
 * Opens the connection that all later commands in a guest share: its key exchange is what costs
 * most under emulation. It runs among the host's processes on the machine and ends with them.
 */
export async function startMaster(lab: Lab, host: Host, wrap: readonly string[]): Promise<void> {
  const master = sshTo(lab, host, [], [...MASTER, ...controlPath(lab, host)]);
  const [program = '', ...args] = [...wrap, ...master];
  // No pipes: the master would hold them open for as long as the guest lives.
  const options = { reject: false, stdio: 'ignore', timeout: MASTER_TIMEOUT_MS } as const;
  const result = await execa(program, args, options);
  if (result.failed) throw new LabError(`${host.name} does not keep a connection open`);
}

/** The words that run a command in a guest, over that connection or else over one of its own. */
export function enterBySsh(
  lab: Lab,
  host: Host,
  command: readonly string[],
  terminal: boolean,
): Argv {
  const words = quoted(asRootAtHome(command, terminal));
  const flags = [terminal ? '-tt' : '-T', '-o', 'LogLevel=ERROR', ...controlPath(lab, host)];
  return sshTo(lab, host, [`${SILENT_SHELL} ${words} 2>&3 3>&-; exit $?`], flags);
}

/**
 * The shell stays to tell how the command ended, for ssh itself knows no signals; but what it would
 * remark about that is not the command's own output.
 */
const SILENT_SHELL = 'exec 3>&2 2>/dev/null;';
const MASTER = ['-f', '-N', '-o', 'ControlMaster=yes', '-o', 'ControlPersist=no'];
const MASTER_TIMEOUT_MS = 60_000;

function controlPath(lab: Lab, host: Host): string[] {
  return ['-o', `ControlPath=${join(pathsOf(lab.name).run, `${host.name}.ssh`)}`];
}

import { execa } from 'execa';
import { LabError } from '../errors.ts';
import type { Host, Lab } from '../model.ts';
import { sshTo } from '../ssh.ts';

/**
 * Opens the connection that all later commands in a guest share: its key exchange is what costs
 * most under emulation. It runs among the host's processes on the machine and ends with them.
 */
export async function startMaster(lab: Lab, host: Host, wrap: readonly string[]): Promise<void> {
  const [program = '', ...args] = [...wrap, ...sshTo(lab, host, MASTER)];
  // No pipes: the master would hold them open for as long as the guest lives.
  const options = { reject: false, stdio: 'ignore', timeout: MASTER_TIMEOUT_MS } as const;
  const result = await execa(program, args, options);
  if (result.failed) throw new LabError(`${host.name} does not keep a connection open`);
}

const MASTER = ['-f', '-N', '-o', 'ControlMaster=yes', '-o', 'ControlPersist=no'];
const MASTER_TIMEOUT_MS = 60_000;

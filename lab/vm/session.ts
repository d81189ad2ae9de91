import { execa } from 'execa';
import { LabError } from '../errors.ts';
import type { Host, Lab } from '../model.ts';
import { enterBySsh, sshTo } from '../ssh.ts';

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

/**
 * Sets a guest's clock to the machine's: its own has started from a real-time clock that counts
 * seconds, and a server that moves would find its timers a second older.
 */
export async function setClock(lab: Lab, host: Host, wrap: readonly string[]): Promise<void> {
  const set = ['sh', '-c', 'echo; read -r now && exec date -s "@$now" >/dev/null'];
  const [program = '', ...args] = [...wrap, ...enterBySsh(lab, host, set, false)];
  const child = execa(program, args, { reject: false, timeout: MASTER_TIMEOUT_MS });
  // Now that the shell over there waits, little can come between.
  for await (const _ of child.iterable()) child.stdin.end(`${Date.now() / 1_000}\n`);
  if ((await child).failed) throw new LabError(`the clock of ${host.name} cannot be set`);
}

/** A guest whose kernel panicked says nothing; one that has too much to do answers in the end. */
const SILENCE = ['-o', 'ServerAliveInterval=15', '-o', 'ServerAliveCountMax=4'];
const MASTER = ['-f', '-N', '-o', 'ControlMaster=yes', '-o', 'ControlPersist=no', ...SILENCE];
const MASTER_TIMEOUT_MS = 60_000;

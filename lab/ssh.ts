import { join } from 'node:path';
import { LabError } from './errors.ts';
import { asRootAtHome } from './host/environment.ts';
import { knownHostsFile } from './host/seed.ts';
import { type Host, ipv4, type Lab } from './model.ts';
import { inSegment } from './network/segment.ts';
import { pathsOf } from './paths.ts';
import { type Argv, attempt } from './run.ts';
import { waitUntil } from './wait.ts';

/** The words that open a connection as root from the machine's place on the lab's wire. */
export function sshTo(lab: Lab, host: Host, flags: readonly string[], remote?: string): Argv {
  const paths = pathsOf(lab.name);
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    `IdentityFile=${join(paths.keys, 'root')}`,
    `UserKnownHostsFile=${knownHostsFile(lab.name)}`,
    'GlobalKnownHostsFile=/dev/null',
    'ConnectTimeout=5',
    `ControlPath=${controlSocket(lab.name, host.name)}`,
  ];
  const words = ['ssh', '-F', 'none', ...options.flatMap((option) => ['-o', option]), ...flags];
  const command = remote === undefined ? [] : ['--', remote];
  return inSegment(paths.netns, [...words, `root@${ipv4(host.number)}`, ...command]);
}

/** The words that run a command in a host through its sshd, with a terminal of its own or none. */
export function enterBySsh(
  lab: Lab,
  host: Host,
  command: readonly string[],
  terminal: boolean,
): Argv {
  const words = quoted(asRootAtHome(command, terminal));
  const flags = [terminal ? '-tt' : '-T', '-o', 'LogLevel=ERROR'];
  return sshTo(lab, host, flags, `${SILENT_SHELL} ${words} 2>&3 3>&-; exit $?`);
}

/** Resolves when the host takes the lab's key over its network, as its neighbours will. */
export async function answersSsh(lab: Lab, host: Host): Promise<void> {
  let word = '';
  const answered = await waitUntil(async () => {
    const outcome = await attempt(sshTo(lab, host, [], 'true'), { timeoutMs: TRY_LIMIT_MS });
    word = outcome.stderr.trim().split('\n').at(-1) ?? '';
    return outcome.ok;
  }, SSH_LIMIT);
  if (!answered) throw new LabError(`${host.name} does not answer ssh: ${word}`);
}

/** Where a connection that several commands share is found, if a host has one. */
export function controlSocket(lab: string, host: string): string {
  return join(pathsOf(lab).run, `${host}.ssh`);
}

const SSH_LIMIT = { forMs: 60_000, everyMs: 50 };
const TRY_LIMIT_MS = 20_000;

/**
 * The shell stays to tell how the command ended, for ssh itself knows no signals; but what it would
 * remark about that is not the command's own output.
 */
const SILENT_SHELL = 'exec 3>&2 2>/dev/null;';

/** A remote shell reads these words as the words they are. */
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}

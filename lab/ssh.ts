import { join } from 'node:path';
import { LabError } from './errors.ts';
import { knownHostsFile } from './host/seed.ts';
import { type Host, ipv4, type Lab } from './model.ts';
import { inSegment } from './network/segment.ts';
import { pathsOf } from './paths.ts';
import { type Argv, attempt } from './run.ts';
import { waitUntil } from './wait.ts';

/** Resolves when the host takes the lab's key over its network, as its neighbours will. */
export async function answersSsh(lab: Lab, host: Host): Promise<void> {
  let word = '';
  const answered = await waitUntil(async () => {
    const outcome = await attempt(sshTo(lab, host, ['true']), { timeoutMs: TRY_LIMIT_MS });
    word = outcome.stderr.trim().split('\n').at(-1) ?? '';
    return outcome.ok;
  }, SSH_LIMIT);
  if (!answered) throw new LabError(`${host.name} does not answer ssh: ${word}`);
}

/** The words that run a remote command as root from the machine's place on the lab's wire. */
export function sshTo(
  lab: Lab,
  host: Host,
  command: readonly string[],
  more: readonly string[] = [],
): Argv {
  const paths = pathsOf(lab.name);
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    `IdentityFile=${join(paths.keys, 'root')}`,
    `UserKnownHostsFile=${knownHostsFile(lab.name)}`,
    'GlobalKnownHostsFile=/dev/null',
    'ConnectTimeout=5',
  ];
  const flags = ['-F', 'none', ...options.flatMap((option) => ['-o', option])];
  const to = `root@${ipv4(host.number)}`;
  return inSegment(paths.netns, ['ssh', ...flags, ...more, to, '--', ...command]);
}

/** A remote shell reads these words as the words they are. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}

const SSH_LIMIT = { forMs: 60_000, everyMs: 50 };
const TRY_LIMIT_MS = 20_000;

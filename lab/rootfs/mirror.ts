import { LabError } from '../errors.ts';
import { attempt, run } from '../run.ts';

/** The Debian mirrors this machine's own apt uses; the lab knows no mirror of its own. */
export async function findMirrors(): Promise<Mirrors> {
  const chosen = process.env.MIGRATE_LAB_MIRROR;
  if (chosen !== undefined) return { main: chosen };
  const known = (await configured()) ?? (await afterUpdate());
  if (known !== undefined) return known;
  throw new LabError("no Debian mirror in this machine's apt sources; name it: MIGRATE_LAB_MIRROR");
}

/** Options under which apt reaches those mirrors from a root directory of its own. */
export async function aptOptions(): Promise<string[]> {
  const dump = await run(['apt-config', 'dump']);
  const proxies = dump.split('\n').filter((line) => /^Acquire::https?::Proxy/.test(line));
  // A mirror that lags has Release files that apt takes for expired; their signatures still hold.
  return [...proxies, 'Acquire::Check-Valid-Until "false";', 'Acquire::Languages "none";'];
}

export interface Mirrors {
  readonly main: string;
  readonly security?: string;
}

async function afterUpdate(): Promise<Mirrors | undefined> {
  await run(['apt-get', 'update', '--quiet'], { timeoutMs: UPDATE_TIMEOUT_MS });
  return configured();
}

async function configured(): Promise<Mirrors | undefined> {
  const format = '$(REPO_URI)\t$(RELEASE)';
  const args = ['indextargets', '--format', format, 'Created-By: Packages', 'ORIGIN: Debian'];
  const { stdout } = await attempt(['apt-get', ...args]);
  const lines = stdout.split('\n').map((line) => line.split('\t'));
  const main = lines.find(([uri, release]) => uri && release && !release.includes('-'))?.[0];
  const security = lines.find(([, release]) => release?.endsWith('-security'))?.[0];
  if (main === undefined) return undefined;
  return security === undefined ? { main } : { main, security };
}

const UPDATE_TIMEOUT_MS = 120_000;

import { run } from '../run.ts';
import { aptOptions, findMirrors, type Mirrors } from './mirror.ts';
import { recipe } from './recipe.ts';

/** Makes a directory from Debian packages, with what every call of mmdebstrap here says. */
export async function debianDirectory(place: string, more: readonly string[]): Promise<void> {
  const options = [...(await debianOptions()), ...more];
  const input = debianSources(await findMirrors());
  await run([...APART, 'mmdebstrap', ...options, recipe.suite, place, '-'], {
    input,
    timeoutMs: BUILD_TIMEOUT_MS,
  });
}

/**
 * The words that run a builder so that, if this process is killed, all of its processes and mounts
 * go too: nobody then removes a tree with the machine's /dev in it, or one that still grows.
 */
export const APART = [
  ...(['setpriv', '--pdeathsig', 'KILL'] as const),
  ...(['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--'] as const),
] as const;

/** On a slow line and a slow machine; usually it is a minute. */
export const BUILD_TIMEOUT_MS = 900_000;

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

async function debianOptions(): Promise<string[]> {
  return [
    ...['--mode=root', '--format=directory', '--quiet', `--keyring=${KEYRING}`],
    ...(await aptOptions()).map((option) => `--aptopt=${option}`),
    '--aptopt=APT::Install-Recommends "false";',
  ];
}

function debianSources(mirrors: Mirrors): string {
  const lines = [`deb ${mirrors.main} ${recipe.suite} main`];
  lines.push(`deb ${mirrors.main} ${recipe.suite}-updates main`);
  if (mirrors.security) lines.push(`deb ${mirrors.security} ${recipe.suite}-security main`);
  return `${lines.join('\n')}\n`;
}

import { aptOptions, type Mirrors } from './mirror.ts';
import { recipe } from './recipe.ts';

/** What every call of mmdebstrap here says. */
export async function debianOptions(): Promise<string[]> {
  return [
    ...['--mode=root', '--format=directory', '--quiet', `--keyring=${KEYRING}`],
    ...(await aptOptions()).map((option) => `--aptopt=${option}`),
    '--aptopt=APT::Install-Recommends "false";',
  ];
}

export function debianSources(mirrors: Mirrors): string {
  const lines = [`deb ${mirrors.main} ${recipe.suite} main`];
  lines.push(`deb ${mirrors.main} ${recipe.suite}-updates main`);
  if (mirrors.security) lines.push(`deb ${mirrors.security} ${recipe.suite}-security main`);
  return `${lines.join('\n')}\n`;
}

export const BUILD_TIMEOUT_MS = 900_000;

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

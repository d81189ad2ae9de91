import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ensureTools, ROOTFS_TOOLS } from '../machine/tools.ts';
import { run } from '../run.ts';
import { cached } from './cache.ts';
import { debianDirectory } from './debian.ts';
import { findMirrors } from './mirror.ts';
import { recipe, recipeHash } from './recipe.ts';

/** The cached root file system all hosts stand on; made on first use. */
export async function ensureRootfs(): Promise<string> {
  return cached(`rootfs-${recipeHash()}`, {
    what: 'Debian root file system',
    takes: 'about a minute',
    async build(aside) {
      await ensureTools(ROOTFS_TOOLS);
      const root = join(aside, 'root');
      await bootstrap(root, aside);
      await dress(root);
      return root;
    },
  });
}

async function bootstrap(root: string, aside: string): Promise<void> {
  const mirrors = await findMirrors();
  const newerSources = join(aside, 'newer.list');
  const newerPin = join(aside, 'newer.pref');
  await writeFile(newerSources, `deb ${mirrors.main} ${recipe.newerSuite} main\n`);
  // Below what is installed: only what is asked for from the newer suite comes from there.
  const pin = ['Package: *', `Pin: release a=${recipe.newerSuite}`, 'Pin-Priority: 50', ''];
  await writeFile(newerPin, pin.join('\n'));
  const install = ['apt-get install --yes --no-install-recommends', '-t', recipe.newerSuite];
  const hooks = [
    `upload ${newerSources} /etc/apt/sources.list.d/newer.list`,
    `upload ${newerPin} /etc/apt/preferences.d/newer`,
    'chroot "$1" apt-get update',
    `chroot "$1" ${[...install, ...recipe.newerPackages].join(' ')}`,
  ];
  const args = [
    '--variant=minbase',
    ...recipe.unwanted.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    '--dpkgopt=force-unsafe-io',
    `--include=${recipe.packages.join(',')}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
  ];
  await debianDirectory(root, args);
}

/** What the packages do not bring: users, files, directories, and no secrets. */
async function dress(root: string): Promise<void> {
  for (const user of recipe.users) {
    const { name, uid } = user;
    const account = ['--create-home', '--shell', '/bin/bash', '--password', '*'];
    await run(['chroot', root, 'useradd', ...account, '--uid', String(uid), name]);
  }
  for (const directory of recipe.directories) {
    await mkdir(join(root, directory), { recursive: true });
  }
  await chmod(join(root, 'shared'), WORLD_WRITABLE);
  await chmod(join(root, 'root/.ssh'), PRIVATE);
  for (const [path, content] of Object.entries(recipe.files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    if (content.startsWith('#!')) await chmod(join(root, path), EXECUTABLE);
  }
  for (const { path, line } of recipe.withoutLines) {
    const lines = (await readFile(join(root, path), 'utf8')).split('\n');
    await writeFile(join(root, path), lines.filter((other) => other !== line).join('\n'));
  }
  for (const kind of ['rsa', 'ecdsa', 'ed25519']) {
    const key = join(root, `etc/ssh/ssh_host_${kind}_key`);
    await rm(key, { force: true });
    await rm(`${key}.pub`, { force: true });
  }
  // A container tool's mark, an empty machine id: each host is a machine of its own.
  await rm(join(root, '.dockerenv'), { force: true });
  await rm(join(root, 'etc/resolv.conf'), { force: true });
  await writeFile(join(root, 'etc/machine-id'), '');
}

const WORLD_WRITABLE = 0o1777;
const PRIVATE = 0o700;
const EXECUTABLE = 0o755;

import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { LabError, say } from '../errors.ts';
import { run } from '../run.ts';

/** Installs the packages whose programs this machine does not have yet. */
export async function ensureTools(tools: readonly Tool[]): Promise<void> {
  if (process.getuid?.() !== 0) throw new LabError('the lab makes namespaces and needs root');
  const missing = await packagesOf(tools);
  if (missing.length === 0) return;
  say(`installing ${missing.join(', ')} on this machine`);
  await apt(['update', '--quiet']);
  await apt(['install', '--yes', '--quiet', '--no-install-recommends', ...missing]);
  const still = await packagesOf(tools);
  if (still.length > 0) throw new LabError(`apt-get did not bring ${still.join(', ')}`);
}

export interface Tool {
  readonly program: string;
  readonly package: string;
}

export const NETNS_TOOLS: readonly Tool[] = [
  { program: 'unshare', package: 'util-linux' },
  { program: 'setpriv', package: 'util-linux' },
  { program: 'flock', package: 'util-linux' },
  { program: 'ip', package: 'iproute2' },
  { program: 'nft', package: 'nftables' },
  { program: 'ssh', package: 'openssh-client' },
  { program: 'ssh-keygen', package: 'openssh-client' },
];

export const ROOTFS_TOOLS: readonly Tool[] = [
  { program: 'mmdebstrap', package: 'mmdebstrap' },
  { program: '/usr/share/keyrings/debian-archive-keyring.gpg', package: 'debian-archive-keyring' },
];

export const VM_TOOLS: readonly Tool[] = [
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { program: 'qemu-img', package: 'qemu-utils' },
  { program: 'mkfs.ext4', package: 'e2fsprogs' },
  { program: 'cpio', package: 'cpio' },
];

const INSTALL_TIMEOUT_MS = 600_000;

async function apt(args: string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run(['apt-get', ...args], { env, timeoutMs: INSTALL_TIMEOUT_MS });
}

async function packagesOf(tools: readonly Tool[]): Promise<string[]> {
  const missing = new Set<string>();
  for (const tool of tools) {
    if (!(await isThere(tool.program))) missing.add(tool.package);
  }
  return [...missing];
}

async function isThere(program: string): Promise<boolean> {
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  const places = program.startsWith('/') ? [''] : path.split(delimiter).filter(Boolean);
  for (const place of places) {
    const found = await access(join(place, program), constants.R_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

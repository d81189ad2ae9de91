// Brings a fresh machine to where the tests run; it has no dependencies because nothing is there yet.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const top = join(import.meta.dirname, '..');

/** Program -> Debian package. What the lab's hosts need, the lab installs itself. */
const packages = {
  clang: 'clang',
  bpftool: 'bpftool',
  '/usr/include/bpf/bpf_helpers.h': 'libbpf-dev',
  '/usr/include/linux/bpf.h': 'linux-libc-dev',
  gcc: 'gcc',
  '/usr/include/stdio.h': 'libc6-dev',
  git: 'git',
  python3: 'python3',
  ssh: 'openssh-client',
  sshd: 'openssh-server',
  ip: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  curl: 'curl',
};

setup();

function setup() {
  // `npm ci` refuses a lock file made against a mirror that has only the Linux builds of biome,
  // esbuild and the like. This keeps to the same lock, checks the same digests and writes neither file.
  if (!dependenciesFit()) run('npm', ['install', '--no-save', '--no-audit', '--no-fund']);
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.getuid() !== 0) {
    console.error(`setup: ${missing.join(', ')} missing, and only root can install them`);
    return;
  }
  run('apt-get', ['update', '--quiet']);
  run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...missing]);
}

/** Whether node_modules holds what package-lock.json asks for, version by version. */
function dependenciesFit() {
  const installed = join(top, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  const have = readJson(installed).packages;
  const want = Object.entries(readJson(join(top, 'package-lock.json')).packages);
  return want.every(
    ([path, entry]) => path === '' || entry.optional || have[path]?.version === entry.version,
  );
}

function missingPackages() {
  const missing = Object.entries(packages).filter(([program]) => !isThere(program));
  return [...new Set(missing.map(([, name]) => name))];
}

function isThere(program) {
  if (program.startsWith('/')) return existsSync(program);
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)));
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function run(program, args) {
  console.error(`setup: ${program} ${args.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(program, args, {
    cwd: top,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return;
  console.error(`setup: ${program} failed: ${error?.message ?? `exit status ${status}`}`);
  process.exit(1);
}

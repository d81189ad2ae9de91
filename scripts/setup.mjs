// Brings a fresh machine to where the tests run; it has no dependencies because nothing is there yet.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const top = join(import.meta.dirname, '..');

/** Program or file -> Debian package. What the lab's hosts need, the lab installs itself. */
const packages = {
  git: 'git',
  ssh: 'openssh-client',
  sshd: 'openssh-server',
  ip: 'iproute2',
  nft: 'nftables',
  'iptables-legacy': 'iptables',
  'arptables-legacy': 'arptables',
  ipset: 'ipset',
  python3: 'python3',
  bpftool: 'bpftool',
  gcc: 'gcc',
  '/usr/include/stdio.h': 'libc6-dev',
  '/usr/include/linux/bpf.h': 'linux-libc-dev',
  // The versions that src/network/l3 was compiled with: its test compares byte by byte.
  'clang-14': 'clang-14',
  'llvm-strip-14': 'llvm-14',
};

const aptInstall = ['install', '--yes', '--quiet', '--no-install-recommends'];

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
  attempt('apt-get', ['update', '--quiet']);
  // One by one: a release without one of them still gets the others, and the tests say what lacks.
  for (const name of missing) attempt('apt-get', [...aptInstall, name]);
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
  if (!attempt(program, args)) process.exit(1);
}

function attempt(program, args) {
  console.error(`setup: ${program} ${args.join(' ')}`);
  const { status, error } = spawnSync(program, args, {
    cwd: top,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return true;
  console.error(`setup: ${program} failed: ${error?.message ?? `exit status ${status}`}`);
  return false;
}

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** A real sshd on loopback with keys of its own, and an ssh configuration that finds it. */
export interface TestSshd {
  readonly port: number;
  /** Holds everything: keys, configuration, known_hosts and the home of those who log in. */
  readonly dir: string;
  readonly home: string;
  /** For `connect(host, { configFile })`. Blocks written to it come first. */
  readonly configFile: string;
  readonly knownHosts: string;
  /** The host's public key, `type base64`. */
  readonly hostKey: string;
  /** Replaces known_hosts; by default the host's own key under its own name. */
  setKnownHosts(text?: string): void;
  /** Replaces the configuration: the block of the host `lab`, with further lines in it. */
  configure(lines?: readonly string[], before?: string): void;
  /** PIDs of the processes that serve a connection now. */
  connectionPids(): number[];
  stop(): Promise<void>;
}

export interface TestSshdOptions {
  /** Further lines of sshd_config. */
  readonly config?: readonly string[];
  readonly hostKeyType?: 'ed25519' | 'rsa' | 'ecdsa';
}

const sshdPath = '/usr/sbin/sshd';
const startTimeoutMs = 10_000;

export async function startSshd(options: TestSshdOptions = {}): Promise<TestSshd> {
  installSshd();
  const dir = mkdtempSync(join(tmpdir(), 'migrate-sshd-'));
  const home = join(dir, 'home');
  mkdirSync(home, { mode: 0o700 });
  const hostKeyFile = join(dir, 'host_key');
  makeKey(hostKeyFile, options.hostKeyType ?? 'ed25519');
  makeKey(join(dir, 'id'), 'ed25519');
  writeFileSync(join(dir, 'authorized'), readFileSync(join(dir, 'id.pub')), { mode: 0o600 });
  const port = await freePort();
  writeFileSync(join(dir, 'sshd_config'), sshdConfig(dir, port, home, options.config ?? []));
  mkdirSync('/run/sshd', { recursive: true });
  const sshd = spawn(sshdPath, ['-D', '-e', '-f', join(dir, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await untilListening(sshd, port);
  const [type, base64] = readFileSync(`${hostKeyFile}.pub`, 'utf8').split(' ');
  const hostKey = `${type} ${base64}`;
  const knownHosts = join(dir, 'known_hosts');
  const configFile = join(dir, 'ssh_config');
  const made: TestSshd = {
    port,
    dir,
    home,
    configFile,
    knownHosts,
    hostKey,
    setKnownHosts: (text = `[127.0.0.1]:${port} ${hostKey}\n`) => writeFileSync(knownHosts, text),
    configure: (lines = [], before = '') =>
      writeFileSync(configFile, `${before}\n${sshConfig(dir, port, knownHosts, lines)}`),
    connectionPids: () => childPids(sshd.pid ?? 0),
    async stop() {
      for (const pid of childPids(sshd.pid ?? 0)) killQuietly(pid);
      await new Promise((resolve) => {
        sshd.once('exit', resolve);
        sshd.kill('SIGKILL');
      });
      rmSync(dir, { recursive: true, force: true });
    },
  };
  made.setKnownHosts();
  made.configure();
  return made;
}

function installSshd(): void {
  if (existsSync(sshdPath)) return;
  const args = ['install', '-y', '--no-install-recommends', 'openssh-server'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  try {
    execFileSync('apt-get', args, { env, stdio: 'ignore' });
  } catch {
    execFileSync('apt-get', ['update'], { stdio: 'ignore' });
    execFileSync('apt-get', args, { env, stdio: 'ignore' });
  }
}

export function makeKey(path: string, type: string, passphrase = ''): void {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', path]);
}

function sshdConfig(dir: string, port: number, home: string, more: readonly string[]): string {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${dir}/host_key`,
    `AuthorizedKeysFile ${dir}/authorized`,
    `PidFile ${dir}/sshd.pid`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'StrictModes no',
    ...more,
    // The first of two lines counts, so further ones stand above.
    `SetEnv HOME=${home}`,
    '',
  ].join('\n');
}

function sshConfig(dir: string, port: number, known: string, lines: readonly string[]): string {
  return [
    'Host lab',
    ...lines.map((line) => `  ${line}`),
    '  HostName 127.0.0.1',
    `  Port ${port}`,
    `  User ${userInfo().username}`,
    `  IdentityFile ${dir}/id`,
    '  IdentityAgent none',
    `  UserKnownHostsFile ${known}`,
    '  GlobalKnownHostsFile none',
    '',
  ].join('\n');
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function untilListening(sshd: ChildProcess, port: number): Promise<void> {
  let log = '';
  sshd.stderr?.on('data', (bytes) => {
    log += bytes;
  });
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline && sshd.exitCode === null) {
    if (await answers(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`sshd did not start: ${log}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => socket.destroy()).once('close', (failed) => resolve(!failed));
    socket.once('error', () => undefined);
  });
}

function childPids(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

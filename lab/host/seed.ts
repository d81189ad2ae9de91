import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Host, ipv4, ipv6, type Lab } from '../model.ts';
import { pathsOf } from '../paths.ts';
import { keyPair } from './keys.ts';

/**
 * Writes what tells the hosts of a lab apart, and what they know of each other, into each host's
 * seed directory. A host sees its own as /run/lab and copies the tree in it over its root.
 */
export async function writeSeeds(lab: Lab): Promise<void> {
  const paths = pathsOf(lab.name);
  const user = await keyPair(join(paths.keys, 'root'), `root@${lab.name}`);
  const hostKeys = new Map<string, string>();
  for (const host of lab.hosts) {
    const pair = await keyPair(join(paths.keys, `host-${host.name}`), host.name);
    hostKeys.set(host.name, pair.public);
  }
  const knownHosts = lab.hosts.map((host) => knownHost(host, hostKeys.get(host.name) ?? ''));
  await writeFile(knownHostsFile(lab.name), knownHosts.join(''));
  for (const host of lab.hosts) {
    const key = await keyPair(join(paths.keys, `host-${host.name}`), host.name);
    await writeSeed(seedOf(lab.name, host.name), {
      'host.env': [`NAME=${host.name}`, `IPV4=${ipv4(host.number)}`, `IPV6=${ipv6(host.number)}`],
      'tree/etc/hostname': [host.name],
      'tree/etc/hosts': hostsFile(lab),
      'tree/etc/ssh/ssh_host_ed25519_key': [key.secret.trimEnd()],
      'tree/etc/ssh/ssh_host_ed25519_key.pub': [key.public.trimEnd()],
      'tree/root/.ssh/id_ed25519': [user.secret.trimEnd()],
      'tree/root/.ssh/id_ed25519.pub': [user.public.trimEnd()],
      'tree/root/.ssh/authorized_keys': [user.public.trimEnd()],
      'tree/root/.ssh/known_hosts': [knownHosts.join('').trimEnd()],
    });
  }
}

export function seedOf(lab: string, host: string): string {
  return join(pathsOf(lab).host(host), 'seed');
}

export function knownHostsFile(lab: string): string {
  return join(pathsOf(lab).keys, 'known_hosts');
}

/** What a running host does to take in a seed that changed. */
export const TAKE_SEED = ['/bin/sh', '/run/lab/take-seed.sh'] as const;

const SECRET = 0o600;
const SECRET_DIR = 0o700;
const SCRIPTS = ['start.sh', 'take-seed.sh'];

async function writeSeed(seed: string, files: Record<string, readonly string[]>): Promise<void> {
  await mkdir(join(seed, 'tree/root/.ssh'), { recursive: true });
  await chmod(join(seed, 'tree/root'), SECRET_DIR);
  await chmod(join(seed, 'tree/root/.ssh'), SECRET_DIR);
  for (const [name, lines] of Object.entries(files)) {
    const path = join(seed, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${lines.join('\n')}\n`);
    await chmod(path, isSecret(name) ? SECRET : 0o644);
  }
  for (const script of SCRIPTS) {
    await copyFile(join(import.meta.dirname, script), join(seed, script));
  }
}

function isSecret(name: string): boolean {
  return name.includes('/.ssh/') || name.endsWith('_key');
}

function knownHost(host: Host, publicKey: string): string {
  const names = [host.name, ipv4(host.number), ipv6(host.number)].join(',');
  const [type, key] = publicKey.split(' ');
  return `${names} ${type} ${key}\n`;
}

function hostsFile(lab: Lab): string[] {
  const lines = ['127.0.0.1 localhost', '::1 localhost ip6-localhost ip6-loopback'];
  for (const host of lab.hosts) {
    lines.push(`${ipv4(host.number)} ${host.name}`, `${ipv6(host.number)} ${host.name}`);
  }
  return lines;
}

import { createHash } from 'node:crypto';

/** Everything that decides what the root file system holds; a change here makes a new one. */
export const recipe: Recipe = {
  suite: 'trixie',
  /** Debian 13's CRIU cannot dump a TCP socket on kernels from 6.16 on; this suite's can. */
  newerSuite: 'testing',
  newerPackages: ['criu'],
  packages: [
    ...['ca-certificates', 'procps', 'kmod', 'util-linux', 'libcap2-bin', 'tini', 'busybox-static'],
    ...['iproute2', 'nftables', 'iputils-ping', 'conntrack', 'tcpdump', 'bpftool', 'keepalived'],
    ...['iptables', 'ipset', 'wireguard-tools', 'ethtool', 'openvswitch-switch', 'golang-go'],
    ...['openssh-server', 'openssh-client', 'rsync', 'curl', 'socat', 'wrk', 'iperf3', 'zstd'],
    ...['nodejs', 'python3', 'gcc', 'libc6-dev', 'make', 'strace'],
    ...['apache2', 'nginx', 'redis-server', 'redis-tools'],
  ],
  unwanted: ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/info/*', '/usr/share/locale/*'],
  users: [
    { name: 'alice', uid: 1001 },
    { name: 'bob', uid: 1002 },
  ],
  files: {
    // No PAM, no look-up of names: a remote command should cost what ssh costs and no more.
    '/etc/ssh/sshd_config.d/lab.conf': [
      'HostKey /etc/ssh/ssh_host_ed25519_key',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'UsePAM no',
      'UseDNS no',
      'PrintMotd no',
      'PrintLastLog no',
      'MaxStartups 200:30:400',
      'MaxSessions 200',
      '',
    ].join('\n'),
    '/usr/local/bin/migrate': [
      '#!/bin/sh',
      'exec node /usr/local/lib/migrate/migrate.cjs "$@"',
      '',
    ].join('\n'),
  },
  // Who starts nginx says as whom (`-g 'user ...;'`); twice is an error to it.
  withoutLines: [{ path: '/etc/nginx/nginx.conf', line: 'user www-data;' }],
  directories: ['/shared', '/usr/local/lib/migrate', '/root/.ssh'],
};

export interface Recipe {
  readonly suite: string;
  readonly newerSuite: string;
  readonly newerPackages: readonly string[];
  readonly packages: readonly string[];
  readonly unwanted: readonly string[];
  readonly users: readonly { readonly name: string; readonly uid: number }[];
  readonly files: Readonly<Record<string, string>>;
  readonly withoutLines: readonly { readonly path: string; readonly line: string }[];
  readonly directories: readonly string[];
}

/** Names the cached result. */
export function recipeHash(): string {
  const text = JSON.stringify(recipe);
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}

const HASH_LENGTH = 12;

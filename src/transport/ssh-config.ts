import { MigrateError, tidyText } from '../base/errors.ts';
import { run } from '../host/run.ts';
import { transportLimits } from './limits.ts';

/** What ssh would do for one host name; lists keep ssh's order. */
export interface SshHost {
  /** As the user typed it, for messages. */
  readonly typed: string;
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  /** The name that known_hosts is searched for. */
  readonly hostKeyAlias: string | undefined;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** The socket of the SSH agent, undefined when there is none. */
  readonly agentSocket: string | undefined;
  readonly knownHostsFiles: readonly string[];
  readonly revokedKeysFile: string | undefined;
  readonly connectTimeoutMs: number;
  readonly addressFamily: 0 | 4 | 6;
  readonly bindAddress: string | undefined;
  /** Hosts to go through, first to last, as ProxyJump names them. */
  readonly jumps: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
  readonly kexAlgorithms: readonly string[];
  readonly hostKeyAlgorithms: readonly string[];
}

/**
 * Asks `ssh -G` what it would do for HOST: `~/.ssh/config`, Match and Include blocks, defaults.
 * `configFile` replaces the user's and the system's files. Throws HOST_UNKNOWN.
 */
export async function readSshHost(host: string, configFile?: string): Promise<SshHost> {
  const args = ['-G', ...(configFile === undefined ? [] : ['-F', configFile]), ...hostArgs(host)];
  try {
    const { stdout } = await run('ssh', args, { timeoutMs: transportLimits.connectTimeoutMs });
    return parseSshHost(host, stdout);
  } catch (cause) {
    if (cause instanceof MigrateError && cause.code !== 'PROGRAM_FAILED') throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new MigrateError('HOST_UNKNOWN', `ssh does not accept the host ${host}: ${message}`, {
      cause,
    });
  }
}

/** A host as arguments of ssh. `user@host:port`, the form of ProxyJump, is taken as well. */
function hostArgs(host: string): string[] {
  const hasBlank = /[\s\p{Cc}]/u.test(host);
  if (host === '' || host.startsWith('-') || hasBlank) {
    throw new MigrateError('HOST_UNKNOWN', `${JSON.stringify(host)} is not the name of a host`);
  }
  if (host.startsWith('ssh://')) return ['--', host];
  const parts = /^(?:(?<user>.+)@)?(?:\[(?<v6>[^\]]+)\]|(?<name>[^:@]+)):(?<port>\d+)$/u.exec(host);
  if (parts?.groups === undefined) return ['--', host];
  const { user, v6, name, port } = parts.groups;
  return [...(user === undefined ? [] : ['-l', user]), '-p', `${port}`, '--', `${v6 ?? name}`];
}

/** The output of `ssh -G`: one lower-case key and its value on each line, keys may repeat. */
export function parseSshHost(typed: string, output: string): SshHost {
  const values = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const [, key, value] = /^(\S+) (.*)$/u.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  const one = (key: string) => {
    const value = values.get(key)?.[0];
    return value === 'none' ? undefined : value;
  };
  const list = (key: string) => one(key)?.split(',').filter(Boolean) ?? [];
  const hostname = one('hostname') ?? typed;
  const port = Number(one('port') ?? 22);
  const user = one('user') ?? '';
  refuseProxyCommand(typed, one('proxycommand'));
  const expand = (path: string) => expandPath(path, { hostname, port, user });
  const timeoutSeconds = Number(one('connecttimeout') ?? Number.NaN);
  return {
    typed,
    hostname,
    port,
    user,
    hostKeyAlias: one('hostkeyalias'),
    identityFiles: (values.get('identityfile') ?? []).filter((path) => path !== 'none').map(expand),
    identitiesOnly: one('identitiesonly') === 'yes',
    agentSocket: agentSocket(values.get('identityagent')?.[0], expand),
    knownHostsFiles: [one('userknownhostsfile'), one('globalknownhostsfile')]
      .flatMap((files) => files?.split(/\s+/u) ?? [])
      .filter(Boolean)
      .map(expand),
    revokedKeysFile: one('revokedhostkeys'),
    connectTimeoutMs: timeoutSeconds > 0 ? timeoutSeconds * 1000 : transportLimits.connectTimeoutMs,
    addressFamily: { inet: 4 as const, inet6: 6 as const }[one('addressfamily') ?? ''] ?? 0,
    bindAddress: one('bindaddress'),
    jumps: list('proxyjump'),
    ciphers: list('ciphers'),
    macs: list('macs'),
    kexAlgorithms: list('kexalgorithms'),
    hostKeyAlgorithms: list('hostkeyalgorithms'),
  };
}

function refuseProxyCommand(host: string, command: string | undefined): void {
  if (command === undefined) return;
  const shown = tidyText(command, transportLimits.lineCharsMax);
  const what = `ssh reaches ${host} through a ProxyCommand (${shown})`;
  throw new MigrateError('HOST_UNKNOWN', `${what}, which migrate does not run`, {
    hint: 'Use ProxyJump for that host.',
  });
}

/** IdentityAgent may be a path, `none`, SSH_AUTH_SOCK, or a variable with a dollar sign. */
function agentSocket(value: string | undefined, expand: (path: string) => string) {
  if (value === undefined || value === 'SSH_AUTH_SOCK') return process.env.SSH_AUTH_SOCK;
  if (value === 'none') return undefined;
  return value.startsWith('$') ? process.env[value.slice(1)] : expand(value);
}

/** The tokens that occur in paths; one that is not known stays, and names a file that is absent. */
function expandPath(path: string, host: { hostname: string; port: number; user: string }): string {
  const home = process.env.HOME ?? '/';
  const tokens: Readonly<Record<string, string>> = {
    '%': '%',
    d: home,
    h: host.hostname,
    p: String(host.port),
    r: host.user,
  };
  return path
    .replace(/^~(?=\/|$)/u, home)
    .replace(/%(.)/gu, (whole, token: string) => tokens[token] ?? whole);
}

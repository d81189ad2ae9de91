import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type AnyAuthMethod,
  type CipherAlgorithm,
  Client,
  type ConnectConfig,
  type KexAlgorithm,
  type MacAlgorithm,
} from 'ssh2';
import { asMigrateError, MigrateError, tidyText } from '../base/errors.ts';
import { createHostKeyJudge } from './host-key.ts';
import { loginMethods } from './identities.ts';
import { transportLimits } from './limits.ts';
import type { SshHost } from './ssh-config.ts';

/** Opens the TCP connection to a host. Throws HOST_UNKNOWN. */
export function dial(host: SshHost): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({
      host: host.hostname,
      port: host.port,
      family: host.addressFamily,
      noDelay: true,
      ...(host.bindAddress === undefined ? {} : { localAddress: host.bindAddress }),
    });
    const fail = (why: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new MigrateError('HOST_UNKNOWN', `cannot reach ${host.typed}: ${why}`));
    };
    const timeoutMs = host.connectTimeoutMs;
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    socket.once('error', (error) => fail(tellSocketError(host, error)));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/**
 * Speaks SSH over a connection that stands already: checks the host's key, then logs in. Throws
 * HOST_KEY_UNKNOWN, HOST_KEY_CHANGED, AUTH_FAILED, or HOST_UNKNOWN when it is no SSH server.
 */
export async function logIn(host: SshHost, sock: Duplex): Promise<Client> {
  const hostKey = await createHostKeyJudge(host);
  const methods = await loginMethods(host);
  const client = new Client();
  let refusal: MigrateError | undefined;
  const config: ConnectConfig = {
    sock,
    username: host.user,
    readyTimeout: host.connectTimeoutMs,
    keepaliveInterval: transportLimits.keepaliveEveryMs,
    keepaliveCountMax: transportLimits.keepaliveMissedMax,
    algorithms: { ...algorithms(host), serverHostKey: [...hostKey.algorithms] },
    hostVerifier: (key: Buffer) => {
      refusal = hostKey.judge(key);
      return refusal === undefined;
    },
    authHandler: nextMethod(methods),
  };
  try {
    await untilReady(client, config);
    return client;
  } catch (error) {
    client.destroy();
    sock.destroy();
    throw refusal ?? explain(host, methods, error);
  }
}

function untilReady(client: Client, config: ConnectConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    // ssh2 may emit several errors for one failure, also after it was given up.
    client.on('error', reject);
    client.once('close', () => reject(new Error('the connection was closed')));
    client.once('ready', resolve);
    client.connect(config);
  });
}

function nextMethod(methods: readonly AnyAuthMethod[]): NonNullable<ConnectConfig['authHandler']> {
  const left = [...methods];
  return (_methodsLeft, _isPartial, next) => {
    const method = left.shift();
    // ssh2 takes false for "nothing is left", which its types do not say.
    next(method ?? (false as unknown as AnyAuthMethod));
  };
}

/** Ours in order of speed here, less what the user's configuration does not allow. */
function algorithms(host: SshHost): NonNullable<ConnectConfig['algorithms']> {
  return {
    cipher: allowed(ciphers, host.ciphers),
    hmac: allowed(macs, host.macs),
    kex: allowed(kexAlgorithms, host.kexAlgorithms),
    compress: ['none'],
  };
}

const ciphers: readonly CipherAlgorithm[] = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes256-ctr',
];

const macs: readonly MacAlgorithm[] = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
];

const kexAlgorithms: readonly KexAlgorithm[] = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group14-sha256',
];

function allowed<T extends string>(ours: readonly T[], theirs: readonly string[]): T[] {
  const both = ours.filter((name) => theirs.includes(name));
  return both.length > 0 ? both : [...ours];
}

function explain(host: SshHost, methods: readonly AnyAuthMethod[], error: unknown): MigrateError {
  const level = (error as { level?: string }).level;
  const message = tidyText(asMigrateError(error).message, transportLimits.lineCharsMax);
  if (level === 'client-authentication') {
    const what = methods.length === 0 ? 'there is no key to offer' : 'it accepts none of our keys';
    return new MigrateError('AUTH_FAILED', `cannot log in to ${host.typed}: ${what}`, {
      cause: error,
      hint: `Check that this works without a question: ssh -o BatchMode=yes ${host.typed} true`,
    });
  }
  return new MigrateError('HOST_UNKNOWN', `no SSH connection to ${host.typed}: ${message}`, {
    cause: error,
  });
}

function tellSocketError(host: SshHost, error: NodeJS.ErrnoException): string {
  const where = `${host.hostname} port ${host.port}`;
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host.hostname} does not resolve`;
    case 'ECONNREFUSED':
      return `${where} refuses the connection`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no route to ${where}`;
    default:
      return tidyText(error.message || String(error.code), transportLimits.lineCharsMax);
  }
}

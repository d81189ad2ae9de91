import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { MigrateError } from '../base/errors.ts';
import { transportLimits } from './limits.ts';
import { readSshHost, type SshHost } from './ssh-config.ts';
import { dial, logIn } from './ssh-hop.ts';

/** An SSH connection to a host whose key was verified, through jump hosts if need be. */
export interface Connection {
  /** The host as it was named. */
  readonly host: string;
  /** Where that led: user, address and port. */
  readonly address: { readonly user: string; readonly hostname: string; readonly port: number };
  /**
   * Starts a command. `command` is read by the user's shell over there: it must be a fixed string,
   * never one with a part that came from outside. Throws CONNECTION_LOST.
   */
  exec(command: string): Promise<ClientChannel>;
  /** Ends the connection and everything that runs over it. May be called again. */
  close(): Promise<void>;
  /** Resolves once, with the reason, when the connection has ended; never rejects. */
  readonly closed: Promise<MigrateError>;
}

export interface ConnectOptions {
  /** Read instead of the user's and the system's ssh configuration. */
  readonly configFile?: string;
}

/**
 * Connects to HOST: anything that `ssh` accepts, its configuration included. Host keys are always
 * checked against known_hosts, for every hop. Throws HOST_UNKNOWN, HOST_KEY_UNKNOWN,
 * HOST_KEY_CHANGED or AUTH_FAILED.
 */
export async function connect(host: string, options: ConnectOptions = {}): Promise<Connection> {
  const hops = await resolveHops(host, options.configFile, 0);
  const clients: Client[] = [];
  try {
    for (const hop of hops) {
      const through = clients.at(-1);
      const sock = through === undefined ? await dial(hop) : await forward(through, hop);
      clients.push(await logIn(hop, sock));
    }
  } catch (error) {
    for (const client of clients.reverse()) client.destroy();
    throw error;
  }
  return makeConnection(host, hops, clients);
}

/**
 * The hops to a host, the host last. As in ssh, the first jump's own ProxyJump counts, those of
 * further jumps don't.
 */
async function resolveHops(
  host: string,
  configFile: string | undefined,
  depth: number,
): Promise<SshHost[]> {
  const target = await readSshHost(host, configFile);
  const [first, ...rest] = target.jumps;
  if (first === undefined) return [target];
  if (depth + target.jumps.length >= transportLimits.hopsMax) {
    throw new MigrateError(
      'HOST_UNKNOWN',
      `the ProxyJump of ${host} is too long or goes in circles`,
    );
  }
  const hops = await resolveHops(first, configFile, depth + target.jumps.length);
  for (const jump of rest) hops.push(await readSshHost(jump, configFile));
  return [...hops, target];
}

function forward(client: Client, hop: SshHost): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, hop.hostname, hop.port, (error, channel) => {
      if (error === undefined) return resolve(channel);
      const why = `the jump host cannot reach it (${error.message})`;
      reject(new MigrateError('HOST_UNKNOWN', `cannot reach ${hop.typed}: ${why}`));
    });
  });
}

function makeConnection(
  host: string,
  hops: readonly SshHost[],
  clients: readonly Client[],
): Connection {
  const client = clients.at(-1);
  const last = hops.at(-1);
  if (client === undefined || last === undefined) {
    throw new MigrateError('INTERNAL', 'a connection has at least one hop');
  }
  let end: MigrateError | undefined;
  const closed = new Promise<MigrateError>((resolve) => {
    const finish = (why: string) => {
      end ??= new MigrateError('CONNECTION_LOST', `the SSH connection to ${host} ended: ${why}`);
      resolve(end);
    };
    client.on('error', (error) => finish(error.message));
    client.on('close', () => finish('it was closed'));
  });
  return {
    host,
    address: { user: last.user, hostname: last.hostname, port: last.port },
    exec: (command) =>
      new Promise((resolve, reject) => {
        const refuse = (why: string) =>
          reject(end ?? new MigrateError('CONNECTION_LOST', `${host} runs no command: ${why}`));
        if (end !== undefined) return refuse('it is closed');
        try {
          client.exec(command, (error, channel) =>
            error === undefined ? resolve(channel) : refuse(error.message),
          );
        } catch (error) {
          refuse(error instanceof Error ? error.message : String(error));
        }
      }),
    async close() {
      client.end();
      const timer = setTimeout(() => client.destroy(), transportLimits.closeTimeoutMs);
      await closed;
      clearTimeout(timer);
      for (const hop of [...clients].reverse()) hop.destroy();
    },
    closed,
  };
}

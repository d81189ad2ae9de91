import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { assert } from '../base/assert.ts';
import { MigrateError } from '../base/errors.ts';
import { transportLimits } from './limits.ts';
import { type RemoteCommand, watchCommand } from './remote-command.ts';
import { readSshHost, type SshHost } from './ssh-config.ts';
import { dial, logIn } from './ssh-hop.ts';

/** An SSH connection to a host whose key was verified, through jump hosts if need be. */
export interface Connection {
  /** The host as it was named. */
  readonly host: string;
  /** Where that led: user, address and port. */
  readonly address: { readonly user: string; readonly hostname: string; readonly port: number };
  /** The address of ours that it leaves from. */
  readonly leavesFrom: string | undefined;
  /**
   * Starts a command. `command` is read by the user's shell over there: it must be a fixed string,
   * never one with a part that came from outside. Throws CONNECTION_LOST.
   */
  exec(command: string): Promise<RemoteCommand>;
  /**
   * A channel to a unix socket over there, as `ssh -L` makes one (OpenSSH PROTOCOL, 2.4). Throws
   * CONNECTION_LOST, also where the server does not forward (AllowStreamLocalForwarding).
   */
  openSocket(path: string): Promise<Duplex>;
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
  let socket: Socket | undefined;
  try {
    for (const hop of hops) {
      const through = clients.at(-1);
      if (through === undefined) socket = await dial(hop);
      const sock = through === undefined ? socket : await forward(through, hop);
      clients.push(await logIn(hop, definitely(sock)));
    }
  } catch (error) {
    destroyAll(clients);
    throw error;
  }
  return makeConnection(definitely(hops.at(-1)), clients, definitely(socket));
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

function makeConnection(hop: SshHost, clients: readonly Client[], socket: Socket): Connection {
  const client = definitely(clients.at(-1));
  const host = hop.typed;
  let end: MigrateError | undefined;
  const closed = new Promise<MigrateError>((resolve) => {
    const finish = (why: string) => {
      end ??= new MigrateError('CONNECTION_LOST', `the SSH connection to ${host} ended: ${why}`);
      resolve(end);
    };
    for (const one of clients) {
      one.on('error', (error) => finish(error.message));
      // A jump host that passes on an end leaves its channel half open, so `close` may never come.
      one.on('end', () => finish('the other side closed it'));
      one.on('close', () => finish('it was closed'));
    }
  });
  void closed.then(() => destroyAll(clients));
  /** A channel, made into what it is for in the callback that hands it out. */
  const open = <T>(what: string, ask: (answer: Answer) => void, use: (one: ClientChannel) => T) =>
    new Promise<T>((resolve, reject) => {
      const refuse = (why: string) =>
        reject(end ?? new MigrateError('CONNECTION_LOST', `${host} ${what}: ${why}`));
      if (end !== undefined) return refuse('it is closed');
      try {
        ask((error, channel) => {
          if (error === undefined) resolve(use(joinCorks(channel, socket)));
          else refuse(error.message);
        });
      } catch (error) {
        refuse(error instanceof Error ? error.message : String(error));
      }
    });
  return {
    host,
    leavesFrom: socket.localAddress,
    address: { user: hop.user, hostname: hop.hostname, port: hop.port },
    exec: (command) =>
      open('runs no command', (answer) => client.exec(command, answer), watchCommand),
    openSocket: (path) =>
      open(
        'opens no socket',
        (answer) => client.openssh_forwardOutStreamLocal(path, answer),
        (channel) => channel,
      ),
    async close() {
      client.end();
      const timer = setTimeout(() => socket.destroy(), transportLimits.closeTimeoutMs);
      await closed;
      clearTimeout(timer);
      destroyAll(clients);
    },
    closed,
  };
}

type Answer = (error: Error | undefined, channel: ClientChannel) => void;

function destroyAll(clients: readonly Client[]): void {
  for (const client of [...clients].reverse()) client.destroy();
}

/**
 * A chunk becomes nine SSH packets. Corking the channel corks the TCP socket below it too, so that
 * they leave in one system call: half again as many bytes a second on loopback.
 */
function joinCorks(channel: ClientChannel, socket: Socket): ClientChannel {
  const cork = channel.cork.bind(channel);
  const uncork = channel.uncork.bind(channel);
  channel.cork = () => {
    socket.cork();
    cork();
  };
  channel.uncork = () => {
    uncork();
    socket.uncork();
  };
  return channel;
}

function definitely<T>(value: T | undefined): T {
  assert(value !== undefined, 'a connection has at least one hop');
  return value;
}

import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { within } from '../base/deadline.ts';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { agentExit, runAgentCommand, uploadAgentCommand } from './agent-commands.ts';
import type { Connection } from './connect.ts';
import { greetAgent } from './handshake.ts';
import { transportLimits } from './limits.ts';
import { createPeer, type Peer, type PeerHandlers } from './peer.ts';
import type { RemoteCommand } from './remote-command.ts';

/** The program that runs on the other host: one file on this machine, without dependencies. */
export interface AgentFile {
  readonly path: string;
}

/** A running agent. It ends when the peer is closed or the connection is lost. */
export interface AgentChannel {
  readonly peer: Peer;
  /** The agent's process on the other host. */
  readonly pid: number;
  /** True when the program had to be sent there first. */
  readonly wasUploaded: boolean;
  /** The last 32 KiB that the agent wrote to standard error, fit for a terminal. */
  stderrTail(): string;
}

/**
 * Starts the agent on the host of `connection`. Costs one exec when the program is there already;
 * otherwise it is sent first, checked by its hash. Throws AGENT_FAILED or CONNECTION_LOST.
 */
export async function startAgent(
  connection: Connection,
  agentFile: AgentFile,
  handlers: PeerHandlers | ((peer: Peer) => PeerHandlers) = {},
): Promise<AgentChannel> {
  const program = await readProgram(agentFile.path);
  const warm = await tryStart(connection, program.sha256, handlers);
  if (warm !== 'absent') return { ...warm, wasUploaded: false };
  await upload(connection, program);
  const cold = await tryStart(connection, program.sha256, handlers);
  if (cold !== 'absent') return { ...cold, wasUploaded: true };
  throw new MigrateError(
    'AGENT_FAILED',
    `${connection.host} lost the agent right after its upload`,
  );
}

interface Program {
  readonly bytes: Buffer;
  readonly sha256: string;
}

async function readProgram(path: string): Promise<Program> {
  try {
    const { size } = await stat(path);
    if (size > transportLimits.agentFileBytesMax) throw new Error(`it has ${size} bytes`);
    const bytes = await readFile(path);
    return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
  } catch (cause) {
    const why = asMigrateError(cause).message;
    throw new MigrateError('AGENT_FAILED', `the agent's program cannot be read: ${why}`, {
      side: 'source',
      cause,
    });
  }
}

async function tryStart(
  connection: Connection,
  sha256: string,
  handlers: PeerHandlers | ((peer: Peer) => PeerHandlers),
): Promise<Omit<AgentChannel, 'wasUploaded'> | 'absent'> {
  const command = await connection.exec(runAgentCommand(sha256));
  try {
    const hello = await greetAgent(command.channel, command.channel);
    const explainEnd = () => explainDeath(connection, command);
    const peer = createPeer(command.channel, command.channel, handlers, { explainEnd });
    return { peer, pid: hello.pid, stderrTail: command.stderrTail };
  } catch (error) {
    const exit = await command.exitWithin(transportLimits.endReasonTimeoutMs);
    command.channel.destroy();
    if (exit === agentExit.absent) return 'absent';
    throw explainNoStart(connection, command, exit, asMigrateError(error));
  }
}

async function upload(connection: Connection, program: Program): Promise<void> {
  const command = await connection.exec(uploadAgentCommand(program.sha256));
  command.channel.on('error', () => undefined).resume();
  command.channel.end(program.bytes);
  const host = connection.host;
  const exit = await within(
    command.exit,
    transportLimits.uploadTimeoutMs,
    'AGENT_FAILED',
    `sending the agent to ${host} takes too long`,
  );
  if (exit === 0) return;
  const why =
    exit === agentExit.badCopy
      ? 'it arrived damaged'
      : command.stderrLine() || `exit status ${exit}`;
  throw new MigrateError('AGENT_FAILED', `the agent could not be kept on ${host}: ${why}`, {
    side: 'target',
    hint: 'The home directory of the user there must be writable.',
  });
}

function explainNoStart(
  connection: Connection,
  command: RemoteCommand,
  exit: number | string | undefined,
  error: MigrateError,
): MigrateError {
  const { host } = connection;
  if (exit === agentExit.noNode) {
    return new MigrateError('AGENT_FAILED', `there is no node on ${host}`, {
      side: 'target',
      hint: 'Install Node 20 or newer where a non-interactive shell finds it (its PATH is short).',
    });
  }
  const detail = command.stderrLine() || (exit === undefined ? '' : `exit status ${exit}`);
  const message = `the agent on ${host} did not start: ${error.message}`;
  return new MigrateError(error.code, detail === '' ? message : `${message}: ${detail}`, {
    side: 'target',
    cause: error,
  });
}

async function explainDeath(connection: Connection, command: RemoteCommand): Promise<string> {
  const exit = await command.exitWithin(transportLimits.endReasonTimeoutMs);
  const what =
    exit === undefined
      ? `the connection to ${connection.host} ended`
      : `the agent on ${connection.host} ended with ${exit}`;
  const detail = command.stderrLine();
  return detail === '' ? what : `${what}: ${detail}`;
}

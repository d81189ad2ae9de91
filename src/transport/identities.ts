import { readFile, stat } from 'node:fs/promises';
import ssh2, { type AnyAuthMethod, type BaseAgent, createAgent, type ParsedKey } from 'ssh2';
import { transportLimits } from './limits.ts';
import type { SshHost } from './ssh-config.ts';

/**
 * The ways to log in, in the order in which they are tried: keys of the SSH agent, then key files.
 * Nothing ever prompts: an encrypted file counts only through the agent.
 */
export async function loginMethods(host: SshHost): Promise<AnyAuthMethod[]> {
  const username = host.user;
  const files = host.identityFiles.slice(0, transportLimits.identitiesMax);
  const agent = host.agentSocket === undefined ? undefined : createAgent(host.agentSocket);
  const methods: AnyAuthMethod[] = [];
  if (agent !== undefined) {
    const offered = host.identitiesOnly ? onlyKeys(agent, await publicKeys(files)) : agent;
    methods.push({ type: 'agent', username, agent: offered });
  }
  for (const path of files) {
    const key = await readKey(path);
    if (key?.isPrivateKey()) methods.push({ type: 'publickey', username, key });
  }
  return methods;
}

/** IdentitiesOnly: the agent may hold more keys than sshd lets us try. */
function onlyKeys(agent: BaseAgent, allowed: readonly ParsedKey[]): BaseAgent {
  const filtered: BaseAgent = Object.create(agent);
  filtered.getIdentities = (callback) =>
    agent.getIdentities((error, keys) => {
      const parsed = (keys ?? []).map((key) => parseKey(key as Buffer));
      callback(
        error,
        parsed.flatMap((key) =>
          key !== undefined && allowed.some((one) => one.equals(key.getPublicSSH())) ? [key] : [],
        ),
      );
    });
  return filtered;
}

async function publicKeys(files: readonly string[]): Promise<ParsedKey[]> {
  const keys: ParsedKey[] = [];
  for (const path of files) {
    const key = (await readKey(`${path}.pub`)) ?? (await readKey(path));
    if (key !== undefined) keys.push(key);
  }
  return keys;
}

/** Undefined when the file is absent, encrypted, or of a kind that ssh2 does not know. */
async function readKey(path: string): Promise<ParsedKey | undefined> {
  try {
    const { size } = await stat(path);
    if (size > transportLimits.identityBytesMax) return undefined;
    return parseKey(await readFile(path));
  } catch {
    return undefined;
  }
}

function parseKey(bytes: Buffer): ParsedKey | undefined {
  const key = ssh2.utils.parseKey(bytes);
  return key instanceof Error ? undefined : key;
}

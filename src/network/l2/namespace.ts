import { z } from 'zod';
import { asMigrateError, MigrateError } from '../../base/errors.ts';
import { createUndoStack } from '../../base/undo.ts';
import { run } from '../../host/run.ts';
import { linkNamePattern } from './state.ts';

export interface JobNetnsSpec {
  /** The namespace becomes the file /run/netns/NAME, which CRIU takes for `--external net`. */
  readonly name: string;
  /** The end of the veth pair on the host, at most 15 characters. */
  readonly hostEnd: string;
  /** Its other end, inside; `eth0` unless said. */
  readonly innerName?: string;
  /** The number of the inner end, where programs may hold it (`Link.index`). */
  readonly innerIndex?: number;
  readonly mac?: string;
  /** Bytes; that of `bridge` unless said. */
  readonly mtu?: number;
  /** Checked to be a bridge; the job is not put onto it. */
  readonly bridge: string;
}

export interface JobNetns {
  readonly path: string;
  readonly mtu: number;
}

const netnsDirectory = '/run/netns';
const netnsNamePattern = /^(?!\.{1,2}$|-)[A-Za-z0-9_.-]{1,200}$/;

/**
 * Makes a named namespace with lo up and a veth pair, both ends up, so that the inner one has a
 * carrier and its IPv6 addresses can be bound; no frame leaves it until `attachToBridge`.
 * Throws NETWORK_FAILED and leaves nothing, and never touches what had the name before.
 */
export async function createJobNetns(spec: JobNetnsSpec): Promise<JobNetns> {
  const inner = spec.innerName ?? 'eth0';
  checkNames(spec.name, spec.hostEnd, inner, spec.bridge);
  const mtu = spec.mtu ?? (await bridgeMtu(spec.bridge));
  if (spec.mtu !== undefined) await bridgeMtu(spec.bridge);
  // Inverses come after their effects: one that failed may have met a name that is another's.
  const undo = createUndoStack();
  try {
    await run('ip', ['netns', 'add', spec.name]);
    undo.push('namespace', () => removeNetns(spec.name));
    await ip([pairLine(spec, inner, mtu)]);
    undo.push('veth pair', () => removeLink(spec.hostEnd));
    // The host end needs no address of its own, and must not ask for one on the job's wire.
    await ip([`link set dev ${spec.hostEnd} addrgenmode none`, `link set dev ${spec.hostEnd} up`]);
    await ip(['link set dev lo up', `link set dev ${inner} up`], spec.name);
  } catch (error) {
    await undo.rollback();
    throw failed(`namespace ${spec.name} could not be made`, error);
  }
  return { path: netnsPathOf(spec.name), mtu };
}

/** The file of a namespace that `createJobNetns` made. */
export function netnsPathOf(name: string): string {
  return `${netnsDirectory}/${name}`;
}

/** Puts the job onto the wire: from now on its frames leave and arrive. */
export async function attachToBridge(hostEnd: string, bridge: string): Promise<void> {
  checkNames('x', hostEnd, bridge);
  try {
    await run('ip', ['link', 'set', 'dev', hostEnd, 'master', bridge]);
  } catch (error) {
    throw failed(`${hostEnd} could not be put onto ${bridge}`, error);
  }
}

/** Takes the job off the wire; harmless when it is off it, or gone. */
export async function detachFromBridge(hostEnd: string): Promise<void> {
  checkNames('x', hostEnd);
  await tolerate(['link', 'set', 'dev', hostEnd, 'nomaster'], /Cannot find device/);
}

/**
 * Removes what `createJobNetns` made; harmless when it is gone. A namespace in which a process
 * still runs loses its name and its device, and lives until that process ends.
 */
export async function destroyJobNetns(name: string, hostEnd: string): Promise<void> {
  checkNames(name, hostEnd);
  await removeLink(hostEnd);
  await removeNetns(name);
}

function pairLine(spec: JobNetnsSpec, inner: string, mtu: number): string {
  return [
    `link add name ${spec.hostEnd} mtu ${mtu} type veth peer name ${inner} mtu ${mtu}`,
    ...(spec.mac === undefined ? [] : [`address ${spec.mac}`]),
    ...(spec.innerIndex === undefined ? [] : [`index ${spec.innerIndex}`]),
    `netns ${spec.name}`,
  ].join(' ');
}

const bridgeJson = z.tuple([
  z.looseObject({
    mtu: z.number(),
    linkinfo: z.looseObject({ info_kind: z.string().optional() }).optional(),
  }),
]);

/** Bytes. Throws NETWORK_FAILED when there is no such device or it is no bridge. */
export async function bridgeMtu(bridge: string): Promise<number> {
  const shown = await run('ip', ['-j', '-d', 'link', 'show', 'dev', bridge]).catch((error) => {
    throw failed(`bridge ${bridge}`, error);
  });
  const parsed = bridgeJson.safeParse(JSON.parse(shown.stdout));
  if (parsed.success && parsed.data[0].linkinfo?.info_kind === 'bridge') return parsed.data[0].mtu;
  throw new MigrateError('NETWORK_FAILED', `${bridge} is a device of this host, but no bridge`, {
    hint: `Name a bridge of this host; "ip link show type bridge" lists them.`,
  });
}

async function ip(lines: readonly string[], netns?: string): Promise<void> {
  const input = `${lines.join('\n')}\n`;
  if (netns === undefined) await run('ip', ['-batch', '-'], { input });
  else await run('nsenter', [`--net=${netnsPathOf(netns)}`, 'ip', '-batch', '-'], { input });
}

async function removeLink(hostEnd: string): Promise<void> {
  await tolerate(['link', 'del', 'dev', hostEnd], /Cannot find device/);
}

async function removeNetns(name: string): Promise<void> {
  await tolerate(['netns', 'del', name], /No such file or directory/);
}

async function tolerate(args: readonly string[], harmless: RegExp): Promise<void> {
  const { exitCode, stderr } = await run('ip', args, { okCodes: [0, 1, 2] });
  if (exitCode === 0 || harmless.test(stderr)) return;
  throw new MigrateError('NETWORK_FAILED', `ip ${args.join(' ')}: ${stderr.trim()}`);
}

function checkNames(netns: string, ...links: readonly string[]): void {
  const wrong = netnsNamePattern.test(netns)
    ? links.find((link) => !linkNamePattern.test(link))
    : netns;
  if (wrong === undefined) return;
  throw new MigrateError('USAGE', `"${wrong}" cannot be the name of a device or a namespace`);
}

function failed(what: string, error: unknown): MigrateError {
  const cause = asMigrateError(error);
  if (cause.code === 'NETWORK_FAILED') return cause;
  return new MigrateError('NETWORK_FAILED', `${what}: ${cause.message}`, { cause });
}

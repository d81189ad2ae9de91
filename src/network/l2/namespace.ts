import { asMigrateError, MigrateError } from '../../base/errors.ts';
import { run } from '../../host/run.ts';
import { linkNamePattern } from '../netlink/codec.ts';
import { type NetlinkSpace, openSpace } from '../netlink/space.ts';
import { isFallbackDevice } from './kinds/fallback.ts';
import { readLinks } from './objects/link-read.ts';
import { removeLink } from './objects/link-requests.ts';
import { neighbours } from './objects/neighbours.ts';

const netnsDirectory = '/run/netns';
const netnsNamePattern = /^(?!\.{1,2}$|-)[A-Za-z0-9_.-]{1,200}$/;
const ownNamespace = '/proc/self/ns/net';

/** The file of a namespace that `createNetns` or `ip netns add` made. */
export function netnsPathOf(name: string): string {
  return `${netnsDirectory}/${name}`;
}

/**
 * Makes a named namespace, /run/netns/NAME, which CRIU takes for `--external net`.
 * Throws NETWORK_FAILED, and never touches what had the name before.
 */
export async function createNetns(name: string): Promise<{ readonly path: string }> {
  checkName(name);
  try {
    await run('ip', ['netns', 'add', name]);
  } catch (error) {
    const cause = asMigrateError(error);
    throw new MigrateError(
      'NETWORK_FAILED',
      `namespace ${name} could not be made: ${cause.message}`,
      {
        cause,
      },
    );
  }
  return { path: netnsPathOf(name) };
}

/**
 * Removes a named namespace, and at once the host's ends of its veth pairs; harmless when it is
 * gone. One in which a process still runs loses its name and its way out, and lives until that
 * process ends.
 */
export async function removeNetns(name: string): Promise<void> {
  checkName(name);
  removeHostEnds(netnsPathOf(name));
  const { exitCode, stderr } = await run('ip', ['netns', 'del', name], { okCodes: [0, 1, 2] });
  if (exitCode === 0 || /No such file or directory/.test(stderr)) return;
  throw new MigrateError('NETWORK_FAILED', `ip netns del ${name}: ${stderr.trim()}`);
}

/** Whether a named namespace has neither a process nor a device of somebody's. */
export async function isUnusedNetns(name: string): Promise<boolean> {
  checkName(name);
  const pids = await run('ip', ['netns', 'pids', name], { okCodes: [0, 1, 255] });
  if (pids.exitCode !== 0 || pids.stdout.trim() !== '') return false;
  const inside = openSpace(netnsPathOf(name));
  try {
    const reading = { names: inside.names, unknown: new Set<string>() };
    return readLinks(inside, reading).every(
      ({ link: { name: device, kind, up } }) =>
        !up && (kind === 'lo' || isFallbackDevice(device, kind)),
    );
  } finally {
    inside.close();
  }
}

/** A veth end that goes takes the other with it, wherever that is; so do devices on a parent. */
function removeHostEnds(path: string): void {
  let inside: ReturnType<typeof openSpace> | undefined;
  try {
    inside = openSpace(path);
    const reading = { names: inside.names, unknown: new Set<string>() };
    const outer = readLinks(inside, reading).filter(({ link }) => link.outside === true);
    const { names } = inside;
    inside.socket('route').send(outer.map(({ index }) => removeLink(index, names)));
    removeLooseProxies(inside);
  } catch {
    // It is gone, or `ip netns del` says what is wrong with it.
  } finally {
    inside?.close();
  }
}

/**
 * A proxy for any device goes with no device (pneigh_ifdown in net/core/neighbour.c): the kernel
 * would keep it, and show it in a later namespace that gets the same memory.
 */
function removeLooseProxies(space: NetlinkSpace): void {
  const reading = { names: space.names, unknown: new Set<string>() };
  const loose = neighbours.read(space, reading).filter(({ link }) => link === undefined);
  space.socket('route').send(loose.flatMap((one) => neighbours.remove(one, space.names)));
}

/** Bytes. Throws NETWORK_FAILED when there is no such device or it is no bridge. */
export async function bridgeMtu(bridge: string): Promise<number> {
  if (!linkNamePattern.test(bridge)) {
    throw new MigrateError('USAGE', `"${bridge}" cannot be the name of a device`);
  }
  const host = openSpace(ownNamespace);
  try {
    const reading = { names: host.names, unknown: new Set<string>() };
    const found = readLinks(host, reading).find(({ link }) => link.name === bridge);
    if (found?.link.kind === 'bridge') return found.link.mtu;
    const what =
      found === undefined ? 'is no device of this host' : 'is a device of this host, but no bridge';
    throw new MigrateError('NETWORK_FAILED', `${bridge} ${what}`, {
      hint: `Name a bridge of this host; "ip link show type bridge" lists them.`,
    });
  } finally {
    host.close();
  }
}

function checkName(name: string): void {
  if (netnsNamePattern.test(name)) return;
  throw new MigrateError('USAGE', `"${name}" cannot be the name of a namespace`);
}

import { randomBytes } from 'node:crypto';
import { withOpenFile } from '../../src/host/files.ts';
import { run } from '../../src/host/run.ts';
import { buildNetwork } from '../../src/network/l2/build.ts';
import { captureNetwork } from '../../src/network/l2/capture.ts';
import { diffNetwork } from '../../src/network/l2/diff.ts';
import { attachEnds, placesOf } from '../../src/network/l2/host-ends.ts';
import { settleLinks } from '../../src/network/l2/make-links.ts';
import { createNetns, netnsPathOf, removeNetns } from '../../src/network/l2/namespace.ts';
import { readLinks } from '../../src/network/l2/objects/link-read.ts';
import { settleSections } from '../../src/network/l2/settle.ts';
import { type NetworkState, parseNetworkState } from '../../src/network/l2/state.ts';
import { openSpace } from '../../src/network/netlink/space.ts';
import { runLines } from './make.ts';

/** Makes a named namespace that hangs on a bridge of this host by eth0, and what the lines say. */
export async function makeNetwork(
  name: string,
  bridge: string,
  lines: readonly string[],
): Promise<void> {
  await createNetns(name);
  const mac = `02:00:00:${randomBytes(3)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:')}`;
  const devices = lines.findIndex((line) => !line.startsWith('echo '));
  const first = lines.slice(0, devices < 0 ? lines.length : devices);
  runLines(name, first);
  const outer = `mp${randomBytes(5).toString('hex')}`;
  await run('ip', [
    'link',
    'add',
    outer,
    'mtu',
    '1500',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'address',
    mac,
    'netns',
    name,
  ]);
  await run('ip', ['link', 'set', 'dev', outer, 'master', bridge, 'up']);
  // Other cases on this bridge have the same addresses.
  await run('bridge', ['link', 'set', 'dev', outer, 'isolated', 'on']);
  runLines(name, [
    'ip link set dev lo up',
    'ip link set dev eth0 up',
    ...lines.slice(first.length),
  ]);
}

/** Reads a namespace once what the kernel does by itself is over. */
export async function readNetwork(name: string): Promise<NetworkState> {
  await untilSure(name);
  return captureNetwork({ path: netnsPathOf(name) });
}

/** Builds a namespace from a document as it arrives, on the wire in the end. */
export async function buildFrom(name: string, document: unknown): Promise<void> {
  const state = parseNetworkState(JSON.parse(JSON.stringify(document)));
  const { path } = await createNetns(name);
  const ends = state.ends.map((end) => ({
    ...end,
    hostEnd: `mp${randomBytes(5).toString('hex')}`,
  }));
  await withOpenFile(path, (fd) => buildNetwork(state, { path }, { places: placesOf(ends, fd) }));
  attachEnds(ends);
}

/** What a second build of the same document would ask of the kernel; nothing, if all is right. */
export function askedAgain(name: string, state: NetworkState): string[] {
  const space = openSpace(netnsPathOf(name));
  try {
    const present = readLinks(space, { names: space.names, unknown: new Set() });
    const { settled, failure } = settleLinks(state.links, space, 'done', present);
    const refusals = settleSections(state, space);
    const lines = refusals.map(({ what, why }) => `${what}: ${why}`);
    return settled ? lines : [`devices are asked for again (${failure ?? 'done'})`, ...lines];
  } finally {
    space.close();
  }
}

/** Every way in which two documents differ, said from both sides. */
export function differences(first: NetworkState, second: NetworkState): string[] {
  return [
    ...diffNetwork(first, second),
    ...diffNetwork(second, first).map((line) => `back: ${line}`),
  ];
}

/**
 * Makes a namespace on a bridge of this host, reads it, builds a second one from what was read and
 * reads that: all that is wrong, nothing if it is equal and a second build would ask for nothing.
 */
export async function arrives(
  tag: string,
  bridge: string,
  lines: readonly string[],
): Promise<readonly string[]> {
  const [from, to] = [`${tag}-a`, `${tag}-b`];
  try {
    await makeNetwork(from, bridge, lines);
    const made = await readNetwork(from);
    const shaky = differences(made, await readNetwork(from));
    if (shaky.length > 0) return shaky.map((line) => `read twice: ${line}`);
    await buildFrom(to, made);
    const wrong = [...made.warnings, ...differences(made, await readNetwork(to))];
    return wrong.length > 0 ? wrong : askedAgain(to, made).map((line) => `asked again: ${line}`);
  } finally {
    for (const name of [from, to]) await removeNetns(name);
  }
}

/** Duplicate detection takes a second where it is not turned off. */
const sureWaitMs = 2_500;
/**
 * Where STP is on, a port is let in after listening and learning for 15 s each; then the bridge
 * says for 35 s that its topology changes.
 */
const letInWaitMs = 80_000;
const pollMs = 50;

/**
 * A bridge has no carrier until STP has let a port in; then the kernel gives it an address, and a
 * shorter ageing time for a while. Waited for where a move may take that long itself.
 */
export async function untilLetIn(name: string): Promise<void> {
  const end = Date.now() + letInWaitMs;
  while (Date.now() < end) {
    const { stdout } = await run('ip', ['-n', name, '-d', 'link', 'show']);
    if (!/ state (listening|learning) | topology_change 1 /.test(stdout)) return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** A device without a carrier never gets sure of its addresses. */
async function untilSure(name: string): Promise<void> {
  const end = Date.now() + sureWaitMs;
  while (Date.now() < end) {
    const { stdout } = await run('ip', ['-n', name, '-6', '-o', 'addr', 'show', 'tentative']);
    if (stdout.trim() === '') return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

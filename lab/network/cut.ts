import type { Host, Lab } from '../model.ts';
import { pathsOf } from '../paths.ts';
import { attempt, run } from '../run.ts';
import { CUT_SET, inSegment, portsOf } from './segment.ts';

/** From now on frames between the two hosts vanish, on every path between them, both ways. */
export async function cut(lab: Lab, a: Host, b: Host): Promise<void> {
  await run(inNft(lab, 'add', a, b));
}

/** Undoes a cut; healing what is whole is no error. */
export async function heal(lab: Lab, a: Host, b: Host): Promise<void> {
  await run(inNft(lab, 'add', a, b));
  await run(inNft(lab, 'delete', a, b));
}

/** A host's place on the wire is forgotten with the host. */
export async function healAll(lab: Lab, host: Host): Promise<void> {
  for (const other of lab.hosts) {
    if (other.name !== host.name) await attempt(inNft(lab, 'delete', host, other));
  }
}

function inNft(lab: Lab, verb: 'add' | 'delete', a: Host, b: Host) {
  const pairs: string[] = [];
  for (const left of portsOf(a.number)) {
    for (const right of portsOf(b.number)) {
      pairs.push(`"${left}" . "${right}"`, `"${right}" . "${left}"`);
    }
  }
  const words = [verb, 'element', 'bridge', 'lab', CUT_SET, `{ ${pairs.join(', ')} }`];
  return inSegment(pathsOf(lab.name).netns, ['nft', ...words]);
}

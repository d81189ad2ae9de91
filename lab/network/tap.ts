import type { Host } from '../model.ts';
import { run } from '../run.ts';
import { BRIDGE, inSegment, portsOf } from './segment.ts';

/** Two taps on the bridge, for the cards of a guest that is about to start. */
export async function makeTaps(netns: string, host: Host): Promise<void> {
  const lines = portsOf(host.number).flatMap((port) => [
    `tuntap add dev ${port} mode tap`,
    `link set ${port} master ${BRIDGE} up`,
  ]);
  await run(inSegment(netns, ['ip', '-batch', '-']), { input: lines.join('\n') });
}

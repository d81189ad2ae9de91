import { type Host, mac } from '../model.ts';
import { attempt, run } from '../run.ts';
import { BRIDGE, inSegment, portsOf } from './segment.ts';

/** Gives the host whose init is `pid` its two cards, and plugs both into the bridge. */
export async function plugIn(netns: string, host: Host, pid: number): Promise<void> {
  const [port0, port1] = portsOf(host.number);
  const lines = [
    `link add ${port0} type veth peer name eth0 address ${mac(host.number, 0)} netns ${pid}`,
    `link add ${port1} type veth peer name eth1 address ${mac(host.number, 1)} netns ${pid}`,
    `link set ${port0} master ${BRIDGE} up`,
    `link set ${port1} master ${BRIDGE} up`,
  ];
  await run(inSegment(netns, ['ip', '-batch', '-']), { input: lines.join('\n') });
}

/** Takes the cards away at once, before the host can say goodbye to anybody. */
export async function plugOut(netns: string, host: Host): Promise<void> {
  const lines = portsOf(host.number).map((port) => `link del ${port}`);
  await attempt(inSegment(netns, ['ip', '-force', '-batch', '-']), { input: lines.join('\n') });
}

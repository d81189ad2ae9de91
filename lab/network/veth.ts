import { type Host, mac } from '../model.ts';
import { run } from '../run.ts';
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

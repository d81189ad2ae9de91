import { expect, test } from 'vitest';
import { openPacketSocket } from '../../src/host/packet-socket.ts';
import { enterNewNetworkNamespace, ip, startAgent } from '../support/l3-host.ts';

test('a frame leaves by the interface it was sent to, unchanged', async () => {
  enterNewNetworkNamespace();
  ip('link add v0 type veth peer name v1');
  ip('link set v0 up');
  ip('link set v1 up');
  const agent = await startAgent();
  // 0x88b5 is the EtherType that IEEE 802 leaves for experiments.
  await agent.run(`r = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0xb588)
r.bind(('v1', 0x88b5)); r.settimeout(LIMIT_S)`);
  const [link] = JSON.parse(ip('-j link show v0')) as { ifindex: number }[];
  const index = link?.ifindex ?? 0;
  const frame = Buffer.from(`ffffffffffff02000000000188b5${'ab'.repeat(50)}`, 'hex');
  const sender = openPacketSocket(index);
  sender.send(frame);
  expect(await agent.run('result = r.recv(2000).hex()')).toBe(frame.toString('hex'));
  expect(() => sender.send(frame.subarray(0, 13))).toThrow(/13 bytes/);
  sender.close();
  expect(() => openPacketSocket(4_000).send(frame)).toThrow(/ENXIO|ENODEV/);
  await agent.stop();
});

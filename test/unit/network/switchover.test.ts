import { expect, test } from 'vitest';
import { closingRuleset } from '../../../src/network/switchover/closing.ts';
import { announcementFrames } from '../../../src/network/switchover/frames.ts';
import { holdRuleset, openingRuleset, startRuleset } from '../../../src/network/switchover/hold.ts';
import { leaveRuleset, lockRuleset, unlockRuleset } from '../../../src/network/switchover/lock.ts';

const id = 'f'.repeat(32);

test('a hold forwards what comes for the addresses of each family to its ifb', () => {
  const hold = { id, devices: ['eth0'], addresses: ['10.0.0.1', 'fd77::1'] };
  const opening = openingRuleset(hold);
  expect(opening).toContain('hook ingress devices = { "eth0" }');
  expect(opening).toContain(
    'ip6 daddr { fd77::1 } tcp flags & (syn | ack) == syn fwd to "mghffffffffff"',
  );
  const ruleset = holdRuleset(hold);
  expect(ruleset).toContain(`flush chain netdev migrate-${id} in\n`);
  expect(ruleset).toContain('ip daddr { 10.0.0.1 } fwd to "mghffffffffff"');
  expect(ruleset).toContain('ip6 daddr { fd77::1 } fwd to "mghffffffffff"');
  const v4 = holdRuleset({ id, devices: ['eth0'], addresses: ['10.0.0.1'] });
  expect(v4).not.toContain('ip6');
});

test('one lock drops both directions for every address, whatever the connections', () => {
  const ruleset = lockRuleset({ id, addresses: ['10.0.0.1', 'fd77::1', '127.128.0.1'] });
  expect(ruleset).toContain('ip daddr { 10.0.0.1, 127.128.0.1 } drop');
  expect(ruleset).toContain('ip saddr { 10.0.0.1, 127.128.0.1 } drop');
  expect(ruleset).toContain('ip6 daddr { fd77::1 } drop');
  expect(ruleset).not.toContain('arp');
});

test('a mute lock answers neither ARP nor neighbour solicitations', () => {
  const ruleset = lockRuleset({ id, addresses: ['10.0.0.1', 'fd77::1'], mute: true });
  expect(ruleset).toContain('arp daddr ip { 10.0.0.1 } drop');
  expect(ruleset).toContain('@th,64,128 0xfd770000000000000000000000000001 drop');
});

test('released packets are sent on to the target, loopback ones never', () => {
  const ruleset = lockRuleset({
    id,
    addresses: ['10.0.0.1', '127.128.0.1'],
    relays: [{ device: 'eth0', v4: '10.0.0.9' }],
  });
  expect(ruleset).toContain('ip daddr { 10.0.0.1 } dup to 10.0.0.9 device "eth0" drop');
  expect(ruleset).not.toContain('table ip6 migrate');
});

test("all of a namespace's packets are held, and all is locked; its neighbours are answered", () => {
  const hold = { id, devices: ['eth0', 'm1'] };
  expect(openingRuleset(hold)).toContain('hook ingress devices = { "eth0", "m1" }');
  const held = holdRuleset(hold);
  expect(held).toMatch(/meta protocol arp accept\n.*accept\n.* in fwd to "mghffffffffff"/);
  expect(startRuleset(hold)).toMatch(/== syn fwd to .*\n.*l4proto tcp accept\n.* in fwd to/);
  for (const rules of [openingRuleset, startRuleset, holdRuleset])
    expect(rules({ id, devices: [] })).toBe('');
  const locked = lockRuleset({ id, relays: [{ device: 'm1', v4: '169.254.77.1' }] });
  expect(locked).toMatch(/hook input priority -400; policy drop;/);
  expect(locked).toMatch(/hook output priority -400; policy drop;/);
  expect(locked).toContain(
    'iifname "m1" ip daddr != 224.0.0.0/3 meta mark set 0xc114 dup to 169.254.77.1 device "m1" drop',
  );
  expect(locked).not.toContain('table ip6 migrate');
  expect(leaveRuleset({ id })).toContain(`chain arp migrate-${id} out { policy drop; }`);
});

test('connections that are closing pass the hold, the lock both ways, and the relay', () => {
  const addresses = ['10.0.0.1'];
  const hold = { id, devices: ['eth0'], addresses };
  const lock = { id, addresses, relays: [{ device: 'eth0', v4: '10.0.0.9' }] };
  const own = { address: '10.0.0.1', port: 80 };
  const peer = { address: '10.0.0.7', port: 40_000 };
  const key = 'ip saddr . tcp sport . ip daddr . tcp dport';
  const arriving = `${key} { 10.0.0.7 . 40000 . 10.0.0.1 . 80 } accept\n`;
  const leaving = `${key} { 10.0.0.1 . 80 . 10.0.0.7 . 40000 } accept\n`;
  const connection = { own, peer, unackedBytes: 1 };
  expect(closingRuleset({ hold, lock }, [connection])).toBe(
    `insert rule netdev migrate-${id} in ${arriving}` +
      `insert rule ip migrate-${id} relay ${arriving}` +
      `insert rule inet migrate-${id} in ${arriving}` +
      `insert rule inet migrate-${id} out ${leaving}`,
  );
  const unheld = { hold: { ...hold, devices: [] }, lock: { id, addresses } };
  expect(closingRuleset(unheld, [connection])).not.toMatch(/netdev|relay/);
  expect(closingRuleset({ hold, lock }, [])).toBe('');
  const many = Array.from({ length: 600 }, (_, at) => ({
    ...connection,
    peer: { ...peer, port: 1 + at },
  }));
  expect(closingRuleset(unheld, many)).toContain('512 . 10.0.0.1');
  expect(closingRuleset(unheld, many)).not.toContain('513 . 10.0.0.1');
});

test('unlocking works when there is no lock', () => {
  const lines = unlockRuleset({ id }).trim().split('\n');
  for (const [index, line] of lines.entries()) {
    expect(line.startsWith(index % 2 === 0 ? 'add table' : 'delete table')).toBe(true);
  }
});

test('a gratuitous ARP goes to everybody and names the address twice', () => {
  const [request, reply] = announcementFrames('10.0.0.1', '02:00:00:00:00:07');
  expect(request?.toString('hex')).toBe(
    'ffffffffffff' +
      '020000000007' +
      '08060001080006040001' +
      '020000000007' +
      '0a000001' +
      '000000000000' +
      '0a000001',
  );
  expect(reply?.readUInt16BE(20)).toBe(2);
});

test('the checksum of an unsolicited advertisement is right', () => {
  const [frame] = announcementFrames('fd77::1', '02:00:00:00:00:07');
  const packet = frame?.subarray(14) ?? Buffer.alloc(0);
  const body = packet.subarray(40);
  const length = Buffer.alloc(8);
  length.writeUInt32BE(body.length, 0);
  length.writeUInt32BE(58, 4);
  const all = Buffer.concat([packet.subarray(8, 40), length, body]);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  expect(sum).toBe(0xffff);
});

test('what comes from the wire with a MAC of the job is the target: no bridge inside learns from it', () => {
  const ownMacs = ['02:00:00:00:10:01'];
  const ruleset = holdRuleset({ id, devices: ['in0'], ownMacs });
  expect(ruleset).toMatch(/ether saddr \{ 02:00:00:00:10:01 \} drop\s[\s\S]*fwd to/);
});

import { afterEach, describe, expect, test } from 'vitest';
import {
  diffIptables,
  findIptables,
  iptablesProblems,
  loadIptables,
  readIptables,
} from '../../src/network/l2/netfilter/iptables.ts';
import {
  checkIptablesTable,
  iptablesTableSchema,
} from '../../src/network/l2/netfilter/iptables-text.ts';
import { nftGeneration, readNftHeads } from '../../src/network/l2/netfilter/nft-heads.ts';
import { changedNft, listRuleset, readNft } from '../../src/network/l2/netfilter/nft-tables.ts';
import { nftLines } from '../../src/network/l2/nft.ts';
import type { NftTable } from '../../src/network/l2/state.ts';
import type { NetlinkSpace } from '../../src/network/netlink/space.ts';
import { agentIn, lacking, load, makeTwin, removeTwins } from '../support/twins.ts';

afterEach(removeTwins);

/** Datagrams that nobody takes. */
const send = (address: string, count: number) => `
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(${count}): sender.sendto(b"x", (${JSON.stringify(address)}, 9))`;
function readTables(space: NetlinkSpace): Promise<NftTable[]> {
  return readNft(readNftHeads(space), () => listRuleset(space.path));
}

const programs = ['iptables-legacy', 'iptables-nft', 'arptables-legacy'];
const withIptables = describe.skipIf(lacking(programs)); // they make the rules; setup.mjs has them

withIptables('iptables', () => {
  const rules = (program: string) => `
    ${program} -A INPUT -m conntrack --ctstate RELATED -m comment --comment 'a "b" -M c' -j ACCEPT
    ${program} -P FORWARD DROP; ${program} -N own
    ${program} -A own -m limit --limit 5/min -j LOG --log-prefix 'say so: '
    ${program} -A own -m statistic --mode random --probability 0.5 -j MARK --set-mark 7
    ${program} -A INPUT -i lo -m length --length 0:2000 -j ACCEPT
    ${program} -t nat -A POSTROUTING -o eth0 -m statistic --mode nth --every 3 --packet 1 -j MASQUERADE`;

  for (const backend of ['legacy', 'nft'] as const) {
    test(`tables of iptables-${backend} arrive with what they have counted`, async () => {
      const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
      await first.sh(`${rules(`iptables-${backend}`)}\n${rules(`ip6tables-${backend}`)}`);
      await first.sh('ip link set lo up');
      await (await agentIn(first)).run(send('127.0.0.1', 4));
      const groups = findIptables(first.space);
      expect(groups).toEqual([
        { backend, family: 4, tables: expect.arrayContaining(['filter', 'nat']) },
        { backend, family: 6, tables: expect.arrayContaining(['filter', 'nat']) },
      ]);
      const tables = (await readIptables(first.space, groups)).map((one) =>
        iptablesTableSchema.parse(one),
      );
      expect(await iptablesProblems(tables)).toEqual([]);
      await loadIptables(second.space, tables);
      const found = await readIptables(second.space, findIptables(second.space));
      expect(diffIptables(tables, found)).toEqual([]);
      expect(found).toEqual(tables);
      const counted = found[0]?.lines.find((line) => line.includes('-i lo'));
      expect(Number(/^\[(\d+):/.exec(counted ?? '')?.[1])).toBeGreaterThanOrEqual(4);
      expect(await readTables(second.space)).toEqual([]);
    });
  }

  test('a namespace without iptables starts no program, and gets no table by being read', async () => {
    const twin = await makeTwin('nfa');
    expect(findIptables(twin.space)).toEqual([]);
    expect(await twin.sh('cat /proc/net/ip_tables_names')).toBe('');
  });

  test('a legacy table of arptables is refused by name', async () => {
    const twin = await makeTwin('nfa');
    await twin.sh('arptables-legacy -A INPUT -s 10.0.0.1 -j DROP');
    expect(() => findIptables(twin.space)).toThrow(/arptables table filter/);
  });

  test('what iptables-restore would take and iptables-save does not print is refused', () => {
    const hostile = [
      '-A INPUT -M /tmp/x',
      '-A INPUT --modprobe=/tmp/x',
      '-A INPUT --mod /tmp/x',
      '-A INPUT "--modprobe=/tmp/x"',
      '-A INPUT -4M/tmp/x',
      '-A INPUT --ctstate --comment -M/tmp/x',
      '-A INPUT -m comment --log-prefix --comment -M/tmp/x',
      '-A INPUT -m --comment -M/tmp/x',
      '-A INPUT -s evil.example -j DROP',
      '-A INPUT -m ../../tmp/x',
      '-D INPUT 1',
      'COMMIT',
      '*nat',
      '-A INPUT -j DROP\nCOMMIT',
    ];
    for (const line of hostile) {
      const table = { backend: 'legacy', family: 4, table: 'filter', lines: [line] } as const;
      const check = () => checkIptablesTable({ ...table, lines: [line] }, 'BUNDLE_UNSAFE');
      expect(check, line).toThrow(/no rule that can be carried/);
    }
  });
});

describe('nft', () => {
  const ruleset = `
table inet t {
  counter c { packets 5 bytes 6
 }
  set s { type ipv4_addr; flags timeout; elements = { 1.2.3.4 timeout 1h expires 30m } }
  chain in { type filter hook input priority 0; iif lo counter; ip daddr 127.0.0.9 counter name c
 }
}
table netdev n { chain i { type filter hook ingress device lo priority 0; counter
 }
}`;

  test('the counters of the second reading replace those of the first', async () => {
    const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
    for (const twin of [first, second]) await twin.sh('ip link set lo up');
    await load(first, ruleset);
    const ahead = await readTables(first.space);
    await load(second, nftLines(ahead).join('\n'));
    const generation = nftGeneration(first.space);
    await (await agentIn(first)).run(send('127.0.0.9', 3));
    expect(nftGeneration(first.space)).toBe(generation);
    const now = await readTables(first.space);
    const { load: changed, remove } = changedNft(ahead, now);
    expect([changed.map(({ name }) => name), remove]).toEqual([['t', 'n'], []]);
    await load(second, nftLines(changed).join('\n'));
    const texts = (await readTables(second.space)).map(({ text }) => text);
    const plain = (text: string) => text.replace(/ expires \d+s/g, '');
    expect(texts.map(plain)).toEqual(now.map(({ text }) => plain(text)));
    expect(texts[0]).toMatch(/counter c \{\s+packets 8 bytes/);
  });

  test('tables keep their order when an earlier one has changed since it was loaded', async () => {
    const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
    const marks = (name: string, mark: number) => `table ip ${name} {
  set seen { type ipv4_addr; flags dynamic,timeout; }
  chain out { type filter hook output priority 0; meta mark set ${mark}
 }
}`;
    const names = ['still', 'one', 'gone', 'two', 'three'];
    await load(first, names.map((name, index) => marks(name, index)).join('\n'));
    const ahead = await readTables(first.space);
    await load(second, nftLines(ahead).join('\n'));
    await load(first, 'add element ip one seen { 10.0.0.1 timeout 1h }\ndelete table ip gone');
    const now = await readTables(first.space);
    const { load: changed, remove } = changedNft(ahead, now);
    expect([changed.map(({ name }) => name), remove]).toEqual([
      ['one', 'two', 'three'],
      ['ip gone'],
    ]);
    await load(second, ['delete table ip gone', ...nftLines(changed)].join('\n'));
    const found = (await readTables(second.space)).map(({ name }) => name);
    expect(found).toEqual(now.map(({ name }) => name));
    expect(changedNft(now, now)).toEqual({ load: [], remove: [] });
  });

  test('its tables are known without the program, and each change has another number', async () => {
    const twin = await makeTwin('nfa');
    expect(readNftHeads(twin.space)).toEqual([]);
    const before = nftGeneration(twin.space);
    await load(twin, 'table ip x\ntable inet migrate-mute');
    expect(nftGeneration(twin.space)).not.toBe(before);
    expect(readNftHeads(twin.space)).toEqual([
      { family: 'ip', name: 'x', isOwned: false, isIptables: false },
      { family: 'inet', name: 'migrate-mute', isOwned: false, isIptables: false },
    ]);
    expect((await readTables(twin.space)).map(({ name }) => name)).toEqual(['x']);
  });
});

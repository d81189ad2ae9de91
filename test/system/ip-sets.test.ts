import { afterEach, describe, expect, test } from 'vitest';
import { ipSetElements, ipSetProblems, ipSets } from '../../src/network/l2/netfilter/ip-sets.ts';
import { comparable, lacking, makeTwin, readAll, removeTwins, settle } from '../support/twins.ts';

afterEach(removeTwins);

const setScript = `
ipset create web hash:net,iface timeout 300 counters comment skbinfo
ipset add web 10.0.0.0/8,eth0 timeout 100 packets 5 bytes 70000000000 comment 'a b ä'
ipset add web 11.0.0.0/8,eth1 nomatch timeout 0 skbmark 0x1/0xff skbprio 1:2 skbqueue 3
ipset create bits bitmap:ip range 10.0.0.0/24 netmask 28
ipset add bits 10.0.0.16
ipset create macs bitmap:ip,mac range 10.1.0.0/24
ipset add macs 10.1.0.7,02:00:00:00:00:01
ipset add macs 10.1.0.8
ipset create ports bitmap:port range 1-100 counters
ipset add ports 7 packets 3 bytes 9
ipset create six hash:ip,port family inet6 hashsize 64 maxelem 100
ipset add six fd00::1,tcp:80
ipset add six fd00::1,udp:53
ipset add six fd00::2,icmpv6:128/0
ipset create three hash:ip,port,net
ipset add three 10.0.0.1,tcp:80,10.9.0.0/16
ipset create nets hash:net,port forceadd
ipset add nets 10.9.0.0/16,sctp:9
ipset create all list:set size 8 counters timeout 500
ipset add all web timeout 0
ipset add all bits
ipset add all six before bits packets 4 bytes 2
`;

const withIpset = describe.skipIf(lacking(['ipset'])); // makes the sets; setup.mjs installs it

withIpset('ip sets', () => {
  test('sets of every kind arrive with their elements, in the order of lists', async () => {
    const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
    await first.sh(setScript);
    const [sets, elements] = [readAll(ipSets, first), readAll(ipSetElements, first)];
    expect(ipSetProblems(second.space, sets)).toEqual([]);
    settle(ipSets, sets, second);
    settle(ipSetElements, elements, second);
    const saved = (await first.sh('ipset save')).replace(/timeout [1-9]\d*/g, 'timeout N');
    const found = (await second.sh('ipset save')).replace(/timeout [1-9]\d*/g, 'timeout N');
    expect(linesOf(found)).toEqual(linesOf(saved));
    expect(comparable(ipSets, readAll(ipSets, second))).toEqual(comparable(ipSets, sets));
    expect(listed(found)).toEqual(['web', 'six', 'bits']);
  });

  test('a second reading brings what has changed, counters too', async () => {
    const [first, second] = [await makeTwin('nfa'), await makeTwin('nfb')];
    await first.sh(setScript);
    settle(ipSets, readAll(ipSets, first), second);
    settle(ipSetElements, readAll(ipSetElements, first), second);
    await first.sh(
      'ipset del ports 7; ipset add ports 8 packets 10 bytes 20; ipset del bits 10.0.0.16',
    );
    await first.sh('ipset del all six; ipset add all ports');
    const { compared: _compared, ...exact } = ipSetElements;
    settle(exact, readAll(ipSetElements, first), second);
    const [saved, found] = [await first.sh('ipset save'), await second.sh('ipset save')];
    expect(listed(found)).toEqual(['web', 'bits', 'ports']);
    expect(linesOf(found).filter((line) => /(add|create) ports /.test(line))).toEqual(
      linesOf(saved).filter((line) => /(add|create) ports /.test(line)),
    );
  });

  test('a type that the kernel lacks is a problem of the plan', async () => {
    const twin = await makeTwin('nfa');
    const set = { name: 'x', type: 'hash:none', family: 2, revision: 0 };
    expect(ipSetProblems(twin.space, [set])[0]).toContain('no sets of type hash:none');
    const newer = { name: 'x', type: 'hash:ip', family: 2, revision: 200 };
    expect(ipSetProblems(twin.space, [newer])[0]).toContain('of revision 200 of hash:ip');
  });

  const linesOf = (text: string) => text.split('\n').sort();
  const listed = (text: string) =>
    text.split('\n').flatMap((line) => /^add all (\S+)/.exec(line)?.[1] ?? []);
});

import { createHash } from 'node:crypto';
import type { Dice } from './dice.ts';
import { addLink, type Draft, macFor, nameFor, type Rule, raise } from './draft.ts';

/** Devices whose frames go through the network of the namespace. */
export const tunnelRules: Readonly<Record<string, Rule>> = {
  vxlan(draft, dice) {
    const at = draft.next('tunnel');
    const over = overOf(draft, dice);
    const group = dice.pick([
      `remote 192.0.2.${at}`,
      `group 239.1.1.${at} dev ${over.name}`,
      `remote fd00:9::${at}`,
      `local 192.0.2.254 remote 192.0.2.${at} dev ${over.name}`,
    ]);
    const isMetadata = dice.maybe(5);
    const where = isMetadata ? 'external' : `id ${at * 1000} ${group}`;
    const words = dice.some(
      [
        'nolearning',
        'ttl 9',
        'tos 16',
        'ageing 77',
        'maxaddress 88',
        'proxy',
        'l2miss',
        'l3miss',
        'udpcsum',
        'gbp',
        'srcport 40000 50000',
        'df set',
      ],
      5,
    );
    carry(draft, dice, 'vxlan', `${where} dstport ${4789 + at}${words}`);
  },
  geneve(draft, dice) {
    const at = draft.next('tunnel');
    const words = dice.some(['ttl 9', 'tos 4', 'noudpcsum', 'df set'], 4);
    const remote = dice.pick([`192.0.2.${at}`, `fd00:9::${at}`]);
    const isMetadata = dice.maybe(6);
    const where = isMetadata ? 'external' : `id ${at} remote ${remote}`;
    // What each packet brings along cannot be said of the device (is_tnl_info_zero in geneve.c).
    const fitting = isMetadata ? words.replace(/ (ttl|tos) \d+/g, '') : words;
    carry(
      draft,
      dice,
      'geneve',
      `${where} dstport ${6081 + at}${remote.includes(':') ? '' : fitting}`,
    );
  },
  gretap: (draft, dice) =>
    carry(draft, dice, 'gretap', `${ends(draft, dice, 4)}${keys(draft, dice)}`),
  ip6gretap: (draft, dice) =>
    carry(draft, dice, 'ip6gretap', `${ends(draft, dice, 6)}${keys(draft, dice)}`),
  erspan: (draft, dice) =>
    carry(
      draft,
      dice,
      'erspan',
      `${ends(draft, dice, 4)} seq key ${draft.next('key')} ${spanning(dice)}`,
    ),
  ip6erspan: (draft, dice) =>
    carry(
      draft,
      dice,
      'ip6erspan',
      `${ends(draft, dice, 6)} seq key ${draft.next('key')} ${spanning(dice)}`,
    ),
  gre: (draft, dice) => bare(draft, dice, 'gre', `${ends(draft, dice, 4)}${keys(draft, dice)}`),
  ip6gre: (draft, dice) =>
    bare(
      draft,
      dice,
      'ip6gre',
      `${ends(draft, dice, 6)}${keys(draft, dice)}${dice.some(['hoplimit 9', 'encaplimit 2', 'tclass 0x10'])}`,
    ),
  ipip: (draft, dice) =>
    bare(
      draft,
      dice,
      'ipip',
      `${ends(draft, dice, 4)}${dice.some(['ttl 7', 'tos 8', 'mode any', 'fwmark 0x77'])}`,
    ),
  sit: (draft, dice) =>
    bare(
      draft,
      dice,
      'sit',
      `${ends(draft, dice, 4)}${dice.some(['ttl 64', 'tos 4', 'mode any', 'fwmark 0x44'])}`,
    ),
  ip6tnl: (draft, dice) =>
    bare(
      draft,
      dice,
      'ip6tnl',
      `${ends(draft, dice, 6)} mode ${dice.pick(['any', 'ipip6', 'ip6ip6'])}${dice.some(['hoplimit 9', 'encaplimit 3', 'tclass 0x20', 'dscp inherit', 'fwmark 0x5'])}`,
    ),
  vti: (draft, dice) =>
    bare(draft, dice, 'vti', `${ends(draft, dice, 4)} ikey ${draft.next('key')} okey 4`),
  vti6: (draft, dice) =>
    bare(draft, dice, 'vti6', `${ends(draft, dice, 6)} ikey ${draft.next('key')} okey 4`),
  wireguard(draft, dice) {
    const name = nameFor(draft, dice, 'wireguard');
    draft.lines.push(`ip link add ${name} type wireguard`);
    const at = draft.next('wireguard');
    const own = [`[Interface]`, ...(dice.maybe(5) ? [] : [`PrivateKey=${key(`own ${at}`)}`])];
    if (!dice.maybe(3)) own.push(`ListenPort=${51_820 + at}`);
    if (dice.maybe(3)) own.push(`FwMark=0x${at}1`);
    const peers = Array.from({ length: dice.below(4) }, (_, peer) => [
      '[Peer]',
      `PublicKey=${key(`${at} ${peer}`)}`,
      ...(dice.maybe(3) ? [`PresharedKey=${key('shared')}`] : []),
      ...(dice.maybe(2) ? [`Endpoint=${dice.pick(['192.0.2.9', '[fd00:9::9]'])}:51820`] : []),
      ...(dice.maybe(2) ? ['PersistentKeepalive=25'] : []),
      ...(dice.maybe(4) ? [] : [`AllowedIPs=10.${200 + peer}.${at}.0/24,fd00:${peer}::/64`]),
    ]);
    const text = [...own, ...peers.flat()].join('\\n');
    draft.lines.push(`printf '${text}\\n' | wg setconf ${name} /dev/stdin`);
    const link = { name, kind: 'wireguard', mtuMax: 1420, depth: 0, isEthernet: false };
    raise(draft, dice, addLink(draft, dice, link));
  },
};

/** A private key made from words, clamped as it has to be (RFC 7748, section 5). */
function key(words: string): string {
  const bytes = createHash('sha256').update(words).digest();
  bytes[0] = (bytes[0] ?? 0) & 248;
  bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
  return bytes.toString('base64');
}

/** Leaves room for the headers of every tunnel, and for IPv6 inside it. */
const overMtuMin = 1400;

/** The device that a tunnel is bound to. */
function overOf(draft: Draft, dice: Dice) {
  const wide = draft.links.filter(({ kind, mtu }) => mtu >= overMtuMin && kind !== 'vrf');
  return dice.pick(wide.filter(({ kind }) => kind !== 'lo').concat(wide.slice(0, 1)));
}

/** No two tunnels of a namespace have the same ends. */
function ends(draft: Draft, dice: Dice, family: 4 | 6): string {
  const at = draft.next('tunnel');
  const local = family === 4 ? '192.0.2.253' : 'fd00:9::253';
  const remote = family === 4 ? `192.0.2.${at}` : `fd00:9::${at}`;
  const bound = dice.maybe(3) ? ` dev ${overOf(draft, dice).name}` : '';
  return `local ${local} remote ${remote}${bound}`;
}

function keys(draft: Draft, dice: Dice): string {
  return dice.some([
    `ikey ${draft.next('key')}`,
    'okey 12',
    'icsum',
    'ocsum',
    'oseq',
    'fwmark 0x99',
  ]);
}

function spanning(dice: Dice): string {
  return dice.pick(['erspan_ver 1 erspan 123', 'erspan_ver 2 erspan_dir egress erspan_hwid 7']);
}

/** A tunnel of Ethernet frames. */
function carry(draft: Draft, dice: Dice, kind: string, words: string): void {
  const name = nameFor(draft, dice, kind);
  draft.lines.push(`ip link add ${name} address ${macFor(draft)} type ${kind} ${words}`);
  const link = {
    name,
    kind,
    mtu: 900,
    depth: 1,
    isEthernet: true,
    overFamily: words.includes('::') ? 6 : 4,
  } as const;
  draft.lines.push(`ip link set dev ${name} mtu ${link.mtu}`);
  raise(draft, dice, addLink(draft, dice, link));
}

/** A tunnel of packets. */
function bare(draft: Draft, dice: Dice, kind: string, words: string): void {
  const name = nameFor(draft, dice, kind);
  draft.lines.push(`ip link add ${name} type ${kind} ${words}`);
  const link = { name, kind, depth: 1, isEthernet: false };
  raise(draft, dice, addLink(draft, dice, link));
}

import { describe, expect, test } from 'vitest';
import { classify } from '../../../src/checkpoint/sockets/classify.ts';
import type { SocketDiag, UnixDiag } from '../../../src/checkpoint/sockets/diag.ts';
import type { OpenEnd, SocketAnswers } from '../../../src/checkpoint/sockets/facts.ts';

const TCP = { family: 2, type: 1, protocol: 6 };
const UNIX = { family: 1, type: 1, protocol: 0 };
const LISTEN = 10;
const ESTABLISHED = 1;

const quiet = {
  isCorked: false,
  hasBpfFilter: false,
  hasAo: false,
  hasPeer: false,
  isElsewhere: false,
  settingsLeft: 0,
};

function end(inode: number, answers: Partial<SocketAnswers>, diag?: SocketDiag): OpenEnd {
  const holder = { pid: 900, jobPid: 7, program: 'server', fd: inode };
  const kind = answers.kind ?? TCP;
  const settings = { pid: 7, fd: inode, ...kind, options: [], groups: [] };
  return { holder, inode, diag, answers: { ...quiet, kind, settings, ...answers } };
}

const tcpDiag = {
  table: 'inet',
  family: 2,
  protocol: 6,
  state: ESTABLISHED,
  receiveQueue: 0,
  isLinkLocalPeer: false,
  hasMd5: false,
} as const;

const unixDiag: UnixDiag = {
  table: 'unix',
  type: 1,
  state: ESTABLISHED,
  peer: 0,
  isShut: false,
  sendQueue: 0,
  waiting: [],
};

function verdictsOn(
  ends: readonly OpenEnd[],
  waiting: readonly (readonly [number, number])[] = [],
) {
  return classify({ ends, waiting: new Map(waiting) }).map(
    ({ grade, holder, what }) => `${grade} ${holder.fd}: ${what}`,
  );
}

describe('what CRIU cannot dump is impossible', () => {
  test.each([
    [{ family: 2, type: 1, protocol: 262 }, 'an MPTCP socket'],
    [{ family: 10, type: 1, protocol: 262 }, 'an MPTCP socket'],
    [{ family: 2, type: 5, protocol: 132 }, 'an SCTP socket'],
    [{ family: 10, type: 1, protocol: 132 }, 'an SCTP socket'],
    [{ family: 2, type: 6, protocol: 33 }, 'a DCCP socket'],
    [{ family: 38, type: 5, protocol: 0 }, 'an AF_ALG socket'],
    [{ family: 40, type: 1, protocol: 0 }, 'a vsock socket'],
    [{ family: 44, type: 3, protocol: 0 }, 'an AF_XDP socket'],
    [{ family: 29, type: 3, protocol: 1 }, 'a CAN socket'],
    [{ family: 99, type: 3, protocol: 1 }, 'a socket of family 99, protocol 1'],
  ])('%o is %s', (kind, name) => {
    expect(verdictsOn([end(3, { kind })])).toEqual([
      `impossible 3: ${name}, which CRIU cannot dump`,
    ]);
  });

  test('and every such verdict says what to do', () => {
    const kinds = [262, 132, 33].map((protocol) => ({ family: 2, type: 1, protocol }));
    for (const { hint } of classify({
      ends: kinds.map((kind) => end(3, { kind })),
      waiting: new Map(),
    })) {
      expect(hint).toBeTruthy();
    }
  });

  test('plain TCP, UDP, raw and ping sockets are fine', () => {
    const kinds = [TCP, { ...TCP, type: 2, protocol: 17 }, { ...TCP, type: 3, protocol: 89 }];
    expect(verdictsOn(kinds.map((kind, at) => end(at, { kind })))).toEqual([]);
    expect(verdictsOn([end(3, { kind: { family: 10, type: 2, protocol: 58 } })])).toEqual([]);
  });

  test('TLS in the kernel: restored as plain TCP it would send in the clear', () => {
    const [verdict] = verdictsOn([end(3, {}, { ...tcpDiag, upper: 'tls' })]);
    expect(verdict).toMatch(/^impossible 3: TCP with tls in the kernel/);
  });

  test('a peer at a link-local address', () => {
    const [verdict] = verdictsOn([end(3, {}, { ...tcpDiag, isLinkLocalPeer: true })]);
    expect(verdict).toMatch(/^impossible 3: .*fe80::/);
  });
});

describe('what arrives without something is lost', () => {
  test('keys of TCP_MD5SIG', () => {
    expect(verdictsOn([end(3, {}, { ...tcpDiag, hasMd5: true })])[0]).toMatch(/^lost 3: .*MD5SIG/);
  });

  test('connections in the queue of a listener, bytes that a connection has received are not', () => {
    const listener = { ...tcpDiag, state: LISTEN, receiveQueue: 1 };
    expect(
      verdictsOn([end(3, {}, listener), end(4, {}, { ...tcpDiag, receiveQueue: 99 })]),
    ).toEqual(['lost 3: 1 connection not accepted yet is lost']);
  });
});

describe('unix sockets', () => {
  const outside = /^impossible 3: a unix socket connected to a process outside the job/;

  test('both ends in the job are fine', () => {
    const ends = [
      end(3, { kind: UNIX }, { ...unixDiag, peer: 4 }),
      end(4, { kind: UNIX }, { ...unixDiag, peer: 3 }),
    ];
    expect(verdictsOn(ends)).toEqual([]);
  });

  test('a peer outside is impossible', () => {
    expect(verdictsOn([end(3, { kind: UNIX }, { ...unixDiag, peer: 4 })])[0]).toMatch(outside);
  });

  test('a connection that a listener outside has not accepted is impossible', () => {
    expect(verdictsOn([end(3, { kind: UNIX }, unixDiag)], [[3, 77]])[0]).toMatch(outside);
  });

  test('one that a listener of the job has not accepted is fine until it has sent', () => {
    const listener = end(5, { kind: UNIX }, { ...unixDiag, state: LISTEN, waiting: [3] });
    const waiting = [[3, 5]] as const;
    expect(verdictsOn([end(3, { kind: UNIX }, unixDiag), listener], waiting)).toEqual([]);
    const eager = end(3, { kind: UNIX }, { ...unixDiag, sendQueue: 10 });
    expect(verdictsOn([eager, listener], waiting)[0]).toMatch(/sent before it was accepted/);
  });

  test('strangers that wait at a listener of the job are lost', () => {
    const listener = end(5, { kind: UNIX }, { ...unixDiag, state: LISTEN, waiting: [8, 9] });
    expect(verdictsOn([listener])).toEqual(['lost 5: 2 connections not accepted yet are lost']);
  });

  test('one that is left out of judgement still counts as the job’s own', () => {
    const ends = [
      end(3, { kind: UNIX }, { ...unixDiag, peer: 4 }),
      end(4, { kind: UNIX }, { ...unixDiag, peer: 99 }),
    ];
    const judged = (one: OpenEnd) => one.holder.fd !== 4;
    expect(classify({ ends, waiting: new Map() }, judged)).toEqual([]);
  });
});

describe('netlink and packet sockets', () => {
  const netlink = {
    table: 'netlink',
    protocol: 0,
    port: 5,
    groups: undefined,
    receiveQueue: 0,
  } as const;
  const on = (diag: SocketDiag) =>
    verdictsOn([end(3, { kind: { family: 16, type: 3, protocol: 0 } }, diag)]);

  test('a word of groups moves, two do not, and none without a port', () => {
    const word = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
    expect(on({ ...netlink, groups: word })).toEqual([]);
    expect(on({ ...netlink, groups: Buffer.concat([word, word]) })[0]).toMatch(/more groups/);
    expect(on({ ...netlink, groups: word, port: 0 })[0]).toMatch(/without a port/);
  });

  test('a packet socket on all devices or on lo moves, on another it does not', () => {
    const packet = {
      table: 'packet',
      device: 0,
      hasRing: false,
      memberships: [],
      receiveQueue: 0,
    } as const;
    expect(on(packet)).toEqual([]);
    expect(on({ ...packet, device: 1 })).toEqual([]);
    expect(on({ ...packet, device: 2 })[0]).toMatch(/bound to a device/);
    expect(on({ ...packet, memberships: [{ device: 2, count: 1 }] })[0]).toMatch(
      /bound to a device/,
    );
    expect(on({ ...packet, hasRing: true })[0]).toMatch(/with a ring/);
  });
});

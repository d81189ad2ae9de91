import { isIPv4 } from 'node:net';
import type { HoldSpec } from './hold.ts';
import { isRelayed, type LockSpec, lockTableOf } from './lock.ts';

/** A connection that the job has closed and the kernel still brings to its end (tcp(7)). */
export interface ClosingConnection {
  readonly own: Endpoint;
  readonly peer: Endpoint;
  /** Bytes that the peer has not acknowledged yet, its FIN counted as one. */
  readonly unackedBytes: number;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Rules for each go into the kernel while the job is frozen: 512 take some two milliseconds. */
const connectionsMax = 512;

/**
 * Rules that let connections pass a hold and a lock that stand: no image has them, so the target
 * would answer their peers with RST. The source's kernel ends them meanwhile.
 */
export function closingRuleset(
  { hold, lock }: { readonly hold: HoldSpec; readonly lock: LockSpec },
  connections: readonly ClosingConnection[],
): string {
  const table = lockTableOf(lock);
  // Those that have most to lose first.
  const sorted = [...connections].sort((one, other) => other.unackedBytes - one.unackedBytes);
  const some = sorted.slice(0, connectionsMax);
  const lines = ([4, 6] as const).flatMap((family) => {
    const own = some.filter(({ peer }) => isIPv4(peer.address) === (family === 4));
    if (own.length === 0) return [];
    const ip = family === 4 ? 'ip' : 'ip6';
    const tuples = own.map(({ own, peer }) => ({ own: tupleOf(own), peer: tupleOf(peer) }));
    const key = `${ip} saddr . tcp sport . ${ip} daddr . tcp dport`;
    const arriving = `${key} { ${tuples.map((one) => `${one.peer} . ${one.own}`).join(', ')} }`;
    const leaving = `${key} { ${tuples.map((one) => `${one.own} . ${one.peer}`).join(', ')} }`;
    return [
      ...(hold.devices.length === 0 ? [] : [`netdev ${table} in ${arriving}`]),
      ...(isRelayed(lock, family) ? [`${ip} ${table} relay ${arriving}`] : []),
      `inet ${table} in ${arriving}`,
      `inet ${table} out ${leaving}`,
    ];
  });
  return lines.map((line) => `insert rule ${line} accept\n`).join('');
}

function tupleOf({ address, port }: Endpoint): string {
  return `${address} . ${port}`;
}

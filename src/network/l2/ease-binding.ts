import { readFilesIn, writeFilesIn } from '../../host/netns.ts';
import { openSpace } from '../netlink/space.ts';
import { type Rule, rules } from './objects/rules.ts';
import { sendAll } from './send.ts';
import type { NetworkState } from './state.ts';

const families = [4, 6] as const;
/** Behind all others: they have one of at most 32767 unless somebody chose it. */
const lastPriority = 0xffff_fffe;

/**
 * Lets sockets that are bound to a VRF be made again in a namespace. CRIU binds and connects them
 * before it binds them to their device (criu/sk-inet.c), and until then the kernel finds neither
 * their addresses nor their routes, which are in the VRF's own table. So any address may be bound
 * to, and each such table is asked last, until the function that is answered is called: before
 * anything runs there, or is on the wire. Nothing is changed in a namespace without VRF. What a
 * kernel refuses, one without IPv6 for one, is not needed on it. Throws KERNEL.
 */
export function easeBinding(netns: string, state: NetworkState): () => void {
  const tables = state.links.flatMap(tableOf);
  if (tables.length === 0) return () => undefined;
  const paths = families.map((family) => `/proc/sys/net/ipv${family}/ip_nonlocal_bind`);
  const before = readFilesIn(netns, paths);
  const asked = families.flatMap((family) =>
    tables.map((table): Rule => ({ family, action: 'table', priority: lastPriority, table })),
  );
  send(netns, asked, rules.add);
  writeFilesIn(
    netns,
    paths.map((path) => [path, '1']),
  );
  return () => {
    const values = paths.flatMap((path, at): [string, string][] => {
      const value = before[at];
      return value === undefined ? [] : [[path, value]];
    });
    writeFilesIn(netns, values);
    send(netns, asked, rules.remove);
  };
}

function tableOf({ kind, data }: NetworkState['links'][number]): number[] {
  const table = kind === 'vrf' ? data?.['table'] : undefined;
  return typeof table === 'number' ? [table] : [];
}

function send(netns: string, asked: readonly Rule[], request: typeof rules.add): void {
  const space = openSpace(netns);
  try {
    sendAll(
      space,
      asked.flatMap((rule) => request(rule, space.names)),
    );
  } finally {
    space.close();
  }
}

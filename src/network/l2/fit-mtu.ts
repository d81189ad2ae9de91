import type { Link } from './objects/link.ts';
import type { OutsideEnd } from './outside.ts';
import type { NetworkState } from './state.ts';

/**
 * A document for a host whose devices take shorter packets, which its map says is meant: no device
 * can have a larger MTU than the one below it, so those on top get that one's. Pure.
 */
export function fitMtu(state: NetworkState, ends: readonly OutsideEnd[]): NetworkState {
  const below = new Map(ends.filter(({ on }) => on === 'parent').map((end) => [end.link, end.mtu]));
  if (below.size === 0) return state;
  const byName = new Map(state.links.map((link) => [link.name, link]));
  const boundOf = ({ name, parent, kind }: Link): number => {
    const own = below.get(name);
    if (own !== undefined) return own;
    const lower = kind === 'veth' ? undefined : byName.get(parent ?? '');
    return lower === undefined ? Number.POSITIVE_INFINITY : Math.min(lower.mtu, boundOf(lower));
  };
  const links = state.links.map((link) => {
    const bound = boundOf(link);
    return link.mtu > bound ? { ...link, mtu: bound } : link;
  });
  return { ...state, links };
}

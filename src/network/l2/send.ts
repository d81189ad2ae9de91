import type { NetlinkAnswer } from '../../host/netlink.ts';
import type { NetlinkSpace } from '../netlink/space.ts';
import type { Request } from './section.ts';

/** Sends requests, in runs of one family each, so that their order is kept. */
export function sendAll(space: NetlinkSpace, requests: readonly Request[]): NetlinkAnswer[] {
  const answers: NetlinkAnswer[] = [];
  for (let at = 0; at < requests.length; ) {
    const family = requests[at]?.family ?? 'route';
    let end = at;
    while (end < requests.length && (requests[end]?.family ?? 'route') === family) end += 1;
    answers.push(...space.socket(family).send(requests.slice(at, end)));
    at = end;
  }
  return answers;
}

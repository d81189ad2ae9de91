import { z } from 'zod';
import { changeLinkGroup } from '../../../host/link-group.ts';
import { readFilesIn } from '../../../host/netns.ts';
import { hardwareAddress, linkNameSchema, macBytes } from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import type { Section } from '../section.ts';

export const linkGroupSchema = z.strictObject({
  link: linkNameSchema,
  mac: hardwareAddress.schema,
});
export type LinkGroup = z.infer<typeof linkGroupSchema>;

/**
 * Link-layer groups that somebody let a device listen to (`ip maddr add`). Those of IP groups come
 * with sockets, addresses and the device itself.
 */
export const linkGroups: Section<LinkGroup> = {
  name: 'link-layer group',
  schema: linkGroupSchema,
  read: (space) => readLinkGroups(space).flatMap(({ isSet, ...one }) => (isSet ? [one] : [])),
  add: () => [],
  remove: () => [],
  direct: {
    add: ({ path }, one) => {
      changeLinkGroup(path, 'add', { device: one.link, group: macBytes(one.mac) });
    },
    remove: ({ path }, one) => {
      changeLinkGroup(path, 'remove', { device: one.link, group: macBytes(one.mac) });
    },
  },
  describe: ({ link, mac }) => `${mac} dev ${link}`,
};

/** All of /proc/net/dev_mcast: number, device, users, whether set from outside, address. */
export function readLinkGroups(space: NetlinkSpace): (LinkGroup & { readonly isSet: boolean })[] {
  const lines = (readFilesIn(space.path, ['/proc/thread-self/net/dev_mcast'])[0] ?? '')
    .trim()
    .split('\n');
  return lines.flatMap((line) => {
    const [, link, , set, address] = line.trim().split(/\s+/);
    if (link === undefined || address === undefined) return [];
    return [{ link, mac: address.replace(/..(?=.)/g, '$&:'), isSet: set !== '0' }];
  });
}

import type { z } from 'zod';
import type { AttributeSet } from '../../netlink/attributes.ts';
import type { Reading } from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import type { Request } from '../section.ts';

/** What is special about a device, by the names that stand in the document. */
export type LinkData = Readonly<Record<string, unknown>>;

/** What is special about one kind of device (`ip link help`, TYPE). */
export interface LinkKind {
  /** As the kernel calls it (IFLA_INFO_KIND). */
  readonly name: string;
  /** What IFLA_INFO_DATA holds and takes back; absent where a kind has none. */
  readonly data?: AttributeSet<LinkData>;
  /** Keys of `data` that are said when the device is made and refused or ignored afterwards. */
  readonly fixed?: readonly string[];
  /**
   * Parts of `data` that the kernel takes only later: `first` is said when the device is made,
   * `last` once every device is there and has its master. Without it all is said at first.
   */
  stages?(data: LinkData): { readonly first: LinkData; readonly last: LinkData };
  /** Why a device that says so cannot be carried, and what to do; undefined when it can. */
  problem?(data: LinkData): Problem | undefined;
  /** `data` without what changes by itself; without this function, all of it is compared. */
  compared?(data: LinkData): LinkData;
  /**
   * What IFLA_INFO_SLAVE_DATA of a device says that has one of this kind as its master. The kernel
   * takes it in a message after the one that names the master (do_setlink in rtnetlink.c).
   */
  readonly port?: AttributeSet<LinkData>;
  /** Keys of `port` that name other ports: said once all of them are there. */
  readonly latePort?: readonly string[];
  /** Does what rtnetlink(7) cannot. */
  readonly custom?: CustomKind;
}

/** What is the matter, to stand behind a device's name. */
export interface Problem {
  readonly message: string;
  readonly hint: string;
}

/** A kind with ways of its own: a driver's ioctl, a generic netlink family. */
export interface CustomKind {
  /** Of what `read` says. */
  readonly schema?: z.ZodType<LinkData>;
  /** What the document says in the link's `data`, where IFLA_INFO_DATA does not hold it. */
  read?(space: NetlinkSpace, link: NamedLink, reading: Reading): LinkData;
  /** Makes the device; absent where RTM_NEWLINK does it and only `requests` follow. */
  make?(space: NetlinkSpace, link: NamedLink & { readonly data: LinkData }): void;
  /** What to send to a device that is there so that it has that data, all of it. */
  requests?(space: NetlinkSpace, link: NamedLink & { readonly data: LinkData }): readonly Request[];
}

interface NamedLink {
  readonly name: string;
  readonly index?: number | undefined;
}

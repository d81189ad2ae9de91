import type { LinkData } from '../../src/network/l2/kinds/kind.ts';

/** One device `t0` with as much said about it as ip(8) can. */
export interface KindFixture {
  readonly kind: string;
  readonly what: string;
  /** Lines of ip(8): what has to be there first, the device, what comes after it. */
  readonly before?: readonly string[];
  readonly make: string;
  readonly after?: readonly string[];
  /** A file of wg(8) for it. */
  readonly wireguard?: string;
  /** A line that works where this fixture does, and what a kernel has where it does. */
  readonly needs?: { readonly line: string; readonly feature: string };
  /** What has to be read, among the rest. */
  readonly data?: LinkData;
  readonly ports?: readonly string[];
  readonly portData?: readonly LinkData[];
  /** What the last stage needs of the devices around. */
  readonly beforeLast?: readonly string[];
  /** The kernel takes no change, not even to what already is. */
  readonly isChangeable?: false;
}

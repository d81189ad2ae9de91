import { edited, written } from './raw-attributes.ts';

interface Item {
  readonly handle: number;
  readonly options: string;
}

/** A handle is a hash table, a bucket and a node: 12, 8 and 12 bits (tc-u32(8)). */
const tableMask = 0xfff0_0000;
const keyMask = 0x000f_ffff;
const nodeMask = 0xfff;
/** TC_U32_ROOT: takes the place of the number of the table that a preference begins with. */
export const rootTable = 0xfff0_0000;
const hashAttribute = 2;

function tableOf(handle: number): number {
  return (handle & tableMask) >>> 0;
}

function isTable(handle: number): boolean {
  return (handle & keyMask) === 0;
}

/** The table that the kernel made by itself: it prints the newest first, and that one last. */
export function oldestTable(items: readonly Item[]): number | undefined {
  return items.filter(({ handle }) => isTable(handle)).at(-1)?.handle;
}

/**
 * Filters and tables of one preference, in a form that does not depend on which number the kernel
 * gave to its first table, `root`: it counts these over all preferences and does not take one from
 * us. What is in a table of `others` is left out. Tables come first: filters lead to them.
 */
export function placed<T extends Item>(
  items: readonly T[],
  root: number | undefined,
  others: ReadonlySet<number>,
): T[] {
  return items
    .filter(({ handle }) => handle !== root && !others.has(tableOf(handle)))
    .map((item) => {
      if (tableOf(item.handle) !== root) return item;
      const handle = (rootTable | (item.handle & nodeMask)) >>> 0;
      return { ...item, handle, options: inRoot(item.options) };
    })
    .sort((a, b) => rank(a) - rank(b) || a.handle - b.handle);
}

/** The tables that filters and tables of one preference name, whoever made them. */
export function tablesOf(items: readonly Item[]): number[] {
  return items.filter(({ handle }) => isTable(handle)).map(({ handle }) => handle);
}

function rank({ handle }: Item): number {
  return isTable(handle) ? 0 : 1;
}

/** The handle that a request says: in the first table, the node alone. */
export function givenHandle(handle: number): number {
  return tableOf(handle) === rootTable ? handle & nodeMask : handle;
}

function inRoot(options: string): string {
  const bytes = edited(Buffer.from(options, 'hex'), {
    [hashAttribute]: (payload) => written(payload, 4, (copy) => copy.writeUInt32LE(rootTable)),
  });
  return bytes.toString('hex');
}

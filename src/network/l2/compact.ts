/** What remains of `T` when the keys whose value is undefined are left out. */
type Compact<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Leaves out the keys whose value is undefined, so that equal things have equal JSON. */
export function compact<T extends object>(value: T): Compact<T> {
  const kept = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(kept) as Compact<T>;
}

/** Whether two plain values are equal, whatever the order of their fields. */
export function isSame(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

/** One JSON text for equal values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, sorted) ?? '';
}

/** JSON.stringify's replacer that sorts the keys of objects. */
function sorted(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

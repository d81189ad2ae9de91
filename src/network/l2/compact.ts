/** What remains of `T` when the keys whose value is undefined are left out. */
type Compact<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Leaves out the keys whose value is undefined, so that equal things have equal JSON. */
export function compact<T extends object>(value: T): Compact<T> {
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key];
    if (part !== undefined) kept[key] = part;
  }
  return kept as Compact<T>;
}

/** Whether two plain values are equal, whatever the order of their fields. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  // Most of what is compared are numbers, names and flags: no text is made of those.
  if (!isComposed(one) && !isComposed(other)) return false;
  return canonical(one) === canonical(other);
}

/** One JSON text for equal values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, sorted) ?? '';
}

/** JSON.stringify's replacer that sorts the keys of objects. */
function sorted(_key: string, value: unknown): unknown {
  if (!isComposed(value) || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  if (keys.length < 2) return value;
  const ordered: Record<string, unknown> = {};
  for (const key of keys.sort()) ordered[key] = (value as Record<string, unknown>)[key];
  return ordered;
}

function isComposed(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

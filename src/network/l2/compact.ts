/** What remains of `T` when the keys whose value is undefined are left out. */
type Compact<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Leaves out the keys whose value is undefined, so that equal things have equal JSON. */
export function compact<T extends object>(value: T): Compact<T> {
  const kept = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(kept) as Compact<T>;
}

/** A flag of `iproute2` JSON: present as null or true, or absent. */
export function flag(value: unknown): true | undefined {
  return value === undefined || value === false ? undefined : true;
}

import { asMigrateError, type MigrateError } from './errors.ts';

/**
 * A stack of inverses: each is pushed before the effect that it undoes, so an inverse must be
 * harmless when its effect never happened. `rollback` runs them last to first, every one of them,
 * and returns what went wrong instead of throwing: a failed cleanup never hides the first error.
 */
export interface UndoStack {
  push(name: string, inverse: () => Promise<void> | void): void;
  /** Forgets one entry, by name, because its effect has become final. */
  forget(name: string): void;
  rollback(): Promise<MigrateError[]>;
  /** Forgets everything: the effects are final. */
  commit(): void;
  readonly names: readonly string[];
}

export function createUndoStack(): UndoStack {
  let entries: { name: string; inverse: () => Promise<void> | void }[] = [];
  return {
    push(name, inverse) {
      entries.push({ name, inverse });
    },
    forget(name) {
      entries = entries.filter((entry) => entry.name !== name);
    },
    async rollback() {
      const failures: MigrateError[] = [];
      for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
        try {
          await entry.inverse();
        } catch (error) {
          failures.push(asMigrateError(error, 'PROGRAM_FAILED'));
        }
      }
      return failures;
    },
    commit() {
      entries = [];
    },
    get names() {
      return entries.map((entry) => entry.name);
    },
  };
}

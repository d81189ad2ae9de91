import { join } from 'node:path';

/** Where a lab keeps things on the machine; nothing of it lies inside a checkout. */
export function pathsOf(lab: string): LabPaths {
  const run = join(RUN_DIR, lab);
  const data = join(DATA_DIR, lab);
  return {
    run,
    data,
    state: join(run, 'lab.json'),
    netns: join(run, 'net'),
    shared: join(data, 'shared'),
    bundle: join(data, 'bundle'),
    keys: join(data, 'keys'),
    lock: join(LOCK_DIR, `${lab}.lock`),
    host: (name) => join(data, 'hosts', name),
  };
}

export interface LabPaths {
  /** Forgotten when the machine reboots, as the hosts are. */
  readonly run: string;
  readonly data: string;
  readonly state: string;
  /** The lab's network namespace is held by a bind mount on this file. */
  readonly netns: string;
  readonly shared: string;
  readonly bundle: string;
  readonly keys: string;
  readonly lock: string;
  host(name: string): string;
}

export const RUN_DIR = '/run/migrate-lab';
export const DATA_DIR = '/var/lib/migrate-lab';
export const CACHE_DIR = '/var/cache/migrate-lab';
/** Locks outlive labs: removing a lock file that somebody waits for would make two locks of it. */
export const LOCK_DIR = join(CACHE_DIR, 'locks');
export const CHECKOUT = join(import.meta.dirname, '..');

import { z } from 'zod';

/** A job's name, as users type it: no leading dash or dot, so it is never an option or hidden. */
export const jobName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'not a job name');

/** What a named network namespace with all that runs in it is called as a job. */
export const netnsJobName = z
  .string()
  .regex(/^netns:[A-Za-z0-9_][A-Za-z0-9_.-]{0,56}$/, 'not the name of a namespace');

/** The last part of a cgroup's path. */
export const cgroupName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, 'not a cgroup name');

/** A host's name as the kernel knows it. `(none)` is what Linux calls itself when nobody said. */
export const hostName = z
  .string()
  .regex(/^(?:\(none\)|[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})$/, 'not a host name');

/** The key of a CRIU external resource, such as `net[4026531840]` or `eth0`. */
export const externalKey = z
  .string()
  .regex(/^[A-Za-z0-9_/[][A-Za-z0-9_./:[\]-]{0,255}$/, 'not a key');

/** Whole and at least 0, exact in a double. */
export const count = z.int().nonnegative();

/** One line of printable text. */
export function line(charsMax: number): z.ZodString {
  return z
    .string()
    .max(charsMax)
    .regex(/^\P{Cc}*$/u, 'holds a control character');
}

/** From the root, no empty, `.` or `..` part, no slash at the end, no control characters. */
export const absolutePath = line(4_095).refine(isNormalisedPath, 'not a normalised absolute path');

function isNormalisedPath(path: string): boolean {
  if (path === '/') return true;
  const [root, ...parts] = path.split('/');
  return (
    root === '' &&
    parts.length > 0 &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** Name of a file in a tar section: flat, fits a ustar header, never `.` or `..`. */
export const tarName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/;

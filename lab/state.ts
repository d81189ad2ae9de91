import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { LabError, usage } from './errors.ts';
import type { Lab } from './model.ts';
import { pathsOf, RUN_DIR } from './paths.ts';

/** The lab as it was last written down, or undefined when there is none of this name. */
export async function readLab(name: string): Promise<Lab | undefined> {
  const path = pathsOf(name).state;
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = labSchema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data as Lab;
  throw new LabError(`${path} is not readable as a lab`);
}

export async function requireLab(name: string): Promise<Lab> {
  const lab = await readLab(name);
  if (lab !== undefined) return lab;
  throw usage(`there is no lab ${name}; \`lab up NAME...\` makes it`);
}

/** Written aside and renamed, so that a reader without the lock sees the old or the new one. */
export async function writeLab(lab: Lab): Promise<void> {
  const paths = pathsOf(lab.name);
  await mkdir(paths.run, { recursive: true });
  const aside = `${paths.state}.new`;
  await writeFile(aside, `${JSON.stringify(lab, undefined, 2)}\n`);
  await rename(aside, paths.state);
}

export async function labNames(): Promise<string[]> {
  const entries = await readdir(RUN_DIR, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

const labSchema = z.object({
  name: z.string(),
  backend: z.enum(['netns', 'vm']),
  ground: z.object({
    rootfs: z.string(),
    guest: z
      .object({
        image: z.string(),
        kernel: z.string(),
        initrd: z.string(),
        accel: z.enum(['kvm', 'tcg']),
      })
      .optional(),
  }),
  hosts: z.array(
    z.object({
      name: z.string(),
      number: z.number().int(),
      process: z.object({ pid: z.number().int(), startTime: z.string() }).optional(),
    }),
  ),
});

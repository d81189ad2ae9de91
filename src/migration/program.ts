import { realpathSync } from 'node:fs';
import { MigrateError } from '../base/errors.ts';

/** This program's own file, which is the agent as well: one bundle, brought along over SSH. */
export function agentProgram(): { readonly path: string } {
  const path = process.argv[1];
  if (path === undefined || !path.endsWith('.cjs')) {
    throw new MigrateError('INTERNAL', 'a move needs the bundled program, dist/migrate.cjs', {
      hint: 'build it with `npm run build`',
    });
  }
  return { path: realpathSync(path) };
}

/** A thread of this program: cli/main.ts sees that it is one. */
export function threadOf(): { readonly file: string } {
  return { file: agentProgram().path };
}

declare const MIGRATE_VERSION: string | undefined;

/** The version that the bundle was built with. */
export const migrateVersion: string =
  typeof MIGRATE_VERSION === 'string' ? MIGRATE_VERSION : '0.1.0';

/** How the dump's hook calls us back when we are dead and the job is frozen. */
export function recoveryOf(job: string): { node: string; program: string; job: string } {
  return { node: process.execPath, program: agentProgram().path, job };
}

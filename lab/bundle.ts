import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, say } from './errors.ts';
import { CHECKOUT, pathsOf } from './paths.ts';
import { run } from './run.ts';

/** Makes the one-file `migrate` that this checkout stands for, where the lab's hosts find it. */
export async function refreshBundle(lab: string): Promise<void> {
  const script = join(CHECKOUT, 'scripts/bundle.ts');
  const there = await stat(script).then(
    () => true,
    () => false,
  );
  if (!there) return say('this checkout has no scripts/bundle.ts yet: hosts come without migrate');
  const place = join(pathsOf(lab).bundle, 'migrate.cjs');
  const aside = join(pathsOf(lab).bundle, 'migrate.new.cjs');
  try {
    // It must not outlive a lab command that is killed, and write where a lab no longer is.
    const leash = ['setpriv', '--pdeathsig', 'KILL'] as const;
    const argv = [...leash, process.execPath, '--import', 'tsx', script, aside] as const;
    await run(argv, { cwd: CHECKOUT, timeoutMs: BUNDLE_TIMEOUT_MS });
    await rename(aside, place);
  } finally {
    await rm(aside, { force: true });
  }
}

/** A checkout that does not build is no reason to be without hosts to mend it on. */
export async function tryRefreshBundle(lab: string): Promise<void> {
  await refreshBundle(lab).catch((error: unknown) => {
    say(`hosts come without this checkout's migrate: ${messageOf(error)}`);
  });
}

const BUNDLE_TIMEOUT_MS = 120_000;

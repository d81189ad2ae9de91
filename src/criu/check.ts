import { release } from 'node:os';
import { MigrateError } from '../base/errors.ts';
import { run } from '../host/run.ts';

export interface CriuFacts {
  readonly version: string;
  readonly kernel: string;
}

/**
 * Asks the criu of this host for its version and refuses one that cannot work on this kernel, in
 * words that say what to do. Warms /run/criu.kdat as well, which would cost every criu 50 ms.
 */
export async function checkCriu(): Promise<CriuFacts> {
  const { stdout } = await run('criu', ['--version']).catch((cause: unknown) => {
    throw new MigrateError('PLAN_REFUSED', 'criu is not installed', {
      cause,
      hint: 'install CRIU 4.2 or newer (Debian: the package criu)',
    });
  });
  const version = /Version:\s*([\d.]+)/.exec(stdout)?.[1] ?? '0';
  const kernel = release();
  const refusal = criuRefusal(version, kernel);
  if (refusal !== undefined) throw refusal;
  await run('criu', ['check'], { okCodes: [0, 1] });
  return { version, kernel };
}

/** Something that CRIU finds a kernel to have or not (criu-check(8), --feature). */
export async function hasFeature(feature: 'mem_dirty_track' | 'uffd-noncoop'): Promise<boolean> {
  const { exitCode } = await run('criu', ['check', '--feature', feature], { okCodes: [0, 1] });
  return exitCode === 0;
}

/** Why a CRIU cannot work on a kernel, or undefined; measured, see docs/limits.md. */
export function criuRefusal(version: string, kernel: string): MigrateError | undefined {
  if (atLeast(kernel, '6.13') && !atLeast(version, '4.1')) {
    return tooOld(version, kernel, 'does not start there', '4.1');
  }
  if (atLeast(kernel, '6.16') && !atLeast(version, '4.2')) {
    return tooOld(version, kernel, 'cannot dump TCP sockets there', '4.2');
  }
  return undefined;
}

function tooOld(version: string, kernel: string, why: string, needed: string): MigrateError {
  return new MigrateError('PLAN_REFUSED', `CRIU ${version} on kernel ${kernel} ${why}`, {
    hint: `install CRIU ${needed} or newer on that host`,
  });
}

function atLeast(version: string, needed: string): boolean {
  const [a, b] = [version, needed].map((text) => text.split(/[.-]/).map(Number));
  for (let part = 0; part < 2; part += 1) {
    const difference = (a?.[part] ?? 0) - (b?.[part] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

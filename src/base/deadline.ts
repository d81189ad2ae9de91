import type { ErrorCode } from './codes.ts';
import { MigrateError } from './errors.ts';

/** Waits at most `timeoutMs`, then rejects with `code`; the promise itself goes on. */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  code: ErrorCode,
  message: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new MigrateError(code, `${message} (waited ${timeoutMs} ms)`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

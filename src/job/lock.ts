import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { asMigrateError, MigrateError } from '../base/errors.ts';
import { isErrno } from '../host/files.ts';

/**
 * One migration per job and host: an abstract unix socket in the host's network namespace, which
 * the kernel frees when its owner dies, however it dies (unix(7)). BUSY when another holds it.
 */
export async function lockJob(name: string): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  await listen(server, name);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
    });
}

/** The same; undefined when another holds it. */
export async function tryLockJob(name: string): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lockJob(name);
  } catch (error) {
    if (asMigrateError(error).code === 'BUSY') return undefined;
    throw error;
  }
}

/** Whether a migration holds the job. */
export async function isLocked(name: string): Promise<boolean> {
  const sockets = await readFile('/proc/net/unix', 'utf8');
  return sockets.split('\n').some((line) => line.endsWith(` @${addressOf(name)}`));
}

async function listen(server: Server, name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        isErrno(error, 'EADDRINUSE')
          ? new MigrateError('BUSY', `another migration holds job ${name}`, {
              hint: 'wait for it to end; `migrate status` shows it',
            })
          : error,
      );
    });
    server.listen({ path: `\0${addressOf(name)}` }, resolve);
  });
}

function addressOf(name: string): string {
  return `migrate/job/${name}`;
}

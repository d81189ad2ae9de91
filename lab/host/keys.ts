import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { run } from '../run.ts';

/** An SSH key pair made on first use; each lab has its own, none is ever in the cache. */
export async function keyPair(path: string, comment: string): Promise<KeyPair> {
  const there = await stat(path).then(
    () => true,
    () => false,
  );
  if (!there) {
    await mkdir(dirname(path), { recursive: true });
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path]);
  }
  return { secret: await readFile(path, 'utf8'), public: await readFile(`${path}.pub`, 'utf8') };
}

export interface KeyPair {
  readonly secret: string;
  readonly public: string;
}

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readIfPresent, writeDurably } from '../host/files.ts';
import { netnsNameOf } from '../job/paths.ts';
import { isUnusedNetns, netnsPathOf, removeNetns } from '../network/l2/namespace.ts';
import {
  type NetnsFile,
  netnsFilesSchema,
  takeNetnsFilesAway,
} from '../network/l2/netfilter/netns-files.ts';

const madeSchema = z.strictObject({ files: netnsFilesSchema, namespace: z.string().optional() });

/**
 * What a move makes on its target under names that are not ours alone. It is written down before it
 * is made, beside the images: like namespaces it does not outlive the boot.
 */
export interface Made {
  /** Of /etc/netns/NAME: those that were not there before. */
  readonly files: readonly NetnsFile[];
  /** `markOfNetns` of the namespace; absent until it is there. */
  readonly namespace?: string | undefined;
}

/** In the directory of a move on its target. */
export function madePathOf(work: string): string {
  return join(work, 'made.json');
}

export async function writeMade(path: string, made: Made): Promise<void> {
  await writeDurably(path, JSON.stringify(made));
}

/**
 * A namespace by number and time of birth, because the kernel gives numbers again at once. While
 * its file is there, neither changes (fs/nsfs.c, nsfs_init_inode).
 */
export async function markOfNetns(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.ino} ${found.ctimeNs}`;
}

/**
 * Takes away what a dead agent has made for a job, and nothing that somebody else has made under
 * the same names. Harmless when repeated.
 */
export async function takeMadeAway(job: string, path: string): Promise<void> {
  const text = await readIfPresent(path);
  if (text === undefined) return;
  const made = madeSchema.parse(JSON.parse(text));
  const name = netnsNameOf(job);
  const mark = await markOfNetns(netnsPathOf(name));
  const isOurs =
    // The agent died before it could say which one: a namespace that nobody uses is no loss.
    made.namespace === undefined ? await isUnusedNetns(name) : made.namespace === mark;
  if (mark !== undefined && isOurs) await removeNetns(name);
  await takeNetnsFilesAway(name, made.files);
}

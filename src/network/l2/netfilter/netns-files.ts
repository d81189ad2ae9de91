import { z } from 'zod';
import { MigrateError } from '../../../base/errors.ts';
import type { UndoStack } from '../../../base/undo.ts';
import {
  makePlainFile,
  missingDirectories,
  readPlainDirectory,
  removeEmptyDirectory,
  removePlainFile,
} from '../../../host/plain-files.ts';
import { compact } from '../compact.ts';

/** Where ip-netns(8) keeps the files that stand in for those of /etc inside a namespace. */
const top = '/etc/netns';
const netnsNamePattern = /^(?!\.{1,2}$|-)[A-Za-z0-9_.-]{1,200}$/;

/** What `ip netns exec` shows there: resolv.conf, hosts, nsswitch.conf and the like. */
const filesMax = 64;
const fileBytesMax = 1024 * 1024;
const usualMode = 0o644;

export const netnsFileSchema = z.strictObject({
  /** In the directory itself: no slash, no way out. */
  name: z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9_.@+-]{1,255}$/),
  /** Base64, because a file may hold anything. */
  content: z.base64().max(Math.ceil(fileBytesMax / 3) * 4),
  /** Who may read and write it; 0644 unless said. A key that root alone could read stays one. */
  mode: z.int().min(0).max(0o777).optional(),
});
export const netnsFilesSchema = z.array(netnsFileSchema).max(filesMax);
export type NetnsFile = z.infer<typeof netnsFileSchema>;

/**
 * The regular files of /etc/netns/NAME, by name; none where there is no such directory. No link is
 * followed. Throws PLAN_REFUSED for what is no regular file, and for too many or too large ones.
 */
export async function readNetnsFiles(name: string): Promise<NetnsFile[]> {
  const directory = directoryOf(name);
  const found = await readPlainDirectory(directory, { filesMax, fileBytesMax });
  const wrong = found.find((one) => one.problem !== undefined);
  if (wrong !== undefined) throw refused(`${directory}/${wrong.name}: ${wrong.problem}`);
  return found.map(({ name: file, content, mode }) => {
    const one = compact({
      name: file,
      content: content.toString('base64'),
      mode: mode === usualMode ? undefined : mode,
    });
    const parsed = netnsFileSchema.safeParse(one);
    if (parsed.success) return parsed.data;
    throw refused(`${directory}/${file}: a name with other characters than A-Z a-z 0-9 _ . @ + -`);
  });
}

/** Files that are there already and say something else, a line each: the move would refuse. */
export async function netnsFileProblems(
  name: string,
  files: readonly NetnsFile[],
): Promise<string[]> {
  const directory = directoryOf(name);
  const here = await readPlainDirectory(directory, { filesMax, fileBytesMax });
  return files.flatMap((file) => {
    const found = here.find((one) => one.name === file.name);
    if (found === undefined) return [];
    if (found.problem !== undefined) return [`${directory}/${file.name}: ${found.problem}`];
    if (found.content.toString('base64') === file.content) return [];
    return [`${directory}/${file.name} is there already, with other content`];
  });
}

/**
 * Writes what is not there yet, root's and of its mode; each is taken away by `undo`, what was
 * there before never. Throws PLAN_REFUSED for a file with other content.
 */
export async function writeNetnsFiles(
  name: string,
  files: readonly NetnsFile[],
  undo: UndoStack,
): Promise<void> {
  const [problem] = await netnsFileProblems(name, files);
  if (problem !== undefined) throw refused(problem);
  const directory = directoryOf(name);
  const missing = await missingNetnsFiles(name, files);
  for (const path of missing.length === 0 ? [] : await missingDirectories(directory)) {
    undo.push(path, () => removeEmptyDirectory(path));
  }
  for (const file of missing) {
    const content = Buffer.from(file.content, 'base64');
    const path = netnsFilePath(name, file.name);
    undo.push(path, () => removePlainFile(path, content));
    await makePlainFile(path, content, file.mode ?? usualMode);
  }
}

/** Those that are not there, whatever their content would be. */
export async function missingNetnsFiles(
  name: string,
  files: readonly NetnsFile[],
): Promise<NetnsFile[]> {
  const here = await readPlainDirectory(directoryOf(name), { filesMax, fileBytesMax });
  return files.filter((file) => !here.some((one) => one.name === file.name));
}

/** Takes away those that still hold what was written into them, or a part of it. */
export async function takeNetnsFilesAway(name: string, files: readonly NetnsFile[]): Promise<void> {
  for (const file of files) {
    await removePlainFile(netnsFilePath(name, file.name), Buffer.from(file.content, 'base64'));
  }
  if (files.length > 0) await removeEmptyDirectory(directoryOf(name));
}

/** Takes away what moved on with a namespace; what is no regular file stays. */
export async function removeNetnsFiles(name: string): Promise<void> {
  const directory = directoryOf(name);
  const here = await readPlainDirectory(directory, { filesMax, fileBytesMax });
  const plain = here.filter(({ problem }) => problem === undefined);
  for (const { name: file, content } of plain) {
    await removePlainFile(`${directory}/${file}`, content);
  }
  await removeEmptyDirectory(directory);
}

function directoryOf(name: string): string {
  if (netnsNamePattern.test(name)) return `${top}/${name}`;
  throw new MigrateError('BUNDLE_UNSAFE', `"${name}" cannot be the name of a namespace`);
}

function netnsFilePath(name: string, file: string): string {
  if (netnsFileSchema.shape.name.safeParse(file).success) return `${directoryOf(name)}/${file}`;
  throw new MigrateError('BUNDLE_UNSAFE', `"${file}" cannot be a file of /etc/netns`);
}

function refused(what: string): MigrateError {
  return new MigrateError('PLAN_REFUSED', what, {
    hint: 'The files of /etc/netns/NAME move with the namespace: make them regular, and equal.',
  });
}

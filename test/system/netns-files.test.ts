import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { createUndoStack } from '../../src/base/undo.ts';
import {
  netnsFileProblems,
  netnsFilesSchema,
  readNetnsFiles,
  writeNetnsFiles,
} from '../../src/network/l2/netfilter/netns-files.ts';

const names: string[] = [];

afterEach(async () => {
  for (const name of names.splice(0))
    await rm(`/etc/netns/${name}`, { recursive: true, force: true });
});

function newName(): string {
  const name = `nft-${randomBytes(3).toString('hex')}`;
  names.push(name);
  return name;
}

async function make(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const name = newName();
  await mkdir(`/etc/netns/${name}`, { recursive: true });
  for (const [file, content] of Object.entries(files)) {
    await writeFile(`/etc/netns/${name}/${file}`, content);
  }
  return name;
}

test('the files of a namespace arrive byte by byte, readable by all, and go with an undo', async () => {
  const content = { 'resolv.conf': 'nameserver 10.0.0.1\n', hosts: Buffer.from([0, 255, 10]) };
  const [from, to] = [await make(content), newName()];
  const files = netnsFilesSchema.parse(await readNetnsFiles(from));
  const undo = createUndoStack();
  await writeNetnsFiles(to, files, undo);
  expect(await readFile(`/etc/netns/${to}/hosts`)).toEqual(content.hosts);
  expect((await lstat(`/etc/netns/${to}/resolv.conf`)).mode & 0o777).toBe(0o644);
  expect(await readNetnsFiles(to)).toEqual(files);
  expect(await undo.rollback()).toEqual([]);
  expect(await readdir('/etc/netns')).not.toContain(to);
});

test('a file that root alone can read, be it by its directory, is that on the target too', async () => {
  const from = await make({ 'ipsec.secrets': 'key', hosts: 'a' });
  await chmod(`/etc/netns/${from}/ipsec.secrets`, 0o600);
  const modeOf = async (name: string, file: string) =>
    (await lstat(`/etc/netns/${name}/${file}`)).mode & 0o777;
  const undo = createUndoStack();
  for (const [directory, ofHosts] of [
    [0o755, 0o644],
    [0o750, 0o640],
    [0o700, 0o600],
  ] as const) {
    await chmod(`/etc/netns/${from}`, directory);
    const to = newName();
    await writeNetnsFiles(to, netnsFilesSchema.parse(await readNetnsFiles(from)), undo);
    expect([await modeOf(to, 'ipsec.secrets'), await modeOf(to, 'hosts')]).toEqual([
      0o600,
      ofHosts,
    ]);
  }
  expect(await undo.rollback()).toEqual([]);
});

test('a file that is there with the same content stays, also after an undo', async () => {
  const name = await make({ hosts: 'a\n' });
  const undo = createUndoStack();
  const files = [
    { name: 'hosts', content: Buffer.from('a\n').toString('base64') },
    { name: 'new', content: '' },
  ];
  await writeNetnsFiles(name, files, undo);
  await undo.rollback();
  expect(await readdir(`/etc/netns/${name}`)).toEqual(['hosts']);
});

test('a file that is there with other content refuses the plan, and nothing is written', async () => {
  const name = await make({ hosts: 'a\n' });
  const files = [
    { name: 'another', content: '' },
    { name: 'hosts', content: Buffer.from('b\n').toString('base64') },
  ];
  expect(await netnsFileProblems(name, files)).toEqual([
    `/etc/netns/${name}/hosts is there already, with other content`,
  ]);
  await expect(writeNetnsFiles(name, files, createUndoStack())).rejects.toThrow(/other content/);
  expect(await readdir(`/etc/netns/${name}`)).toEqual(['hosts']);
});

test('neither a link, a directory nor a file of more than a MiB is read', async () => {
  const link = await make({});
  await symlink('/etc/shadow', `/etc/netns/${link}/hosts`);
  await expect(readNetnsFiles(link)).rejects.toThrow(/symbolic link/);
  const directory = await make({});
  await mkdir(`/etc/netns/${directory}/inner`);
  await expect(readNetnsFiles(directory)).rejects.toThrow(/no regular file/);
  const large = await make({ hosts: Buffer.alloc(1024 * 1024 + 1) });
  await expect(readNetnsFiles(large)).rejects.toThrow(/larger than/);
  expect(await readNetnsFiles(newName())).toEqual([]);
});

test('a document cannot name a file elsewhere', async () => {
  const undo = createUndoStack();
  for (const name of ['../x', '..', 'a/b', '']) {
    expect(netnsFilesSchema.safeParse([{ name, content: '' }]).success).toBe(false);
    await expect(writeNetnsFiles(newName(), [{ name, content: '' }], undo)).rejects.toThrow();
  }
  await expect(writeNetnsFiles('../..', [], undo)).rejects.toThrow(/name of a namespace/);
  await undo.rollback();
});

import { release } from 'node:os';
import { z } from 'zod';
import { makePrivateDirectory, readIfPresent, writeDurably } from '../../host/files.ts';
import { run } from '../../host/run.ts';
import { type FreshSysctls, freshLink, readSysctlText, sysctlRoot } from './sysctls.ts';

const cacheDirectory = '/run/migrate';
const cachePath = `${cacheDirectory}/fresh-sysctls.json`;
const marker = '=values=';

/** A namespace without a name, gone when the shell ends; one veth pair stands for every device. */
const script = [
  `ip link add ${freshLink} type veth peer name mghfresh1`,
  `find ${sysctlRoot}net -type f -perm -200`,
  `echo ${marker}`,
  `find ${sysctlRoot}net -type f`,
  `grep -rs '' ${sysctlRoot}net || :`,
].join('\n');

const cacheSchema = z.strictObject({
  boot: z.string(),
  entries: z.array(
    z.tuple([z.string(), z.strictObject({ value: z.string().optional(), writable: z.boolean() })]),
  ),
});

let known: FreshSysctls | undefined;

/**
 * The net sysctls of a new namespace on this host. Made once per boot (about 20 ms) and kept in
 * /run/migrate, because the kernel's defaults change only when a module is loaded: a caller that
 * meets a key which is not in it asks again with `renew`.
 * Throws PROGRAM_FAILED when no namespace can be made.
 */
export async function freshSysctls(renew = false): Promise<FreshSysctls> {
  if (known !== undefined && !renew) return known;
  const boot = await bootName();
  const cached = renew ? undefined : await readCache(boot);
  known = cached ?? (await measure());
  if (cached === undefined) await writeCache(boot, known);
  return known;
}

async function measure(): Promise<FreshSysctls> {
  const { stdout } = await run('unshare', ['--net', 'sh', '-ec', script]);
  const [head = '', tail = ''] = stdout.split(`${marker}\n`);
  const writable = new Set(head.split('\n'));
  const values = readSysctlText(tail);
  const paths = tail
    .split('\n')
    .filter((line) => line.startsWith(sysctlRoot) && !line.includes(':'));
  return new Map(
    paths.map((path) => {
      const value = values.get(path.slice(sysctlRoot.length));
      const entry = { writable: writable.has(path), ...(value === undefined ? {} : { value }) };
      return [path.slice(sysctlRoot.length), entry];
    }),
  );
}

/** /run may outlive a boot where it is no tmpfs, and a checkpointed machine may change kernels. */
async function bootName(): Promise<string> {
  const boot = await readIfPresent('/proc/sys/kernel/random/boot_id');
  return `${boot?.trim()} ${release()}`;
}

async function readCache(boot: string): Promise<FreshSysctls | undefined> {
  const text = await readIfPresent(cachePath);
  if (text === undefined) return undefined;
  try {
    const parsed = cacheSchema.safeParse(JSON.parse(text));
    if (!parsed.success || parsed.data.boot !== boot) return undefined;
    return new Map(
      parsed.data.entries.map(([key, { value, writable }]) => [
        key,
        value === undefined ? { writable } : { value, writable },
      ]),
    );
  } catch {
    // A cache that cannot be read is made again.
    return undefined;
  }
}

async function writeCache(boot: string, fresh: FreshSysctls): Promise<void> {
  await makePrivateDirectory(cacheDirectory);
  await writeDurably(cachePath, JSON.stringify({ boot, entries: [...fresh] }));
}

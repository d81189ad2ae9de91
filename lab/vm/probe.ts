import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { say } from '../errors.ts';
import type { GuestGround } from '../model.ts';
import { CACHE_DIR } from '../paths.ts';
import { attempt } from '../run.ts';
import { probeWords } from './qemu.ts';

/**
 * Whether KVM runs guests here. That /dev/kvm opens says little, for a nested one may start a guest
 * and never get it anywhere; so one is booted to its first word. The answer holds until a reboot.
 */
export async function findAccelerator(
  ground: Omit<GuestGround, 'accel'>,
): Promise<GuestGround['accel']> {
  if ((await stat('/dev/kvm').catch(() => undefined)) === undefined) return 'tcg';
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const memory = join(CACHE_DIR, 'accelerator');
  const [knownBoot, known] = (await readFile(memory, 'utf8').catch(() => '')).split(' ');
  if (knownBoot === boot && (known === 'kvm' || known === 'tcg')) return known;
  const answer = (await speaks({ ...ground, accel: 'kvm' })) ? 'kvm' : 'tcg';
  if (answer === 'tcg') say('KVM gets no guest to its first word here: guests are emulated');
  await writeFile(memory, `${boot} ${answer}`);
  return answer;
}

/** A guest under KVM that works says its word in about a second. */
const PROBE_TIMEOUT_MS = 8_000;
const WORD = 'this accelerator works';

async function speaks(ground: GuestGround): Promise<boolean> {
  await mkdir(CACHE_DIR, { recursive: true });
  const aside = await mkdtemp(join(CACHE_DIR, 'building-'));
  try {
    const consoleLog = join(aside, 'console.log');
    const [program = '', ...args] = probeWords(ground, consoleLog);
    await attempt([program, ...args], { timeoutMs: PROBE_TIMEOUT_MS });
    return (await readFile(consoleLog, 'utf8').catch(() => '')).includes(WORD);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

import { refreshBundle } from '../bundle.ts';
import { withLock } from '../lock.ts';
import { pathsOf } from '../paths.ts';
import { requireLab } from '../state.ts';

/** Hosts that run see the checkout's `migrate` as it is now. */
export async function refresh(name: string): Promise<void> {
  await withLock(pathsOf(name).lock, async () => {
    await requireLab(name);
    await refreshBundle(name);
  });
}

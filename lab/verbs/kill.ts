import { backendOf } from '../backends.ts';
import { withLock } from '../lock.ts';
import { hostNamed, withHost } from '../model.ts';
import { pathsOf } from '../paths.ts';
import { requireLab, writeLab } from '../state.ts';

/** The power of one host fails; its disk stays, and `up` starts it again. */
export async function kill(name: string, hostName: string): Promise<void> {
  await withLock(pathsOf(name).lock, async () => {
    const lab = await requireLab(name);
    const host = hostNamed(lab, hostName);
    await backendOf(lab).kill(lab, host);
    await writeLab(withHost(lab, { name: host.name, number: host.number }));
  });
}

import { dirname } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { removeEmptyCgroup } from '../host/cgroup.ts';
import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { removeIdentity } from '../network/l3/identity.ts';
import { dismantleL2, establishL2 } from './establish-l2.ts';
import { dismantleL3, establishL3 } from './establish-l3.ts';
import type { Established } from './established.ts';

export interface EstablishWish {
  readonly name: string;
  readonly kind: 'l3' | 'l2';
  readonly ip: readonly string[];
  readonly dev?: string | undefined;
  readonly bridge?: string | undefined;
  readonly loopback?: { readonly v4: string; readonly v6: string } | undefined;
  /** l2: the document to build. */
  readonly network?: NetworkState | undefined;
  /** A move's id: the job stays mute until it goes live. */
  readonly mutedBy?: string | undefined;
}

/** Makes this host ready for a job of either kind. */
export async function establish(wish: EstablishWish, undo: UndoStack): Promise<Established> {
  const { name, ip, dev, loopback, mutedBy } = wish;
  if (wish.kind === 'l3') {
    return establishL3(
      {
        name,
        ip,
        ...(dev === undefined ? {} : { dev }),
        ...(loopback === undefined ? {} : { loopback }),
        ...(mutedBy === undefined ? {} : { mutedBy }),
      },
      undo,
    );
  }
  if (wish.bridge === undefined || wish.network === undefined) {
    throw new MigrateError('PROTOCOL', 'an l2 job came without its bridge or its network state');
  }
  return establishL2({ name, bridge: wish.bridge, state: wish.network }, undo);
}

/** What names a job's place on a host. */
type Place = Pick<StoredJob, 'name' | 'kind' | 'ip' | 'loopback' | 'cgroup' | 'device'>;

/** Takes an l3 job's addresses off this host, because they answer elsewhere now. */
export async function withdrawAddresses(job: StoredJob): Promise<void> {
  if (job.kind === 'l2') return;
  await removeIdentity({
    device: job.device,
    addresses: job.ip.map(parseInterfaceAddress),
    loopback4: job.loopback?.v4 ?? '',
    loopback6: job.loopback?.v6 ?? '',
  });
}

/** Takes a job's place on this host away; its tasks are gone already. */
export async function dismantlePlace(job: Place): Promise<void> {
  if (job.kind === 'l2') await dismantleL2(job);
  else {
    const { loopback } = job;
    await dismantleL3({
      name: job.name,
      ip: job.ip,
      cgroup: job.cgroup,
      device: job.device,
      ...(loopback === undefined ? {} : { loopback }),
    });
  }
  // The parent goes with the last job.
  await removeEmptyCgroup(dirname(job.cgroup));
}

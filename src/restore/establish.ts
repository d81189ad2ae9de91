import { dirname } from 'node:path';
import { MigrateError } from '../base/errors.ts';
import type { UndoStack } from '../base/undo.ts';
import { removeEmptyCgroup } from '../host/cgroup.ts';
import type { StoredJob } from '../job/record.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import type { NetworkState } from '../network/l2/state.ts';
import { removeIdentity } from '../network/l3/identity.ts';
import type { AddressSettings } from '../network/l3/settings.ts';
import { dismantleL2, establishL2 } from './establish-l2.ts';
import { dismantleL3, establishL3 } from './establish-l3.ts';
import type { Established } from './established.ts';

export interface EstablishWish {
  readonly name: string;
  readonly kind: 'l3' | 'l2';
  readonly ip: readonly string[];
  readonly dev?: string | undefined;
  readonly loopback?: { readonly v4: string; readonly v6: string } | undefined;
  /** l3: what the addresses had where the job was before. */
  readonly addresses?: readonly AddressSettings[] | undefined;
  /** l2: the document to build. */
  readonly network?: NetworkState | undefined;
  /** l2: the document is a new job's, without what the kernel makes by itself. */
  readonly isNew?: boolean;
  /** A move's id: the job stays mute until it goes live. */
  readonly mutedBy?: string | undefined;
  /** l2: a file to write down what is made. */
  readonly made?: string | undefined;
}

/** Makes this host ready for a job of either kind. */
export async function establish(wish: EstablishWish, undo: UndoStack): Promise<Established> {
  const { name, ip, dev, loopback, addresses, mutedBy } = wish;
  if (wish.kind === 'l3') {
    return establishL3(
      {
        name,
        ip,
        ...(dev === undefined ? {} : { dev }),
        ...(loopback === undefined ? {} : { loopback }),
        ...(addresses === undefined ? {} : { addresses }),
        ...(mutedBy === undefined ? {} : { mutedBy }),
      },
      undo,
    );
  }
  if (wish.network === undefined) {
    throw new MigrateError('PROTOCOL', 'an l2 job came without its network state');
  }
  return establishL2(
    { name, state: wish.network, isNew: wish.isNew === true, made: wish.made },
    undo,
  );
}

/** What names a job's place on a host. */
type Place = Pick<StoredJob, 'name' | 'kind' | 'ip' | 'loopback' | 'cgroup' | 'device' | 'hostEnd'>;

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

import { parseInterfaceAddress } from '../network/address.ts';
import { announce } from '../network/switchover/announce.ts';
import type { Established } from '../restore/established.ts';

/** Tells the neighbours that a job's addresses live here now; resolves after the last round. */
export function announceJob(ip: readonly string[], place: Established): Promise<void> {
  return announce({
    device: place.device,
    mac: place.mac,
    addresses: ip.map((text) => parseInterfaceAddress(text).address),
    ...(place.netns === undefined ? {} : { netns: place.netns }),
  }).repeated;
}

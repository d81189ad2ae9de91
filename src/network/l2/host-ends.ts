import type { z } from 'zod';
import { MigrateError } from '../../base/errors.ts';
import { type LinkNames, linkNameSchema } from '../netlink/codec.ts';
import { openSpace } from '../netlink/space.ts';
import type { OutsidePlaces } from './make-links.ts';
import { bridgeVlans } from './objects/bridge-vlans.ts';
import { readLinks } from './objects/link-read.ts';
import { changeLink } from './objects/link-requests.ts';
import { outsideEndSchema } from './outside.ts';
import type { Request } from './section.ts';

/** An outside end with the name that the host's end of its veth pair gets. */
export const hostEndSchema = outsideEndSchema.extend({ hostEnd: linkNameSchema });
export type HostEnd = z.infer<typeof hostEndSchema>;

/**
 * How `buildNetwork` makes the devices that hang on the host, for an open file of the namespace.
 */
export function placesOf(ends: readonly HostEnd[], namespaceFd: number): OutsidePlaces {
  return new Map(
    ends.map(({ link, on, device, hostEnd }) => [
      link,
      on === 'bridge' ? { namespaceFd, hostEnd } : { namespaceFd, parent: device },
    ]),
  );
}

/**
 * Puts the job onto the wire: from now on the frames of its veth pairs leave and arrive. Returns at
 * once. Throws NETWORK_FAILED with the kernel's words.
 */
export function attachEnds(ends: readonly HostEnd[]): void {
  setMasters(ends.filter(({ on }) => on === 'bridge'));
}

function setMasters(ends: readonly HostEnd[]): void {
  if (ends.length === 0) return;
  const host = openSpace('/proc/self/ns/net');
  try {
    const reading = { names: host.names, unknown: new Set<string>() };
    const found = new Map(readLinks(host, reading).map((one) => [one.link.name, one]));
    const requests = ends.flatMap(({ hostEnd, device, vlans }) => {
      const have = found.get(hostEnd);
      if (have === undefined) throw gone(hostEnd);
      return [
        ...changeLink({ ...have.link, master: device }, have, ['master'], host.names),
        ...portVlans(hostEnd, vlans, host.names),
      ];
    });
    const failed = host
      .socket('route')
      .send(requests)
      .find(({ error }) => error !== undefined);
    if (failed === undefined) return;
    const why = failed.reason ?? failed.error ?? '';
    throw new MigrateError('NETWORK_FAILED', `the job could not be put onto its bridge: ${why}`);
  } finally {
    host.close();
  }
}

/** Those of the document, in place of the one that a bridge gives each new port. */
function portVlans(link: string, vlans: HostEnd['vlans'], names: LinkNames): Request[] {
  if (vlans === undefined) return [];
  return [
    ...bridgeVlans.remove({ link, first: 1, last: vlanMax }, names),
    ...vlans.flatMap((vlan) => bridgeVlans.add({ ...vlan, link }, names)),
  ];
}

/** VLAN_VID_MASK less the reserved last one (IEEE 802.1Q). */
const vlanMax = 4_094;

function gone(hostEnd: string): MigrateError {
  return new MigrateError('NETWORK_FAILED', `${hostEnd}, the host's end of the job, is gone`);
}

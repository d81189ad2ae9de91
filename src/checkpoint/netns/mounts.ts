import type { Mount } from '../../host/proc.ts';

/**
 * Where a tree has mounts that its host has not, those aside that `ip netns exec` makes anew on the
 * target: /sys of the network namespace, the files of /etc/netns/NAME, and a /proc of ours
 * (iproute2, lib/namespace.c: netns_switch, bind_etc). Pure.
 */
export function foreignMounts(host: readonly Mount[], own: readonly Mount[]): string[] {
  const known = new Set(host.map(nameOf));
  return own
    .filter((mount) => !known.has(nameOf(mount)) && !isMadeAnew(mount))
    .map(({ point }) => point);
}

function isMadeAnew({ point, root }: Mount): boolean {
  if (/^\/(proc|sys)(\/|$)/.test(point)) return true;
  return point.startsWith('/etc/') && root.includes('/etc/netns/');
}

function nameOf({ point, root, device }: Mount): string {
  return `${point}\n${root}\n${device}`;
}

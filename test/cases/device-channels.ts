/** What one end of a channel is: whose program, its address, the device it is bound to. */
interface End {
  readonly address: string;
  readonly device?: string;
}

/** Traffic of test/workloads/device-traffic.py; the peer asks and the job answers unless said. */
export interface Channel {
  readonly job: End;
  readonly peer: End;
  /** Where is asked, if the answering program listens at another port. */
  readonly port?: number;
  /** Bytes more in each line, both ways. */
  readonly padding?: number;
  /** What shaping is measured by: no line, and no datagram, is answered sooner. */
  readonly lineMs?: number;
  readonly delayMs?: number;
}

/** A device in the job's namespace and the traffic that goes through it. */
export interface DeviceFixture {
  readonly what: string;
  /** Kinds of devices, and modules, that a kernel needs for it. */
  readonly kinds: readonly string[];
  /** Devices whose counters have to grow. */
  readonly devices: readonly string[];
  /** Shell lines: on the job's first host, where $NS is its namespace; in it; on the peer's. */
  readonly host?: readonly string[];
  readonly inside?: readonly string[];
  readonly peer?: readonly string[];
  readonly channels: readonly Channel[];
}

/** Addresses on the segment: of the job, which it is started with, and of the peer's host. */
export const underlay = {
  job: '10.77.0.140',
  job6: 'fd77::140',
  peer: '10.77.0.13',
  peer6: 'fd77::13',
} as const;

const { job, job6, peer, peer6 } = underlay;

/** Each fixture has a subnet of its own. */
export function subnet(number: number) {
  const [own, theirs] = [`10.99.${number}.1`, `10.99.${number}.2`];
  return {
    channel: { job: { address: own }, peer: { address: theirs } },
    inside: (device: string) => `ip addr add ${own}/24 dev ${device}`,
    peer: (device = 'eth0') => `ip addr add ${theirs}/24 dev ${device}`,
  };
}

/** A veth pair by hand from the namespace to the host's bridge. */
export function outer(inside: string, more = ''): string[] {
  const end = `fx${inside}`;
  return [
    `ip link add ${end} type veth peer name ${inside} netns $NS`,
    `ip link set ${end} master br0 up ${more}`,
    `nsenter --net=$NS ip link set ${inside} up`,
  ];
}

/** A device between the two addresses of the underlay, the same on both ends. */
export function tunnel(
  number: number,
  kind: string,
  options: (local: string, remote: string) => string,
  family: 4 | 6 = 4,
): DeviceFixture {
  const [here, there] = family === 4 ? [job, peer] : [job6, peer6];
  const name = `t${number}`;
  const net = subnet(number);
  return {
    what: `${kind} to the peer`,
    kinds: [kind],
    devices: [name],
    inside: [
      `ip link add ${name} type ${kind} ${options(here, there)}`,
      `ip link set ${name} up`,
      net.inside(name),
    ],
    peer: [
      `ip link add ${name} type ${kind} ${options(there, here)}`,
      `ip link set ${name} up`,
      net.peer(name),
    ],
    channels: [net.channel],
  };
}

/** A VLAN of the segment, its device made on both ends. */
export function vlan(number: number, more: readonly string[] = []) {
  const net = subnet(number);
  const name = `v${number}`;
  const make = (parent: string) => [
    `ip link add link ${parent} name ${name} type vlan id ${number}`,
    `ip link set ${name} up`,
  ];
  return {
    kinds: ['vlan'],
    devices: [name],
    inside: [...make('eth0'), net.inside(name), ...more],
    peer: [...make('eth0'), net.peer(name)],
    channels: [net.channel],
  };
}

/** A macvlan inside, on the job's own device. */
export function macvlan(number: number, kind: 'macvlan' | 'macvtap', more: readonly string[] = []) {
  const net = subnet(number);
  const name = `m${number}`;
  return {
    kinds: [kind],
    devices: [name],
    inside: [
      `ip link add link eth0 name ${name} type ${kind} mode bridge`,
      `ip link set ${name} up`,
      net.inside(name),
      ...more,
    ],
    peer: [net.peer()],
    channels: [net.channel],
  };
}

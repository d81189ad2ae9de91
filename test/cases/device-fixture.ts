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
  /** How long its two ends may need after a move until they understand each other again. */
  readonly renewMs?: number;
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

/** Each fixture has a subnet of its own. */
export function subnet(number: number) {
  const [own, theirs] = [`10.99.${number}.1`, `10.99.${number}.2`];
  return {
    channel: { job: { address: own }, peer: { address: theirs } },
    inside: (device: string) => `ip addr add ${own}/24 dev ${device}`,
    peer: (device = 'eth0') => `ip addr add ${theirs}/24 dev ${device}`,
  };
}

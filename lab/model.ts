import { usage } from './errors.ts';

/** What a lab is: a name, a kind of host, and its hosts. */
export interface Lab {
  readonly name: string;
  readonly backend: BackendName;
  /** What its hosts stand on; chosen once, so that a lab's disks never change under it. */
  readonly ground: Ground;
  readonly hosts: readonly Host[];
}

export interface Host {
  readonly name: string;
  /** The last number of its address; also names its ports on the lab's bridge. */
  readonly number: number;
  /** The process that is the host, while it runs. */
  readonly process?: HostProcess;
}

/** A process id alone may have been given to somebody else meanwhile. */
export interface HostProcess {
  readonly pid: number;
  readonly startTime: string;
}

/** The read-only things that hosts are made from. */
export interface Ground {
  readonly rootfs: string;
  /** What a guest boots, for hosts that are guests. */
  readonly guest?: GuestGround;
}

export interface GuestGround {
  readonly image: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly accel: 'kvm' | 'tcg';
}

export type BackendName = 'netns' | 'vm';

const FIRST_HOST_NUMBER = 11;
const MAX_HOSTS = 80;

export function parseLabName(text: string): string {
  if (/^[a-z0-9-]{1,12}$/.test(text)) return text;
  throw usage(`LAB=${text}: a lab's name is 1 to 12 of a-z, 0-9 and -`);
}

export function parseHostName(text: string): string {
  if (/^[a-z][a-z0-9-]{0,30}$/.test(text)) return text;
  throw usage(`${text}: a host's name is a letter, then up to 30 of a-z, 0-9 and -`);
}

export function parseBackend(text: string): BackendName {
  if (text === 'netns' || text === 'vm') return text;
  throw usage(`--backend ${text}: netns or vm`);
}

export function ipv4(number: number): string {
  return `10.77.0.${number}`;
}

export function ipv6(number: number): string {
  return `fd77::${number}`;
}

/** Locally administered, so that no maker's card can have it; `card` 0 is eth0, 1 is eth1. */
export function mac(number: number, card: 0 | 1): string {
  return `02:77:00:00:${number.toString(16).padStart(2, '0')}:0${card}`;
}

export function hostNamed(lab: Lab, name: string): Host {
  const host = lab.hosts.find((candidate) => candidate.name === name);
  if (host !== undefined) return host;
  throw usage(`${name}: lab ${lab.name} has no such host`);
}

/** Stands for a lab that was never, or not yet, written down. */
export function emptyLab(name: string): Lab {
  return { name, backend: 'netns', ground: { rootfs: '' }, hosts: [] };
}

/** The lab with one host put in, or put in anew. */
export function withHost(lab: Lab, host: Host): Lab {
  const others = lab.hosts.filter((other) => other.name !== host.name);
  return { ...lab, hosts: [...others, host].sort((a, b) => a.number - b.number) };
}

export function withoutHost(lab: Lab, name: string): Lab {
  return { ...lab, hosts: lab.hosts.filter((host) => host.name !== name) };
}

export function nextNumber(lab: Lab): number {
  const taken = new Set(lab.hosts.map((host) => host.number));
  for (let number = FIRST_HOST_NUMBER; number < FIRST_HOST_NUMBER + MAX_HOSTS; number += 1) {
    if (!taken.has(number)) return number;
  }
  throw usage(`a lab has at most ${MAX_HOSTS} hosts`);
}

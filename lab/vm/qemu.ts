import type { GuestGround } from '../model.ts';

/** The words that start a guest. It detaches itself once its devices are in place. */
export function qemuWords(guest: Guest): string[] {
  return [
    'qemu-system-x86_64',
    ...machineWords(guest.ground.accel),
    ...['-m', `${guest.memoryMiB}`, '-smp', PROCESSORS, '-name', guest.name],
    ...bootWords(guest.ground, ['root=/dev/vda'], guest.consoleLog),
    ...['-daemonize', '-pidfile', guest.pidFile],
    // What the guest has synced survives the end of qemu; what it has not may be lost.
    ...['-drive', `file=${guest.disk},if=virtio,format=qcow2,cache=writeback`],
    ...guest.cards.flatMap((card, index) => [
      ...['-netdev', `tap,id=net${index},ifname=${card.port},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=net${index},mac=${card.mac},romfile=`],
    ]),
    ...guest.directories.flatMap(({ tag, path, writable }) => [
      '-virtfs',
      `local,path=${path},mount_tag=${tag},security_model=passthrough,multidevs=remap` +
        (writable ? '' : ',readonly=on'),
    ]),
    ...['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng'],
  ];
}

/** The words that start a guest that says one line and ends, to see whether guests run at all. */
export function probeWords(ground: GuestGround, consoleLog: string): string[] {
  const memory = ['-m', `${PROBE_MEMORY_MIB}`];
  const boot = bootWords(ground, ['lab.probe'], consoleLog);
  return ['qemu-system-x86_64', ...machineWords(ground.accel), ...memory, ...boot];
}

export interface Guest {
  readonly name: string;
  readonly ground: GuestGround;
  readonly memoryMiB: number;
  readonly disk: string;
  readonly consoleLog: string;
  readonly pidFile: string;
  readonly cards: readonly { readonly port: string; readonly mac: string }[];
  readonly directories: readonly SharedDirectory[];
}

export interface SharedDirectory {
  readonly tag: string;
  readonly path: string;
  readonly writable: boolean;
}

const PROBE_MEMORY_MIB = 256;
/**
 * One: an emulated second processor now and then runs the half of an instruction that the first is
 * patching (nft's ingress hook flips a static key), and the guest panics. Two are no faster when
 * both guests are busy: 31 s against 24 s for the same programs.
 */
const PROCESSORS = '1';

/**
 * Mitigations and hardening cost an emulated guest much and protect nothing here; a panic ends the
 * guest.
 */
const KERNEL_WORDS = [
  ...['console=ttyS0', 'quiet', 'panic=-1', 'mitigations=off', 'random.trust_cpu=on'],
  ...['net.ifnames=0', 'cgroup_no_v1=all', 'audit=0', 'apparmor=0', 'no_timer_check'],
  ...['init_on_alloc=0', 'kfence.sample_interval=0', 'randomize_kstack_offset=off'],
  ...['hardened_usercopy=off', 'nokaslr'],
];

function machineWords(accel: GuestGround['accel']): string[] {
  // Emulated, each of these costs time at every page walk or system call.
  const emulated = 'max,la57=off,smap=off,smep=off,umip=off,pku=off';
  const cpu = accel === 'kvm' ? 'host' : emulated;
  return ['-machine', `q35,accel=${accel}`, '-cpu', cpu, '-nodefaults', '-no-user-config'];
}

function bootWords(ground: GuestGround, more: readonly string[], consoleLog: string): string[] {
  return [
    ...['-kernel', ground.kernel, '-initrd', ground.initrd],
    ...['-append', [...KERNEL_WORDS, ...more].join(' ')],
    ...['-display', 'none', '-serial', `file:${consoleLog}`, '-no-reboot'],
  ];
}

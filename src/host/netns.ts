import { closeSync, openSync } from 'node:fs';
import { openPacketSocket, type PacketSocket } from './packet-socket.ts';
import { systemCalls } from './syscalls.ts';

/** A packet socket on a device of our own or of another network namespace. */
export function openDeviceSocket(device: string, netns?: string): PacketSocket {
  const open = (): PacketSocket => openPacketSocket(systemCalls().interfaceIndex(device));
  return netns === undefined ? open() : inNetns(netns, open);
}

/**
 * Runs `section` with this thread inside a network namespace, and comes back whatever happens.
 * `section` must not wait: setns(2) moves this thread, and nothing else may run on it meanwhile.
 */
export function inNetns<T>(path: string, section: () => T): T {
  const calls = systemCalls();
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const away = openSync(path, 'r');
    try {
      calls.enterNetns(away);
    } finally {
      closeSync(away);
    }
    try {
      return section();
    } finally {
      calls.enterNetns(home);
    }
  } finally {
    closeSync(home);
  }
}

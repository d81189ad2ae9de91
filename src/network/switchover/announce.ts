import { isMigrateError } from '../../base/errors.ts';
import { sleepMs } from '../../host/clock.ts';
import { openDeviceSocket } from '../../host/netns.ts';
import type { PacketSocket } from '../../host/packet-socket.ts';
import { announcementFrames } from './frames.ts';

/**
 * The waits between announcements, milliseconds: QEMU's defaults (migration/options.c,
 * announce-initial 50, announce-step 100, announce-rounds 5), so that a frame lost in a busy
 * switch is made up for within a second.
 */
const pausesMs = [50, 150, 250, 350] as const;

export interface Announcement {
  readonly device: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly netns?: string;
}

/** Tells the neighbours at once; `repeated` is the rest of the rounds, which nobody waits for. */
export function announce(what: Announcement): { readonly repeated: Promise<void> } {
  sendRound(what);
  return { repeated: repeat(what) };
}

async function repeat(what: Announcement): Promise<void> {
  for (const pause of pausesMs) {
    await sleepMs(pause);
    sendRound(what);
  }
}

function sendRound(what: Announcement): void {
  const socket = openDeviceSocket(what.device, what.netns);
  try {
    for (const address of what.addresses) {
      for (const frame of announcementFrames(address, what.mac)) sendOne(socket, frame);
    }
  } finally {
    socket.close();
  }
}

/** A full queue or a device that goes down loses one frame; the next round makes up for it. */
function sendOne(socket: PacketSocket, frame: Buffer): void {
  try {
    socket.send(frame);
  } catch (error) {
    if (!isMigrateError(error)) throw error;
  }
}

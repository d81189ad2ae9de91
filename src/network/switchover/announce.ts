import { isMigrateError } from '../../base/errors.ts';
import { sleepMs } from '../../host/clock.ts';
import { openDeviceSocket } from '../../host/netns.ts';
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
  forgive(() => {
    const socket = openDeviceSocket(what.device, what.netns);
    for (const address of what.addresses) {
      for (const frame of announcementFrames(address, what.mac)) forgive(() => socket.send(frame));
    }
    socket.close();
  });
}

/**
 * A full queue or a device that goes down loses a frame, and the next round makes up for it; a move
 * that is committed does not fail for it.
 */
function forgive(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!isMigrateError(error)) throw error;
  }
}

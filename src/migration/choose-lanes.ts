import { lanesMax } from '../transport/index.ts';

/** As `--channels` has it. */
export type ChannelsWish = 'auto' | number;

/** What OpenSSH lets a channel have on its way (channels.h, CHAN_SES_WINDOW_DEFAULT). */
const channelBytes = 2 * 1024 * 1024;
/** As much as two hosts encrypt and decrypt in a millisecond, so that no more can be had. */
const linkBytesPerMs = 200_000;

/** How many channels it takes until the round trip is not what limits a link. */
export function chooseLanes(roundTripMs: number): number {
  return Math.min(lanesMax, Math.max(1, Math.ceil((roundTripMs * linkBytesPerMs) / channelBytes)));
}

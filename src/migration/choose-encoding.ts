import type { Encoding } from '../memory/codec.ts';

/** What was measured before anything was frozen, bytes a millisecond. */
export interface Rates {
  readonly link: number;
  readonly codec: number;
  /** Packed size of a sample of the job's memory, as a part of its size. */
  readonly ratio: number;
}

/** A gain under this is within what a measurement of a third of a second is wrong by. */
const gainMin = 1.15;

/**
 * Packs where that sends faster: packed memory leaves at the pace of the codec, or at that of the
 * link for what is left of it, whichever is slower.
 */
export function chooseEncoding({ link, codec, ratio }: Rates): Encoding {
  const packedRate = Math.min(codec, link / Math.max(ratio, 0.001));
  return packedRate > link * gainMin ? 'zstd' : 'none';
}

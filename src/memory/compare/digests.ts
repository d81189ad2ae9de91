import { hash } from 'node:crypto';
import { memoryLimits } from '../limits.ts';

/**
 * What pages were like when they were read: half a SHA-256 for each, so that a program can't write
 * something that looks unchanged. 16 bytes a page, 0.4 % of the memory.
 */
export interface PageDigests {
  /** Remembers a page; whether it is another one than was remembered. */
  differs(address: number, page: Buffer): boolean;
}

const { pageBytes, regionPages } = memoryLimits;
const digestBytes = 16;

export function createPageDigests(): PageDigests {
  const regions = new Map<number, Buffer>();
  return {
    differs(address, page) {
      const number = address / pageBytes;
      const key = Math.floor(number / regionPages);
      let region = regions.get(key);
      if (region === undefined) {
        region = Buffer.alloc(regionPages * digestBytes);
        regions.set(key, region);
      }
      const at = (number % regionPages) * digestBytes;
      const digest = hash('sha256', page, 'buffer').subarray(0, digestBytes);
      if (region.compare(digest, 0, digestBytes, at, at + digestBytes) === 0) return false;
      digest.copy(region, at);
      return true;
    },
  };
}

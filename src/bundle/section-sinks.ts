import { assert } from '../base/assert.ts';
import { MigrateError } from '../base/errors.ts';
import type { SectionSink } from './reader.ts';

export interface KeptSection extends SectionSink {
  /** The whole payload, a copy of ours. Only after the bundle was read to its end. */
  bytes(): Uint8Array;
}

/** Keeps a small section, such as `network`, in memory. Throws BUNDLE_UNSAFE beyond `bytesMax`. */
export function keepSection(bytesMax: number): KeptSection {
  const pieces: Uint8Array[] = [];
  let kept = 0;
  let whole: Uint8Array | undefined;
  return {
    async write(bytes) {
      kept += bytes.length;
      if (kept > bytesMax) {
        throw new MigrateError('BUNDLE_UNSAFE', `a section is larger than ${bytesMax} bytes`);
      }
      // A copy: the piece may be a view of a much larger buffer that would stay alive with it.
      pieces.push(Uint8Array.from(bytes));
    },
    async end() {
      whole = Buffer.concat(pieces, kept);
    },
    bytes() {
      assert(whole !== undefined, 'the section has not ended');
      return whole;
    },
  };
}

/** A sink for a section that nobody wants; its digest is checked all the same. */
export function discardSection(): SectionSink {
  return { write: async () => undefined, end: async () => undefined };
}

import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { JobMemory } from '../checkpoint/memory.ts';
import { nowMs } from '../host/clock.ts';
import { armPacker, type Encoding, packed } from '../memory/codec.ts';
import type { Write } from '../memory/write-records.ts';
import { chooseEncoding } from './choose-encoding.ts';
import { chooseLanes } from './choose-lanes.ts';
import type { Target } from './target-link.ts';

/** As `--compress` has it. */
export type CompressWish = 'auto' | Encoding;

/** What a measurement may take: a slow link is known after a third of a second as well. */
const probeMs = 300;
const probeBytesMax = 16 * 1024 * 1024;
const probeChunkBytes = 256 * 1024;
/** Enough for a codec to be in its stride, little enough to be read in a moment. */
const sampleBytesMax = 8 * 1024 * 1024;
/** Less memory than this is sent before its packer has started. */
const worthBytes = 4 * 1024 * 1024;

/** The first answer may have waited for something else. */
const roundTrips = 3;

/** How many channels the memory should go by. */
export async function measureLanes(what: {
  readonly link: Target;
  readonly memoryBytes: number;
}): Promise<number> {
  if (what.memoryBytes < worthBytes) return 1;
  let shortest = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < roundTrips; turn += 1) {
    shortest = Math.min(shortest, await what.link.roundTrip());
  }
  return chooseLanes(shortest);
}

/** How a job's memory should be packed, by measuring the link and the codec on its own pages. */
export async function measureEncoding(
  wish: CompressWish,
  what: {
    readonly link: Target;
    readonly memory: JobMemory;
    readonly memoryBytes: number;
    /** Both hosts have zstd. */
    readonly canPack: boolean;
  },
): Promise<Encoding> {
  if (wish !== 'auto') return wish;
  if (!what.canPack || what.memoryBytes < worthBytes) return 'none';
  const link = await linkRate(what.link);
  const sample = await what.memory.sample(sampleBytesMax);
  if (sample.length === 0) return 'none';
  // A zstd that does not work is no reason to stay.
  const codec = await codecRate(sample).catch(() => undefined);
  if (codec === undefined) return 'none';
  // Each channel has a packer of its own, and they share the processors.
  const packers = Math.min(what.link.lanes.count, availableParallelism());
  return chooseEncoding({ link, codec: codec.codec * packers, ratio: codec.ratio });
}

/** Bytes a millisecond, of bytes that no link can shrink. */
async function linkRate(link: Target): Promise<number> {
  const chunk = randomBytes(probeChunkBytes);
  const from = nowMs();
  let sent = 0;
  await link.lanes.probe(async (writes) => {
    const feed = async (write: Write): Promise<void> => {
      while (sent < probeBytesMax && nowMs() - from < probeMs) {
        sent += chunk.length;
        await write(chunk);
      }
    };
    await Promise.all(writes.map(feed));
  });
  return sent / Math.max(1, nowMs() - from);
}

async function codecRate(sample: Buffer): Promise<{ codec: number; ratio: number }> {
  const filter = armPacker();
  const from = nowMs();
  let bytes = 0;
  await packed(
    filter,
    async (piece) => {
      bytes += piece.length;
    },
    async (write) => write(sample),
  );
  return { codec: sample.length / Math.max(1, nowMs() - from), ratio: bytes / sample.length };
}

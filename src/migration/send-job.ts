import { createBundleWriter, packDocument } from '../bundle/index.ts';
import type { ReadyDump } from '../checkpoint/freeze.ts';
import { packJob } from '../checkpoint/pack.ts';
import { isoNow, nowMs } from '../host/clock.ts';
import type { NetworkState } from '../network/l2/state.ts';
import type { Phases } from './phases.ts';
import type { AgreedPlan } from './plan.ts';
import { migrateVersion } from './program.ts';
import type { Target } from './target-link.ts';

export interface SentJob {
  readonly memoryBytes: number;
  readonly wireBytes: number;
  readonly ms: number;
}

/** Streams the bundle; when this resolves, the job stands restored and held on the target. */
export async function sendJob(what: {
  readonly id: string;
  readonly ready: ReadyDump;
  readonly plan: AgreedPlan;
  readonly link: Target;
  readonly phases: Phases;
  readonly network: NetworkState | undefined;
}): Promise<SentJob> {
  const { id, ready, plan, link, phases, network } = what;
  const beganAt = nowMs();
  let receivedAt = beganAt;
  let sent = { memoryBytes: 0, wireBytes: 0 };
  await phases.run('transfer', () =>
    link.send(
      async (write) => {
        const createdAt = isoNow();
        const writer = createBundleWriter(
          {
            async write(bytes: Uint8Array) {
              phases.check();
              await write(bytes);
            },
          },
          { id, createdAt },
        );
        const { bytes, memoryBytes } = await packJob(writer, {
          ready,
          survey: plan.survey,
          id,
          createdAt,
          criuVersion: plan.criu.version,
          migrateVersion,
          ...(network === undefined ? {} : { network: packDocument(network) }),
        });
        sent = { memoryBytes, wireBytes: bytes };
      },
      () => {
        receivedAt = nowMs();
      },
    ),
  );
  phases.mark('restore', receivedAt, nowMs());
  return { ...sent, ms: Math.round((receivedAt - beganAt) * 10) / 10 };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Dialogue, Lab } from './lab.ts';

/** A client on one connection to a job: what it goes without while the job moves. */
export interface SilenceClient {
  during<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly silence: Silence }>;
  end(): Promise<void>;
}

export interface Silence {
  readonly ms: number;
  /** Whether the connection lived and every byte was answered. */
  readonly kept: boolean;
}

interface Seen {
  readonly gapMs: number;
  readonly lost: string;
}

/** The client speaks a while before and after, so that the gap has two ends. */
const marginMs = 150;

export async function connectClient(lab: Lab, address: string): Promise<SilenceClient> {
  const client = lab.talk('c', 'python3', '/shared/bench/silence-client.py', address, '7000');
  await client.answer();
  return {
    async during(work) {
      client.say('start');
      await client.answer();
      await sleep(marginMs);
      const value = await work();
      await sleep(marginMs);
      client.say('stop');
      const { gapMs, lost } = await seen(client);
      return { value, silence: { ms: gapMs, kept: lost === '' } };
    },
    end: () => client.end(),
  };
}

async function seen(client: Dialogue): Promise<Seen> {
  return JSON.parse(await client.answer()) as Seen;
}

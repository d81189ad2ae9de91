/** One way to move a job, with a job of its own that it moves there and back. */
export interface Contender {
  readonly name: ContenderName;
  start(): Promise<void>;
  run(): Promise<Sample>;
  stop(): Promise<void>;
}

export const contenderNames = ['migrate l3', 'migrate l2', 'by hand', 'floor'] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface Sample {
  /** No task of the job runs anywhere. */
  readonly frozenMs: number;
  /** The whole command; the floor has no more than its frozen time. */
  readonly totalMs?: number;
  readonly wireBytes?: number;
  readonly silenceMs?: number;
  /** Whether the client's connection lived. */
  readonly kept: boolean;
  /** Named stretches of the time, in order. */
  readonly parts: readonly { readonly name: string; readonly ms: number }[];
}

export interface JobPlan {
  readonly name: string;
  readonly mib: number;
  readonly address: string;
}

/** The device that moves leave a host by, and l3 addresses lie on. */
export const device = 'eth0';
export const port = '7000';
export const prefixLength = 24;

/** The two hosts between which jobs go there and back. */
export function otherHost(host: string): string {
  return host === 'a' ? 'b' : 'a';
}

export interface Measured {
  readonly wallUs: number;
  readonly wireBytes: number;
}

/** The one line of that type among the JSON lines that a command printed. */
export function lineOfType<T>(output: string, type: string): T {
  const line = output.split('\n').find((text) => text.startsWith(`{"type":"${type}"`));
  if (line === undefined) throw new Error(`no ${type} in: ${output}`);
  return JSON.parse(line) as T;
}

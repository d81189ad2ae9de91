/** The ways to move a job, side by side at each point of the plan. */
export const ways = [
  'migrate stop-copy',
  'migrate pre-copy',
  'migrate post-copy',
  'migrate auto',
  'page-server',
  'rsync -z',
] as const;
export type Way = (typeof ways)[number];

export function isByHand(way: Way): boolean {
  return !way.startsWith('migrate ');
}

/** As sample.sh calls it. */
export function wayWord(way: Way, compress: string): string {
  if (isByHand(way)) return way.replace(/ .*/, '');
  const flags = [`--mode ${way.slice('migrate '.length)}`];
  if (compress !== 'default') flags.push(`--compress ${compress}`);
  return flags.join(' ');
}

/** What one move by one way came to. */
export interface Sample {
  readonly frozenMs: number;
  /** The whole command. */
  readonly totalMs: number;
  /** What left the source's card meanwhile. */
  readonly wireBytes: number;
  /** Anonymous memory of the job before it. */
  readonly memoryBytes: number;
  /** Its memory areas, of which each costs some microseconds. */
  readonly areas: number;
  /** Rounds ahead of the freeze; only migrate has some. */
  readonly roundsAhead?: number;
  readonly predictedMs?: number;
  /** What `auto` decided on. */
  readonly mode?: string;
}

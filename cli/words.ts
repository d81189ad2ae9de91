import { type JobLocation, tidyText } from '../src/base/errors.ts';

/** Where a job is, as the end of a sentence that begins with the job. */
export function locationInWords(location: JobLocation, job = 'JOB'): string {
  switch (location) {
    case 'source-running':
      return 'runs on the source';
    case 'source-frozen':
      return `is frozen on the source until \`migrate recover ${job}\` thaws it`;
    case 'target-running':
      return 'runs on the target';
    case 'target-stopped':
      return `is stopped on the target until \`migrate recover ${job}\` goes on`;
    case 'ended':
      return `has ended; \`migrate rm ${job}\` takes away what is left of it`;
    case 'unknown':
      return `is on one of the hosts; \`migrate recover ${job}\` finds out on which`;
  }
}

/** 1536 -> "1.5 KiB"; below ten one decimal, above none. */
export function bytesInWords(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 41.23 -> "41.2 ms", 812.4 -> "812 ms", 12345 -> "12.3 s". */
export function msInWords(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 100 ? Math.round(ms) : ms.toFixed(1)} ms`;
}

/** Text from outside on one line of a terminal. */
export function oneLine(text: string): string {
  return tidyText(text.replace(/\s*\n\s*/g, ' '));
}

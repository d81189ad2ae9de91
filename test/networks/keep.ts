import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resultsDir } from '../../scripts/stages.ts';

/**
 * Writes a case that failed to where a person finds it, as lines that can be run by hand, behind
 * what was wrong; the file's name.
 */
export function keepCase(name: string, lines: readonly string[], wrong: readonly string[]): string {
  const directory = join(import.meta.dirname, '../..', resultsDir, 'networks');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${name}.txt`);
  writeFileSync(path, `${[...wrong.map((line) => `# ${line}`), ...lines].join('\n')}\n`);
  return path;
}

import { readFile } from 'node:fs/promises';
import { asMigrateError } from '../src/base/errors.ts';
import type { JobSpec } from '../src/index.ts';
import type { Context } from './context.ts';
import { usageError } from './usage.ts';

/**
 * The jobs of a JSON lines file. Every line is read before the first job starts, so a typing error
 * in the last one starts nothing; what the fields may hold is checked where jobs are made.
 */
export async function readJobFile(file: string, context: Context): Promise<JobSpec[]> {
  const text = file === '-' ? await context.readInput() : await readText(file);
  const jobs = text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), at: `${file}:${index + 1}` }))
    .filter(({ line }) => line !== '')
    .map(({ line, at }) => parseLine(line, at));
  const names = jobs.map((job) => job.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw usageError(`${file}: two jobs have the name ${twice}`);
  if (jobs.length === 0) throw usageError(`${file}: no job in it`);
  return jobs;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw usageError(`-f: ${asMigrateError(error).message}`);
  }
}

function parseLine(line: string, at: string): JobSpec {
  const value = parseObject(line, at);
  const unknown = Object.keys(value).find((key) => !(key in fieldChecks));
  if (unknown !== undefined) throw usageError(`${at}: there is no field "${unknown}"`);
  for (const [field, isRight] of Object.entries(fieldChecks)) {
    if (!isRight(value[field])) throw usageError(`${at}: "${field}" is missing or wrong`);
  }
  return value as unknown as JobSpec;
}

function parseObject(line: string, at: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below, in the same words.
  }
  throw usageError(`${at}: not a JSON object`);
}

const fieldChecks: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: isText,
  kind: (value) => value === 'l3' || value === 'l2',
  ip: isTextList,
  command: isTextList,
  dev: isTextOrNothing,
  bridge: isTextOrNothing,
  gateway: isTextOrNothing,
  rootfs: isTextOrNothing,
  user: isTextOrNothing,
  allow: (value) => value === undefined || isTextList(value),
};

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isTextOrNothing(value: unknown): boolean {
  return value === undefined || isText(value);
}

function isTextList(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'string')
  );
}

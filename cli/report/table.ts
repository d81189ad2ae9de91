import { oneLine } from '../words.ts';

/** Rows under a heading, in columns as wide as their widest cell; two spaces between them. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows.map((row) => row.map(oneLine))];
  const widths = heading.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** Any value as indented `key: value` lines. */
export function outline(value: unknown, depth = 0): string {
  const indent = '  '.repeat(depth);
  if (!isNested(value)) return `${indent}${leaf(value)}\n`;
  return Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .map(([key, entry]) => {
      const label = Array.isArray(value) ? '-' : `${oneLine(key)}:`;
      if (!isNested(entry)) return `${indent}${label} ${leaf(entry)}\n`;
      return `${indent}${label}\n${outline(entry, depth + 1)}`;
    })
    .join('');
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !isShortList(value);
}

/** A list of words and numbers fits on a line. */
function isShortList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.every((entry) => typeof entry !== 'object');
}

function leaf(value: unknown): string {
  if (isShortList(value)) return value.map((entry) => oneLine(String(entry))).join(' ');
  return oneLine(String(value));
}

import { execa } from 'execa';
import { type MadeObjects, runBatch } from './objects.ts';

/** A program for each object, as a script would do it. */
export async function measureLoop(
  made: MadeObjects,
): Promise<{ captureMs: number; applyMs: number }> {
  const captureMs = await measureWords(made.name, made.questions);
  const twin = `${made.name}-loop`;
  await execa('ip', ['netns', 'add', twin]);
  try {
    return { captureMs, applyMs: await measureWords(twin, made.commands) };
  } finally {
    await execa('ip', ['netns', 'del', twin]);
  }
}

/** What starting the tools costs, once each, with nothing to do. */
export async function measureToolStart(
  made: MadeObjects,
): Promise<{ captureMs: number; applyMs: number }> {
  const began = performance.now();
  await runBatch(made.name, []);
  const captured = performance.now();
  await execa('nsenter', [`--net=${made.path}`, 'nft', 'list', 'ruleset']);
  const listed = performance.now();
  return { captureMs: listed - began, applyMs: listed - captured + (captured - began) };
}

/** One shell in the namespace, one `ip` a line: no start of Node's counts. */
async function measureWords(name: string, words: readonly string[]): Promise<number> {
  const script = words.map((line) => `ip ${line} > /dev/null\n`).join('');
  const began = performance.now();
  await execa('nsenter', [`--net=/run/netns/${name}`, 'sh', '-e'], { input: script });
  return performance.now() - began;
}

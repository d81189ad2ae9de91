import { MigrateError, tidyText } from '../../base/errors.ts';
import { type RunResult, run } from '../../host/run.ts';
import type { Netns } from './capture.ts';
import type { NetworkPlan, PlanStep } from './plan.ts';

/**
 * Writes KEY=VALUE lines from standard input below /proc/sys and prints back those that the kernel
 * did not take. It is a fixed text: what comes from a document is data only. procps, and with it
 * sysctl(8), is no part of what a target must have.
 */
const sysctlWriter = `cd /proc/sys || exit 1
while IFS= read -r line; do
  key=\${line%%=*} value=\${line#*=}
  case $key in -*) key=\${key#-}; [ -e "$key" ] || continue ;; esac
  { printf '%s\\n' "$value" > "$key"; } 2>/dev/null || printf '%s\\n' "$line"
done`;

/** nft reads `meta hour` in the time zone of its caller; capture.ts prints it in this one. */
const env = { TZ: 'UTC' };

/** Two values that bound each other (a low and a high mark) may need the second round. */
const sysctlRoundsMax = 3;

const commands: Readonly<Record<PlanStep['tool'], readonly string[]>> = {
  ip: ['ip', '-batch', '-'],
  ip6: ['ip', '-6', '-batch', '-'],
  nft: ['nft', '-f', '-'],
  sysctl: ['sh', '-c', sysctlWriter],
};

/**
 * Carries out a plan in a namespace that was made for it. After an error the namespace is half
 * made: the caller destroys it, as it would on any other failure.
 * Throws NETWORK_FAILED with the line that was refused.
 */
export async function applyNetwork(plan: NetworkPlan, netns: Netns): Promise<void> {
  for (const batch of plan.batches) {
    const results = await Promise.allSettled(batch.map((step) => applyStep(step, netns)));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}

async function applyStep(step: PlanStep, netns: Netns): Promise<void> {
  if (step.tool === 'sysctl') return writeSysctls(step.lines, netns);
  const result = await feed(step, netns);
  if (result.exitCode !== 0) fail(step, result);
}

async function writeSysctls(lines: readonly string[], netns: Netns): Promise<void> {
  let left = lines;
  for (let round = 0; round < sysctlRoundsMax && left.length > 0; round++) {
    const step: PlanStep = { tool: 'sysctl', lines: left };
    const result = await feed(step, netns);
    if (result.exitCode !== 0) fail(step, result);
    left = result.stdout.split('\n').filter((line) => line !== '');
  }
  if (left.length === 0) return;
  const names = left.map((line) => line.replace(/^-|=.*$/g, '')).join(', ');
  throw new MigrateError('NETWORK_FAILED', `the kernel did not take these sysctls: ${names}`, {
    hint: 'The kernel of this host lacks them or bounds their values differently.',
  });
}

async function feed(step: PlanStep, netns: Netns): Promise<RunResult> {
  const args = [`--net=${netns.path}`, ...commands[step.tool]];
  const options = { input: `${step.lines.join('\n')}\n`, okCodes: [0, 1, 2, 255], env };
  try {
    return await run('nsenter', args, options);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MigrateError('NETWORK_FAILED', why, { cause });
  }
}

/** `ip -batch` says `Command failed -:LINE` after its reason, nft `/dev/stdin:LINE:COLUMN`. */
function fail(step: PlanStep, { stderr }: RunResult): never {
  const number = /Command failed -:(\d+)|stdin:(\d+):/.exec(stderr);
  const line = step.lines[Number(number?.[1] ?? number?.[2] ?? 0) - 1];
  const reason = tidyText(stderr.split('\n').find((one) => one.trim() !== '') ?? 'no reason given');
  throw new MigrateError(
    'NETWORK_FAILED',
    `${step.tool}${line === undefined ? '' : ` "${line.trim()}"`}: ${reason}`,
  );
}

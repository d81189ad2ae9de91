import { readFile } from 'node:fs/promises';
import { arch, hostname } from 'node:os';
import { asMigrateError } from '../base/errors.ts';
import { type CriuFacts, checkCriu, hasFeature } from '../criu/check.ts';
import { namespaceIn } from '../host/proc.ts';
import { netnsNameOf } from '../job/paths.ts';
import { isNetnsJob } from '../job/record.ts';
import { readJob } from '../job/registry.ts';
import { hasZstd } from '../memory/codec.ts';
import { parseInterfaceAddress } from '../network/address.ts';
import { netnsPathOf } from '../network/l2/namespace.ts';
import { type NetworkPlanHere, planNetworkHere } from '../network/l2/plan-here.ts';
import { parseNetworkState } from '../network/l2/state.ts';
import { chooseDevice, deviceFacts, presentAddresses } from '../network/l3/identity.ts';
import type { PlanAnswer, PlanRequest } from './protocol.ts';
import { refuseCutOff } from './recover.ts';

interface Problem {
  readonly message: string;
  readonly hint?: string;
}

/** Every reason why a move to this host would fail; touches nothing. */
export async function planOnTarget(request: PlanRequest): Promise<PlanAnswer> {
  const problems: Problem[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      const { message, details } = asMigrateError(error);
      problems.push({ message, ...(details.hint === undefined ? {} : { hint: details.hint }) });
      return undefined;
    }
  };
  const criu = await attempt<CriuFacts>(checkCriu);
  await attempt(() => refuseCutOff(request.job.name));
  problems.push(...(await wrongHere(request)));
  const isShared = request.job.kind === 'l3';
  const facts = isShared ? await attempt(() => l3Facts(request)) : undefined;
  const chosen = isShared ? undefined : await attempt(() => l2Plan(request));
  problems.push(...(chosen?.problems ?? []));
  return {
    host: hostname(),
    kernel: criu?.kernel ?? '',
    criuVersion: criu?.version ?? '',
    zstd: await hasZstd(),
    lazy: criu !== undefined && (await hasFeature('uffd-noncoop')),
    ...(facts ?? {}),
    ...(chosen === undefined ? {} : { macs: chosen.macs }),
    problems,
    warnings: [...(chosen?.warnings ?? [])],
  };
}

async function wrongHere({ job, memoryBytes, arch: wanted }: PlanRequest): Promise<Problem[]> {
  const problems: Problem[] = [];
  if (arch() !== wanted) problems.push({ message: `this host is ${arch()}, the job ${wanted}` });
  const present = await readJob(job.name);
  if (present !== undefined && present.state !== 'ended') {
    problems.push({ message: `a job ${job.name} runs there already`, hint: 'rename or stop it' });
  }
  const netns = netnsPathOf(netnsNameOf(job.name));
  if (isNetnsJob(job.name) && (await namespaceIn(netns, 'net')) !== undefined) {
    problems.push({
      message: `a network namespace ${netnsNameOf(job.name)} is there already`,
      hint: `\`ip netns del ${netnsNameOf(job.name)}\` on that host, if nobody needs it`,
    });
  }
  const addresses = job.ip.map(parseInterfaceAddress);
  for (const { address, device } of await presentAddresses(addresses)) {
    problems.push({
      message: `address ${address} is already on ${device} there`,
      hint: 'an address belongs to one job; `ip addr` on that host shows who has it',
    });
  }
  // Once in the images, once in the restored job.
  const needed = memoryBytes * 2;
  const available = await availableMemoryBytes();
  if (available < needed) {
    problems.push({ message: `${available} bytes of memory are free there, ${needed} are needed` });
  }
  return problems;
}

async function l3Facts({ job }: PlanRequest): Promise<{ v4?: string; v6?: string }> {
  const device = await chooseDevice(job.ip.map(parseInterfaceAddress), job.dev);
  const { v4, v6 } = await deviceFacts(device);
  return { ...(v4 === undefined ? {} : { v4 }), ...(v6 === undefined ? {} : { v6 }) };
}

async function l2Plan({ job, network }: PlanRequest): Promise<NetworkPlanHere> {
  return planNetworkHere(parseNetworkState(network), netnsNameOf(job.name));
}

async function availableMemoryBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

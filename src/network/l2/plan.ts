import { addressLines } from './addresses.ts';
import { genModeLines, linkAttributeLines, linkDownLines, linkUpLines } from './links.ts';
import { neighbourLine } from './neighbours.ts';
import { nftLines } from './nft.ts';
import { routeLines } from './routes.ts';
import { removedRuleLine, ruleLine } from './rules.ts';
import type { NetworkState } from './state.ts';
import { sysctlLines } from './sysctls.ts';

/** The input of one program: `ip -batch`, `ip -6 -batch`, `nft -f`, or the writer of sysctls. */
export interface PlanStep {
  readonly tool: 'ip' | 'ip6' | 'nft' | 'sysctl';
  readonly lines: readonly string[];
}

/** Batches in order; the steps of one batch do not need each other and run at once. */
export interface NetworkPlan {
  readonly batches: readonly (readonly PlanStep[])[];
}

export interface PlanOptions {
  /** Devices to leave as they are, with their addresses; sysctls of theirs are still written. */
  readonly ignoreLinks?: readonly string[];
}

/**
 * What to run in a namespace that has the devices of `state` and nothing else. The order matters:
 * nft before the sysctls, because it loads the modules that own some of them; sysctls while devices
 * are down, so that none acts on a half-made device; rules last, so that no rule hides a gateway
 * from the kernel's check of a route. Pure.
 */
export function planNetwork(state: NetworkState, options: PlanOptions = {}): NetworkPlan {
  const isTaken = ({ link }: { link: string }) => !(options.ignoreLinks ?? []).includes(link);
  const links = state.links.filter(({ name }) => isTaken({ link: name }));
  const addresses = state.addresses.filter(isTaken);
  const ofFamily = <T extends { family: 4 | 6 }>(all: readonly T[], family: 4 | 6) =>
    all.filter((one) => one.family === family);
  const familyLines = (family: 4 | 6) => [
    ...routeLines(ofFamily(state.routes, family)),
    ...ofFamily(state.rules, family).map(ruleLine),
    ...ofFamily(state.removedRules, family).map(removedRuleLine),
  ];
  const build = [
    ...links.flatMap((link) => [
      ...linkUpLines(link),
      ...addressLines(
        link,
        addresses.filter((one) => one.link === link.name),
      ),
      ...linkDownLines(link),
    ]),
    ...state.neighbours.filter(isTaken).map(neighbourLine),
    ...familyLines(4),
  ];
  const batches: PlanStep[][] = [
    [
      { tool: 'ip', lines: links.flatMap(linkAttributeLines) },
      { tool: 'nft', lines: nftLines(state.nft) },
    ],
    [{ tool: 'sysctl', lines: sysctlLines(state.sysctls) }],
    [{ tool: 'ip', lines: build }],
    [{ tool: 'ip6', lines: [...familyLines(6), ...links.flatMap(genModeLines)] }],
  ];
  return {
    batches: batches
      .map((batch) => batch.filter((step) => step.lines.length > 0))
      .filter((batch) => batch.length > 0),
  };
}

import { openSpace } from '../netlink/space.ts';
import type { NetworkProblem } from './capture.ts';
import { chooseEnds } from './choose-ends.ts';
import { unknownKinds } from './kinds/known-kind.ts';
import { ipSetProblems } from './netfilter/ip-sets.ts';
import { iptablesProblems } from './netfilter/iptables.ts';
import { netnsFileProblems } from './netfilter/netns-files.ts';
import type { NetworkState } from './state.ts';

export interface NetworkPlanHere {
  readonly problems: readonly NetworkProblem[];
  /** Differences between the hosts that this one's map says are meant. */
  readonly warnings: readonly string[];
  /** As of `ChosenEnds`. */
  readonly macs: Readonly<Record<string, string>>;
}

/**
 * Every reason why this host could not build a document: devices to hang on, kinds that its kernel
 * has not, programs that it lacks, files of /etc/netns/NAME that are others. No object is made.
 * `name` is what the namespace will be called.
 */
export async function planNetworkHere(state: NetworkState, name: string): Promise<NetworkPlanHere> {
  const { problems, warnings, macs } = await chooseEnds(state.ends);
  const programs = await iptablesProblems(state.iptables);
  const files = await netnsFileProblems(name, state.files);
  const host = openSpace('/proc/self/ns/net');
  try {
    const wanted = [...new Set(state.links.map(({ kind }) => kind))].filter(
      (kind) => kind !== 'lo',
    );
    const kinds = await unknownKinds(wanted);
    return {
      problems: [
        ...problems,
        ...kinds.map((kind) => lackingKind(kind, state)),
        ...files.map((message) => ({
          message,
          hint: `make it equal on both hosts, or take it away there`,
        })),
        ...programs.map((message) => ({ message, hint: 'apt install iptables on that host' })),
        ...ipSetProblems(host, state.ipSets).map((message) => ({
          message,
          hint: 'load the module ip_set and that of the type on that host, or remove the set',
        })),
      ],
      warnings,
      macs,
    };
  } finally {
    host.close();
  }
}

function lackingKind(kind: string, { links }: NetworkState): NetworkProblem {
  const names = links.filter((link) => link.kind === kind).map(({ name }) => name);
  return {
    message: `${names.join(', ')}: the kernel there makes no devices of kind ${kind}`,
    hint: `load its module there (modprobe rtnl-link-${kind}), or move to a host that has it`,
  };
}

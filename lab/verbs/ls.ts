import { isAlive } from '../machine/process.ts';
import { ipv4 } from '../model.ts';
import { pathsOf } from '../paths.ts';
import { requireLab } from '../state.ts';

/** The lab as scripts see it; these fields are in the contract. */
export async function describe(name: string): Promise<LabDescription> {
  const lab = await requireLab(name);
  const hosts: HostDescription[] = [];
  for (const host of lab.hosts) {
    const running = await isAlive(host.process);
    hosts.push({ name: host.name, address: ipv4(host.number), running });
  }
  return { lab: lab.name, backend: lab.backend, shared: pathsOf(lab.name).shared, hosts };
}

export function renderPlain(lab: LabDescription): string {
  const rows = lab.hosts.map((host) => {
    const state = host.running ? 'running' : 'off';
    return `${host.name.padEnd(NAME_WIDTH)} ${host.address.padEnd(ADDRESS_WIDTH)} ${state}`;
  });
  return [`lab ${lab.lab} (${lab.backend}), /shared is ${lab.shared}`, ...rows].join('\n');
}

export interface LabDescription {
  readonly lab: string;
  readonly backend: string;
  readonly shared: string;
  readonly hosts: readonly HostDescription[];
}

export interface HostDescription {
  readonly name: string;
  readonly address: string;
  readonly running: boolean;
}

const NAME_WIDTH = 12;
const ADDRESS_WIDTH = 12;

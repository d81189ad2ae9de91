import type { Ground, Host, HostProcess, Lab } from './model.ts';
import type { Argv } from './run.ts';

/** What the verbs ask of a kind of host. Everything else about a lab is common to both kinds. */
export interface Backend {
  /** Makes what all hosts of this kind stand on; slow the first time on a machine. */
  prepare(): Promise<Ground>;
  /** Starts the host on its disk, seed and cards; resolves when its start script is through. */
  boot(lab: Lab, host: Host): Promise<HostProcess>;
  /** The power fails: no farewell to anybody. Its disk stays. */
  kill(lab: Lab, host: Host): Promise<void>;
  /** The words that run a program inside a running host. */
  enter(lab: Lab, host: Host, command: readonly string[], terminal: boolean): Promise<Argv>;
}

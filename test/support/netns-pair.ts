import { withOpenFile } from '../../src/host/files.ts';
import { run } from '../../src/host/run.ts';
import { buildNetwork } from '../../src/network/l2/build.ts';
import { type HostEnd, placesOf } from '../../src/network/l2/host-ends.ts';
import { createNetns, netnsPathOf, removeNetns } from '../../src/network/l2/namespace.ts';
import type { NetworkState } from '../../src/network/l2/state.ts';

/** Namespaces of one test, with names that belong to its run alone. */
export interface Namespaces {
  pathOf(suffix: string): string;
  /** An empty one. */
  make(suffix: string): Promise<string>;
  /** One that is built from a document. */
  build(suffix: string, state: NetworkState, isNew?: boolean): Promise<HostEnd[]>;
  /** Runs a command in one. */
  inside(suffix: string, command: readonly string[], input?: string): Promise<string>;
  removeAll(): Promise<void>;
}

export function createNamespaces(tag: string): Namespaces {
  const made = new Set<string>();
  const nameOf = (suffix: string) => `${tag}-${suffix}`;
  const namespaces: Namespaces = {
    pathOf: (suffix) => netnsPathOf(nameOf(suffix)),
    async make(suffix) {
      made.add(nameOf(suffix));
      return (await createNetns(nameOf(suffix))).path;
    },
    async build(suffix, state, isNew = false) {
      const path = await namespaces.make(suffix);
      const ends = state.ends.map((end, index) => ({
        ...end,
        hostEnd: `${tag.slice(-8)}${suffix}${index}`.slice(-15),
      }));
      await withOpenFile(path, (fd) =>
        buildNetwork(state, { path }, { places: placesOf(ends, fd), keepExtra: isNew }),
      );
      return ends;
    },
    async inside(suffix, command, input) {
      const options = input === undefined ? {} : { input };
      const args = [`--net=${namespaces.pathOf(suffix)}`, ...command];
      return (await run('nsenter', args, options)).stdout;
    },
    async removeAll() {
      for (const name of made) await removeNetns(name);
      made.clear();
    },
  };
  return namespaces;
}

import type { HostEnd } from '../network/l2/host-ends.ts';
import type { NetworkState } from '../network/l2/state.ts';
import type { Speaker } from '../network/l2/wire.ts';

/** What a host has made ready for one job, before a task of it runs there. */
export interface Established {
  readonly cgroup: string;
  /** l3: stand-ins for 127.0.0.1 and ::1. */
  readonly loopback?: { readonly v4: string; readonly v6: string };
  /** l2: its namespace, and our end of its veth. */
  readonly netns?: string;
  readonly hostEnd?: string;
  /** l2: what that end is a port of. */
  readonly bridge?: string;
  /** l2: all that `goLive` puts onto the wire; what stands here is enough to do it again. */
  readonly ends?: readonly HostEnd[];
  /** Where its packets arrive, in its own namespace for l2. */
  readonly device: string;
  /** The devices by which neighbours know the job's addresses. */
  speakers(): readonly Speaker[];
  /** l3: addresses of this host on that device; l2: none. */
  readonly v4?: string;
  readonly v6?: string;
  /** Puts the job on the wire: from here on its addresses answer here. */
  goLive(): Promise<void>;
  /** l2: brings its namespace to the document of a later instant, and compares. */
  update?(latest: NetworkState): Promise<void>;
  /** l2: what sockets that stand in a VRF need to be restored; undone by what is answered. */
  easeBinding?(): () => void;
  /** Tidies up behind `goLive`, when nobody waits for it any more. */
  settle(): Promise<void>;
}

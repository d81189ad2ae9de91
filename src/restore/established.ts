/** What a host has made ready for one job, before a task of it runs there. */
export interface Established {
  readonly cgroup: string;
  /** l3: stand-ins for 127.0.0.1 and ::1. */
  readonly loopback?: { readonly v4: string; readonly v6: string };
  /** l2: its namespace, and our end of its veth. */
  readonly netns?: string;
  readonly hostEnd?: string;
  /** Where its packets arrive, in its own namespace for l2. */
  readonly device: string;
  readonly mac: string;
  /** l3: addresses of this host on that device; l2: none. */
  readonly v4?: string;
  readonly v6?: string;
  /** Puts the job on the wire: from here on its addresses answer here. */
  goLive(): Promise<void>;
  /** Tidies up behind `goLive`, when nobody waits for it any more. */
  settle(): Promise<void>;
}

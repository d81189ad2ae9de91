import type { SocketKind } from '../../network/sockets/kinds.ts';
import type { OneSocketsSettings } from '../../network/sockets/settings.ts';
import type { SocketDiag } from './diag.ts';

/** Who has a socket open; the first of several. */
export interface Holder {
  /** As this host numbers it. */
  readonly pid: number;
  /** In the job's own PID namespace. */
  readonly jobPid: number;
  readonly program: string;
  readonly fd: number;
}

/** What a socket itself answered, by getsockopt(2). */
export interface SocketAnswers {
  readonly kind: SocketKind;
  /** UDP_CORK: a datagram is being put together. */
  readonly isCorked: boolean;
  /** Its filter is eBPF, which the kernel does not give out (SO_GET_FILTER: EACCES). */
  readonly hasBpfFilter: boolean;
  /** TCP-AO keys are set. */
  readonly hasAo: boolean;
  readonly hasPeer: boolean;
  /** It belongs to another network namespace than the job (SO_NETNS_COOKIE). */
  readonly isElsewhere: boolean;
  /** What of its settings CRIU forgets, and how much of that cannot be told. */
  readonly settings: OneSocketsSettings;
  readonly settingsLeft: number;
}

/** One socket of a job, or something else that frames or calls go through: a ring, a device. */
export type OpenEnd =
  | {
      readonly holder: Holder;
      readonly ring: true;
      /** Not a ring of io_uring(7) but a descriptor on this tun, tap or macvtap device. */
      readonly device?: string;
    }
  | {
      readonly holder: Holder;
      readonly ring?: never;
      readonly inode: number;
      /** Undefined when the kernel lists no such socket: never bound, or of no listed family. */
      readonly diag: SocketDiag | undefined;
      readonly answers: SocketAnswers;
    };

/** All of a job's, as they were at one moment. */
export interface JobSockets {
  readonly ends: readonly OpenEnd[];
  /** Unix sockets that wait to be accepted at a listener, by inode: the listener's inode. */
  readonly waiting: ReadonlyMap<number, number>;
}

/** One way to stop and go on with a server that has many connections, and its clients. */
export interface CrowdContender {
  readonly name: string;
  start(): Promise<void>;
  /** How long the job stood still, milliseconds. */
  run(): Promise<number>;
  /** Resolves to how many of its connections were answered rightly at the end. */
  stop(): Promise<number>;
}

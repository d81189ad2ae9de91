export type { CallHandler, CallOptions } from './calls.ts';
export { type Connection, type ConnectOptions, connect } from './connect.ts';
export { type Lanes, lanesMax, openLane, serveLanes } from './lanes.ts';
export type { LinkEnd } from './link.ts';
export type { Peer, PeerHandlers, PeerOptions } from './peer.ts';
export { serveAgent } from './serve-agent.ts';
export type { Sink } from './sink.ts';
export { type AgentChannel, type AgentFile, startAgent } from './start-agent.ts';
export type { StreamHandler } from './streams.ts';

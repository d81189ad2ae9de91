import type { LinkKind } from './kind.ts';

/** The other end of a pair is the link section's matter: it is a device like any other. */
export const veth: LinkKind = { name: 'veth' };

export const dummy: LinkKind = { name: 'dummy' };

export const ifb: LinkKind = { name: 'ifb' };

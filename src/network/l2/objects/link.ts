import { z } from 'zod';
import { address6, hardwareAddress, linkNameSchema, uint32Schema } from '../../netlink/codec.ts';
import { kindOf } from '../kinds/kind-of.ts';
import { offloadsSchema } from '../kinds/offloads.ts';
import { l2Limits } from '../limits.ts';
import { altNameSchema } from './link-attributes.ts';

export const addrGenModes = ['eui64', 'none', 'stable_secret', 'random'] as const;

const details = z.record(z.string(), z.unknown());
const onlyTrue = z.literal(true).optional();

/** One device of a namespace. What it is nested in is said by name: parent, master, peer. */
export const linkSchema = z
  .strictObject({
    name: linkNameSchema,
    /** As `ip link` says it; `lo` for the loopback device. */
    kind: z.string().regex(/^[a-z0-9_-]{1,15}$/),
    /** Programs keep device numbers, in IPv6 scope ids for one. */
    index: z.int().min(1).max(0x7fff_ffff).optional(),
    mac: hardwareAddress.schema.optional(),
    /** Where that is not all ones, as with tunnels. */
    broadcast: hardwareAddress.schema.optional(),
    /** Bytes. */
    mtu: uint32Schema,
    /** Packets. */
    txQueueLength: uint32Schema,
    up: z.boolean(),
    group: uint32Schema,
    /** Printable. */
    alias: z
      .string()
      .regex(/^[^\p{C}]+$/u)
      .max(l2Limits.aliasCharsMax)
      .optional(),
    altNames: z.array(altNameSchema).max(l2Limits.altNamesMax).optional(),
    noArp: onlyTrue,
    noMulticast: onlyTrue,
    promiscuous: onlyTrue,
    allMulticast: onlyTrue,
    /** Waits for a program's word before it is up (IF_LINK_MODE_DORMANT). */
    dormant: onlyTrue,
    protoDown: onlyTrue,
    txQueues: uint32Schema.optional(),
    rxQueues: uint32Schema.optional(),
    gsoMaxSize: uint32Schema.optional(),
    gsoMaxSegs: uint32Schema.optional(),
    groMaxSize: uint32Schema.optional(),
    gsoIpv4MaxSize: uint32Schema.optional(),
    groIpv4MaxSize: uint32Schema.optional(),
    /** By the names of ethtool(8), where not as a new device of the kind has it. */
    offloads: offloadsSchema.optional(),
    /** How the kernel makes link-local IPv6 addresses by itself; absent without IPv6. */
    addrGenMode: z.enum(addrGenModes).optional(),
    /** The host part of addresses made from a router's prefix. */
    token: address6.schema.optional(),
    /** The device below, of the same namespace. */
    parent: linkNameSchema.optional(),
    master: linkNameSchema.optional(),
    /** veth: its other end, of the same namespace. */
    peer: linkNameSchema.optional(),
    /** Its parent or other end belongs to the host: see `ends`. */
    outside: onlyTrue,
    data: details.optional(),
    /** What it is as a port of its master. */
    port: details.optional(),
  })
  .superRefine((link, context) => {
    const { kind, data } = link;
    const known = kindOf(kind);
    const wrong = (message: string) => context.addIssue({ code: 'custom', message });
    if (kind !== 'lo' && known === undefined) return wrong(`no kind ${kind} is known`);
    if (data !== undefined) {
      const schema = known?.custom?.schema ?? known?.data?.schema;
      const parsed = schema?.safeParse(data);
      if (parsed?.success !== true) wrong(`data: ${parsed?.error.issues[0]?.message ?? 'none'}`);
    }
  });
export type Link = z.infer<typeof linkSchema>;

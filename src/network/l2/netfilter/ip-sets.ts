import { z } from 'zod';
import { readFilesIn } from '../../../host/netns.ts';
import { uint8Schema } from '../../netlink/codec.ts';
import type { NetlinkSpace } from '../../netlink/space.ts';
import { createWriter } from '../../netlink/writer.ts';
import type { Request, Section } from '../section.ts';
import {
  elementFields,
  elementKeys,
  fieldReader,
  ignoredElementIds,
  ignoredSetIds,
  netOrder,
  setFields,
  setNameSchema,
  shapeOf,
  writeFields,
} from './ip-set-fields.ts';
import { eachAttribute } from './tuple.ts';

export const ipSetSchema = z.strictObject({
  name: setNameSchema,
  /** `hash:net`; the kernel loads the module of that name. */
  type: z.string().regex(/^(bitmap|hash|list):[a-z0-9,]{1,24}$/),
  /** NFPROTO_*: 2 and 10, 0 where it makes no difference. */
  family: uint8Schema,
  /** Of the type, as the kernel numbers what was added to it. */
  revision: uint8Schema,
  ...shapeOf(setFields),
});
export type IpSet = z.infer<typeof ipSetSchema>;

export const ipSetElementSchema = z.strictObject({
  set: setNameSchema,
  ...shapeOf(elementFields),
});
export type IpSetElement = z.infer<typeof ipSetElementSchema>;

/** IPSET_ATTR_* at command level. */
const ids = {
  protocol: 1,
  set: 2,
  type: 3,
  revision: 4,
  family: 5,
  flags: 6,
  data: 7,
  elements: 8,
  revisionMin: 10,
} as const;
/** NFNL_SUBSYS_IPSET with IPSET_CMD_*. */
const messages = { create: 0x602, destroy: 0x603, list: 0x607, save: 0x608 } as const;
const elementMessages = { add: 0x609, remove: 0x60a } as const;
const typeMessage = 0x60d;
/** IPSET_PROTOCOL_MIN: what is said here is the same in 7, and old kernels know only 6. */
const protocol = 6;
const headerOnlyFlag = 4;
const createFlags = 0x400 | 0x200;
const headerBytes = 4;
const writer = createWriter(4_096);
const readSet = fieldReader('ip set', setFields, ignoredSetIds);
const readElement = fieldReader('ip set element', elementFields, ignoredElementIds);
/** There as long as the kernel has ip sets; asking for them loads the module. */
const moduleFile = '/sys/module/ip_set/parameters/max_sets';

/** The sets that legacy and nft rules of iptables match against; lists of sets come last. */
export const ipSets: Section<IpSet> = {
  name: 'ip set',
  schema: ipSetSchema,
  read(space, reading) {
    if (!hasIpSets(space)) return [];
    begin();
    writer.uint32(ids.flags | netOrder, headerOnlyFlag);
    const request = { type: messages.list, body: finished() };
    return space
      .socket('netfilter')
      .dump(request, 'ip sets')
      .flatMap(({ body }) => readHeader(body, reading.unknown));
  },
  add: (one) => {
    begin(one.name);
    writeType(one);
    writer.uint8(ids.revision, one.revision);
    writer.nest(ids.data, () => writeFields(writer, setFields, one));
    return [{ ...message(messages.create), flags: createFlags }];
  },
  remove: ({ name }) => {
    begin(name);
    return [message(messages.destroy)];
  },
  describe: ({ name, type }) => `${name} (${type})`,
  // A hash grows as it fills, and begins with a random number unless it is told one.
  compared: ({ hashSize: _hashSize, initial: _initial, revision: _revision, ...one }) => one,
  before: (one, other) => Number(isList(one)) - Number(isList(other)),
};

/**
 * Their elements. Compared without what packets and time change; see `exact` for the frozen window.
 */
export const ipSetElements: Section<IpSetElement> = {
  name: 'ip set element',
  schema: ipSetElementSchema,
  read(space, reading) {
    if (!hasIpSets(space)) return [];
    begin();
    const request = { type: messages.save, body: finished() };
    return space
      .socket('netfilter')
      .dump(request, 'elements of ip sets')
      .flatMap(({ body }) => readElements(body, reading.unknown));
  },
  // One that is there takes the counters and the life of this one.
  add: (one) => {
    begin(one.set);
    writer.nest(ids.data, () => writeFields(writer, elementFields, one));
    return [message(elementMessages.add)];
  },
  remove: (one) => {
    begin(one.set);
    writer.nest(ids.data, () => writeFields(writer, elementFields, one, elementKeys));
    return [message(elementMessages.remove)];
  },
  describe: ({ set, ...one }) => `${keyText(one)} in ${set}`,
  compared: ({ timeout, packets: _packets, bytes: _bytes, ...one }) =>
    timeout === undefined ? one : { ...one, ends: timeout > 0 },
  // Only a list of sets has an order.
  order: {
    groupOf: ({ set, ...one }) => (one.member === undefined ? `${set} ${keyText(one)}` : set),
    placed: 'last',
  },
};

/** What this kernel lacks for sets of another one, a line each. Loads their types' modules. */
export function ipSetProblems(space: NetlinkSpace, sets: readonly IpSet[]): string[] {
  const requests = sets.map((one) => {
    begin();
    writeType(one);
    return message(typeMessage);
  });
  const answers = requests.length === 0 ? [] : space.socket('netfilter').send(requests);
  return sets.flatMap(({ name, type, revision }, index) => {
    const reply = answers[index]?.replies[0]?.body;
    if (reply === undefined) return [`ip set ${name}: this kernel has no sets of type ${type}`];
    let [min, max] = [0, 0];
    eachAttribute(reply, headerBytes, reply.length, (id, at) => {
      if (id === ids.revision) max = reply.readUInt8(at);
      else if (id === ids.revisionMin) min = reply.readUInt8(at);
    });
    if (revision >= min && revision <= max) return [];
    const known = `this kernel knows ${min} to ${max}`;
    return [`ip set ${name}: of revision ${revision} of ${type}, and ${known}`];
  });
}

function hasIpSets(space: NetlinkSpace): boolean {
  return readFilesIn(space.path, [moduleFile])[0] !== undefined;
}

function isList({ type }: IpSet): boolean {
  return type.startsWith('list:');
}

function keyText(one: Omit<IpSetElement, 'set'>): string {
  const values = Object.entries(one).filter(([name]) => elementKeys.includes(name));
  return values.map(([name, value]) => `${name} ${value}`).join(' ');
}

function readHeader(bytes: Buffer, unknown: Set<string>): IpSet[] {
  const found = { name: '', type: '', family: 0, revision: 0 };
  let options: object | undefined;
  eachAttribute(bytes, headerBytes, bytes.length, (id, at, end) => {
    if (id === ids.set) found.name = textAt(bytes, at, end);
    else if (id === ids.type) found.type = textAt(bytes, at, end);
    else if (id === ids.family) found.family = bytes.readUInt8(at);
    else if (id === ids.revision) found.revision = bytes.readUInt8(at);
    else if (id === ids.data) options = readSet(bytes, at, end, unknown);
  });
  return options === undefined ? [] : [{ ...found, ...options }];
}

/** A set comes in as many messages as it needs. */
function readElements(bytes: Buffer, unknown: Set<string>): IpSetElement[] {
  const found: IpSetElement[] = [];
  let set = '';
  eachAttribute(bytes, headerBytes, bytes.length, (id, at, end) => {
    if (id === ids.set) set = textAt(bytes, at, end);
    else if (id === ids.elements) {
      eachAttribute(bytes, at, end, (_id, from, to) => {
        found.push({ set, ...readElement(bytes, from, to, unknown) });
      });
    }
  });
  return found;
}

function textAt(bytes: Buffer, at: number, end: number): string {
  return bytes.toString('latin1', at, end).replace(/\0.*$/s, '');
}

function begin(set?: string): void {
  writer.uint8(ids.protocol, protocol);
  if (set !== undefined) writer.bytes(ids.set, Buffer.from(`${set}\0`));
}

function writeType({ type, family }: IpSet): void {
  writer.bytes(ids.type, Buffer.from(`${type}\0`));
  writer.uint8(ids.family, family);
}

function message(type: number): Request {
  return { type, body: finished(), family: 'netfilter' };
}

/** struct nfgenmsg and what was written. */
function finished(): Buffer {
  return writer.finish([2, 0, 0, 0]);
}

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinkData, LinkKind } from '../../src/network/l2/kinds/kind.ts';
import { kindOf } from '../../src/network/l2/kinds/kind-of.ts';
import { attributeBytes, findAttribute, nestedFlag } from '../../src/network/netlink/attributes.ts';
import type { NetlinkSpace } from '../../src/network/netlink/space.ts';
import type { Case } from '../support/cases.ts';
import { inScratchNetns, type ScratchNetns } from '../support/scratch-netns.ts';
import type { KindFixture } from './link-kind-fixture.ts';
import { kindFixtures } from './link-kind-fixtures.ts';
import { cases as offloadCases } from './link-offloads.ts';

/** Made by ip(8), read, taken away, made anew from what was read, read again: equal. */
const roundTrips: readonly Case[] = kindFixtures.map((fixture) => ({
  name: `${fixture.kind}: ${fixture.what}`,
  lacks: () => lackOf(fixture),
  run: () => inScratchNetns((netns) => roundTrip(fixture, netns)),
}));

export const cases: readonly Case[] = [...roundTrips, ...offloadCases];

const tested = 't0';
const messages = { create: 16, remove: 17, get: 18 } as const;
/** NLM_F_CREATE and NLM_F_EXCL. */
const createFlags = 0x600;
const attributes = { name: 3, link: 5, master: 10, info: 18 } as const;
const info = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
const headerBytes = 16;

/** The kernel says so when it has looked for a module of that kind, too. */
const unknownKind = 'Unknown device type';

function lackOf({ kind: name, needs }: KindFixture): string | undefined {
  return inScratchNetns(({ ip, space }) => {
    const kind = kindOf(name);
    const nameBytes = attributeBytes(info.kind, Buffer.from(`${kind?.name}\0`));
    const nest = attributeBytes(attributes.info | nestedFlag, nameBytes);
    const body = Buffer.concat([Buffer.alloc(headerBytes), nest]);
    const request = { type: messages.create, flags: createFlags, body };
    const [answer] = space.socket('route').send([request]);
    if (answer?.reason === unknownKind) return `this kernel has no devices of kind ${name}`;
    try {
      if (needs !== undefined) ip([needs.line]);
      return undefined;
    } catch (error) {
      return `this kernel has no ${needs?.feature}: ${String((error as { stderr?: Buffer }).stderr)}`;
    }
  });
}

function roundTrip(fixture: KindFixture, { ip, run, space }: ScratchNetns): void {
  const kind = kindOf(fixture.kind);
  assert(kind !== undefined, `kind ${fixture.kind} is not known`);
  ip([...(fixture.before ?? []), fixture.make, ...(fixture.after ?? [])]);
  if (fixture.wireguard !== undefined) {
    const file = join(tmpdir(), `link-kinds-${process.pid}`);
    writeFileSync(file, fixture.wireguard, { mode: 0o600 });
    run('wg', ['setconf', tested, file]);
    rmSync(file);
  }
  const told = readLink(space, tested, kind);
  assertHas(told.data, fixture.data);
  const ports = (fixture.ports ?? []).map((name) => readPort(space, name, kind));
  for (const [at, port] of ports.entries()) {
    assertHas(port.data, fixture.portData?.[at]);
  }

  ip([`link del ${tested}`]);
  const { first, last } = kind.stages?.(told.data ?? {}) ?? { first: told.data ?? {}, last: {} };
  create(space, kind, first, told.parent);
  space.refreshNames();
  for (const { name } of ports) ip([`link set ${name} down`, `link set ${name} master ${tested}`]);
  const isLate = (key: string) => kind.latePort?.includes(key) === true;
  for (const { name, data } of ports) changePort(space, kind, name, without(data, isLate));
  for (const { name, data } of ports) changePort(space, kind, name, data);
  ip(fixture.beforeLast ?? []);
  if (Object.keys(last).length > 0) change(space, kind, last);
  const compared = (data: LinkData | undefined) =>
    data === undefined ? undefined : (kind.compared?.(data) ?? data);
  const again = readLink(space, tested, kind);
  assert.deepEqual(compared(again.data), compared(told.data));
  for (const port of ports) assert.deepEqual(readPort(space, port.name, kind), port);

  const isFixed = (key: string) => kind.fixed?.includes(key) === true;
  const free = without(told.data ?? {}, isFixed);
  if (Object.keys(free).length > 0 && fixture.isChangeable !== false) change(space, kind, free);
  assert.deepEqual(compared(readLink(space, tested, kind).data), compared(told.data));
}

function assertHas(found: LinkData = {}, wanted: LinkData = {}): void {
  const part = Object.fromEntries(Object.keys(wanted).map((key) => [key, found[key]]));
  assert.deepEqual(part, wanted);
}

function without(data: LinkData, isOut: (key: string) => boolean): LinkData {
  return Object.fromEntries(Object.entries(data).filter(([key]) => !isOut(key)));
}

function rawLink(space: NetlinkSpace, name: string): Buffer {
  const body = Buffer.alloc(headerBytes);
  body.writeInt32LE(space.names.indexOf(name), 4);
  const [answer] = space.socket('route').send([{ type: messages.get, body }]);
  assert(answer?.replies[0] !== undefined, `${name} is read: ${answer?.error}`);
  return answer.replies[0].body.subarray(headerBytes);
}

function readLink(space: NetlinkSpace, name: string, kind: LinkKind) {
  const bytes = rawLink(space, name);
  const reading = { names: space.names, unknown: new Set<string>() };
  const nest = findAttribute(bytes, attributes.info) ?? Buffer.alloc(0);
  assert.equal(text(findAttribute(nest, info.kind)), kind.name);
  const payload = findAttribute(nest, info.data);
  const plain = payload === undefined ? undefined : kind.data?.decode(payload, reading);
  const own = kind.custom?.read?.(space, { name }, reading);
  const parent = findAttribute(bytes, attributes.link)?.readUInt32LE(0);
  const data = own === undefined ? plain : { ...plain, ...own };
  if (plain !== undefined) kind.data?.schema.parse(JSON.parse(JSON.stringify(plain)));
  if (own !== undefined) kind.custom?.schema?.parse(JSON.parse(JSON.stringify(own)));
  assert.deepEqual([...reading.unknown], [], 'every attribute is known');
  return { data, parent };
}

function readPort(space: NetlinkSpace, name: string, kind: LinkKind) {
  const reading = { names: space.names, unknown: new Set<string>() };
  const nest = findAttribute(rawLink(space, name), attributes.info) ?? Buffer.alloc(0);
  assert.equal(text(findAttribute(nest, info.portKind)), kind.name);
  const payload = findAttribute(nest, info.portData) ?? Buffer.alloc(0);
  const data = kind.port?.decode(payload, reading) ?? {};
  kind.port?.schema.parse(JSON.parse(JSON.stringify(data)));
  assert.deepEqual([...reading.unknown], [], 'every attribute of a port is known');
  return { name, data };
}

function create(
  space: NetlinkSpace,
  kind: LinkKind,
  data: LinkData,
  parent: number | undefined,
): void {
  if (kind.custom?.make !== undefined) {
    kind.custom.make(space, { name: tested, data });
    space.refreshNames();
    return;
  }
  const lower = Buffer.alloc(4);
  lower.writeUInt32LE(parent ?? 0);
  const body = Buffer.concat([
    Buffer.alloc(headerBytes),
    attributeBytes(attributes.name, Buffer.from(`${tested}\0`)),
    ...(parent === undefined || parent === 0 ? [] : [attributeBytes(attributes.link, lower)]),
    infoOf(space, kind, data),
  ]);
  send(space, { type: messages.create, flags: createFlags, body }, `make ${kind.name}`);
  space.refreshNames();
  customRequests(space, kind, data);
}

function customRequests(space: NetlinkSpace, kind: LinkKind, data: LinkData): void {
  for (const request of kind.custom?.requests?.(space, { name: tested, data }) ?? []) {
    const [answer] = space.socket(request.family ?? 'route').send([request]);
    assert.equal(answer?.error, undefined, answer?.reason);
  }
}

function change(space: NetlinkSpace, kind: LinkKind, data: LinkData): void {
  if (kind.custom !== undefined) {
    customRequests(space, kind, data);
    return;
  }
  const header = Buffer.alloc(headerBytes);
  header.writeInt32LE(space.names.indexOf(tested), 4);
  const body = Buffer.concat([header, infoOf(space, kind, data)]);
  send(space, { type: messages.create, flags: 0, body }, `change ${kind.name}`);
}

function changePort(space: NetlinkSpace, kind: LinkKind, name: string, data: LinkData): void {
  if (kind.port === undefined) return;
  const header = Buffer.alloc(headerBytes);
  header.writeInt32LE(space.names.indexOf(name), 4);
  const nest = attributeBytes(info.portData | nestedFlag, kind.port.encode(data, space.names));
  const kindName = attributeBytes(info.portKind, Buffer.from(`${kind.name}\0`));
  const all = attributeBytes(attributes.info | nestedFlag, Buffer.concat([kindName, nest]));
  const body = Buffer.concat([header, all]);
  send(space, { type: messages.create, flags: 0, body }, `change port ${name}`);
}

function infoOf(space: NetlinkSpace, kind: LinkKind, data: LinkData): Buffer {
  const kindName = attributeBytes(info.kind, Buffer.from(`${kind.name}\0`));
  const payload = kind.data?.encode(data, space.names);
  const nest =
    payload === undefined ? Buffer.alloc(0) : attributeBytes(info.data | nestedFlag, payload);
  return attributeBytes(attributes.info | nestedFlag, Buffer.concat([kindName, nest]));
}

function send(
  space: NetlinkSpace,
  request: Parameters<ReturnType<NetlinkSpace['socket']>['send']>[0][number],
  what: string,
): void {
  const [answer] = space.socket('route').send([request]);
  assert.equal(answer?.error, undefined, `${what}: ${answer?.reason}`);
}

function text(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString('utf8').replace(/\0.*$/s, '');
}

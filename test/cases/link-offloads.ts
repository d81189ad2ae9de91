import assert from 'node:assert/strict';
import {
  offloadRequest,
  offloadsSchema,
  readOffloads,
} from '../../src/network/l2/kinds/offloads.ts';
import type { NetlinkSpace } from '../../src/network/netlink/space.ts';
import type { Case } from '../support/cases.ts';
import { inScratchNetns } from '../support/scratch-netns.ts';

const pairs = 50;

export const cases: readonly Case[] = [
  {
    name: 'offloads: what was changed is read, told to a fresh device, and taken back',
    run() {
      const said = { 'tx-checksum-ip-generic': false, 'rx-gro': true, 'tx-nocache-copy': true };
      inScratchNetns(({ ip, space }) => {
        ip(['link add v0 type veth peer name v1']);
        assert.equal(offloadsOf(space, 'v0'), undefined);
        set(space, 'v0', said, undefined);
        const found = offloadsOf(space, 'v0');
        assert.deepEqual(found, said);
        offloadsSchema.parse(found);
        set(space, 'v0', undefined, found);
        assert.equal(offloadsOf(space, 'v0'), undefined);
        assert.equal(offloadRequest(space, { name: 'v0', kind: 'veth' }), undefined);
      });
    },
  },
  {
    name: 'offloads: a hundred devices are read in two requests',
    run() {
      inScratchNetns(({ ip, space }) => {
        const names = Array.from({ length: pairs }, (_, at) => `v${at}`);
        ip(names.map((name) => `link add ${name} type veth peer name p${name}`));
        for (const name of names) set(space, name, { 'tx-checksum-ip-generic': false }, undefined);
        const reading = { names: space.names, unknown: new Set<string>() };
        const told = readOffloads(space, reading);
        for (const name of names) {
          assert.deepEqual(told(name, 'veth'), { 'tx-checksum-ip-generic': false });
          assert.equal(told(`p${name}`, 'veth'), undefined);
        }
        assert.deepEqual([...reading.unknown], []);
      });
    },
  },
];

function offloadsOf(space: NetlinkSpace, name: string) {
  return readOffloads(space, { names: space.names, unknown: new Set() })(name, 'veth');
}

function set(
  space: NetlinkSpace,
  name: string,
  wanted: Parameters<typeof offloadRequest>[2],
  found: Parameters<typeof offloadRequest>[3],
): void {
  const request = offloadRequest(space, { name, kind: 'veth' }, wanted, found);
  assert(request !== undefined);
  const [answer] = space.socket('generic').send([request]);
  assert.equal(answer?.error, undefined, answer?.reason);
}

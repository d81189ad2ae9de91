import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { bindFilterObject, bindFilterSha256 } from '../../../src/network/l3/bindfilter-object.ts';
import { readBpfObject } from '../../../src/network/l3/elf.ts';
import { type JobAddresses, layout } from '../../../src/network/l3/layout.ts';
import {
  deviceProgram,
  maps,
  programs,
  typeDescriptions,
} from '../../../src/network/l3/programs.ts';

test('the object that is checked in is the one that its digest names', () => {
  const digest = createHash('sha256').update(bindFilterObject()).digest('hex');
  expect(digest).toBe(bindFilterSha256);
});

test('it holds every program that is attached, and no other', () => {
  const object = readBpfObject(bindFilterObject());
  const names = object.programs.map((program) => program.name);
  expect(names.toSorted()).toEqual(
    [...programs, deviceProgram].map((program) => program.name).toSorted(),
  );
  expect(object.license).toBe('Dual MIT/GPL');
});

test('its programs refer to the maps that are created, and to all of them', () => {
  const { programs: texts } = readBpfObject(bindFilterObject());
  const used = new Set(texts.flatMap((text) => text.maps.map(({ map }) => map)));
  expect([...used].toSorted()).toEqual(Object.keys(maps).toSorted());
  for (const { instructions, maps: references } of texts) {
    expect(instructions.length % 8).toBe(0);
    for (const { offset } of references) expect(instructions[offset]).toBe(0x18);
  }
});

test('what is not such an object is refused', () => {
  const bytes = bindFilterObject();
  const changed = (change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  expect(() => readBpfObject(changed((copy) => copy.writeUInt8(0, 0)))).toThrow(/64-bit ELF/);
  expect(() => readBpfObject(changed((copy) => copy.writeUInt16LE(62, 18)))).toThrow(/for BPF/);
  const license = bytes.lastIndexOf('license\0');
  const unlicensed = changed((copy) => copy.write('L', license));
  expect(() => readBpfObject(unlicensed)).toThrow(/no license/);
  const mapSection = bytes.lastIndexOf('\0map\0') + 1;
  const unmapped = changed((copy) => copy.write('x', mapSection));
  expect(() => readBpfObject(unmapped)).toThrow(/not a map/);
});

test('no map value differs in size between C and TypeScript', () => {
  const job: JobAddresses = {
    ipv4: ['10.0.0.1', '10.0.0.2'],
    ipv6: Array.from({ length: 8 }, (_, index) => `fd00::${index + 1}`),
    loopback4: '127.128.0.1',
    loopback6: 'fd6d:6967:7261:7465::7f80:1',
  };
  const value = layout.job(job);
  expect(value.length).toBe(maps.jobs.valueBytes);
  expect(layout.readJob(value)).toEqual(job);
  expect(layout.addressKey('10.0.0.1').toString('hex')).toBe('00000000000000000000ffff0a000001');
  const owner = { job: 2n ** 40n, loopback: true };
  expect(layout.readOwner(layout.owner(owner))).toEqual(owner);
  const settings = { layout: 3, object: 2n ** 63n, netns: 7n };
  expect(layout.settings(settings).length).toBe(maps.settings.valueBytes);
  expect(layout.readSettings(layout.settings(settings))).toEqual(settings);
});

test('the type descriptions have the header that the kernel checks', () => {
  const types = typeDescriptions();
  expect(types.readUInt16LE(0)).toBe(0xeb9f);
  expect(24 + types.readUInt32LE(16) + types.readUInt32LE(20)).toBe(types.length);
});

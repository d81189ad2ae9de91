import { MigrateError } from '../../base/errors.ts';

export interface BpfProgramText {
  readonly name: string;
  /** 8 bytes an instruction (Documentation/bpf/standardization/instruction-set.rst). */
  readonly instructions: Buffer;
  /** Where the address of a map has to be filled in. */
  readonly maps: readonly { readonly offset: number; readonly map: string }[];
}

export interface BpfObject {
  readonly license: string;
  readonly programs: readonly BpfProgramText[];
}

/**
 * Reads what clang made of bindfilter.bpf.c: each section `program/NAME` is a program, and its
 * relocations name the maps that it uses. An object that holds anything else (functions that were
 * not inlined, data, relocations of another type) is refused. Throws INTERNAL: the object is ours.
 * Format: elf(5), Documentation/bpf/llvm_reloc.rst
 */
export function readBpfObject(bytes: Buffer): BpfObject {
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes.readUInt16LE(4) !== 0x0102) {
    throw broken('not a little-endian 64-bit ELF file');
  }
  if (bytes.readUInt16LE(18) !== machineBpf) throw broken('not for BPF');
  const sections = readSections(bytes);
  const text = sections.find((section) => section.name === '.text');
  if (text !== undefined && text.content.length > 0) throw broken('a function was not inlined');
  const license = sections.find((section) => section.name === 'license');
  if (license === undefined) throw broken('no license');
  const symbols = readSymbols(sections);
  const programs = sections
    .filter((section) => section.name.startsWith(programPrefix))
    .map((section) => readProgram(section, sections, symbols));
  return { license: readString(license.content, 0), programs };
}

const machineBpf = 247;
const programPrefix = 'program/';
const sectionHeaderBytes = 64;
const symbolBytes = 24;
const relocationBytes = 16;
const sectionTypeSymbols = 2;
const sectionTypeRelocations = 9;
/** R_BPF_64_64: the 64-bit immediate of a two-slot load. */
const relocationOfMap = 1;
const opcodeLoadImmediate = 0x18;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly link: number;
  /** For relocations: the section that they apply to. */
  readonly info: number;
  readonly index: number;
  readonly content: Buffer;
}

interface Symbol {
  readonly name: string;
  readonly section: number;
}

function readSections(bytes: Buffer): Section[] {
  const start = Number(bytes.readBigUInt64LE(40));
  const count = bytes.readUInt16LE(60);
  const namesIndex = bytes.readUInt16LE(62);
  const headers = Array.from({ length: count }, (_, index) =>
    bytes.subarray(start + index * sectionHeaderBytes, start + (index + 1) * sectionHeaderBytes),
  );
  const contentOf = (header: Buffer): Buffer => {
    const offset = Number(header.readBigUInt64LE(24));
    return bytes.subarray(offset, offset + Number(header.readBigUInt64LE(32)));
  };
  const namesHeader = headers[namesIndex];
  if (namesHeader === undefined) throw broken('no section names');
  const names = contentOf(namesHeader);
  return headers.map((header, index) => ({
    name: readString(names, header.readUInt32LE(0)),
    type: header.readUInt32LE(4),
    link: header.readUInt32LE(40),
    info: header.readUInt32LE(44),
    index,
    content: contentOf(header),
  }));
}

function readSymbols(sections: readonly Section[]): Symbol[] {
  const table = sections.find((section) => section.type === sectionTypeSymbols);
  const names = table === undefined ? undefined : sections[table.link];
  if (table === undefined || names === undefined) throw broken('no symbols');
  const symbols: Symbol[] = [];
  for (let at = 0; at < table.content.length; at += symbolBytes) {
    symbols.push({
      name: readString(names.content, table.content.readUInt32LE(at)),
      section: table.content.readUInt16LE(at + 6),
    });
  }
  return symbols;
}

function readProgram(
  section: Section,
  sections: readonly Section[],
  symbols: readonly Symbol[],
): BpfProgramText {
  const relocations = sections.filter(
    (other) => other.type === sectionTypeRelocations && other.info === section.index,
  );
  const maps: { offset: number; map: string }[] = [];
  for (const { content } of relocations) {
    for (let at = 0; at < content.length; at += relocationBytes) {
      const offset = Number(content.readBigUInt64LE(at));
      const symbol = symbols[content.readUInt32LE(at + 12)];
      if (
        content.readUInt32LE(at + 8) !== relocationOfMap ||
        symbol === undefined ||
        sections[symbol.section]?.name !== 'map' ||
        section.content[offset] !== opcodeLoadImmediate
      ) {
        throw broken(`${section.name} refers to something that is not a map`);
      }
      maps.push({ offset, map: symbol.name });
    }
  }
  return {
    name: section.name.slice(programPrefix.length),
    instructions: Buffer.from(section.content),
    maps,
  };
}

function readString(content: Buffer, at: number): string {
  return content.toString('latin1', at, content.indexOf(0, at));
}

function broken(why: string): MigrateError {
  return new MigrateError('INTERNAL', `the bind filter's object: ${why}`);
}

import { isIPv4 } from 'node:net';
import { addressBytes } from '../address.ts';
import { nestedFlag } from './attributes.ts';

/**
 * Writes the attributes of one message after the other into the same memory, for objects of which
 * there may be tens of thousands. Numbers are in network order, as netfilter has them.
 */
export interface AttributeWriter {
  uint8(id: number, value: number): void;
  uint16(id: number, value: number): void;
  uint32(id: number, value: number): void;
  bytes(id: number, value: Uint8Array): void;
  /** An IPv4 or IPv6 address. */
  address(id: number, value: string): void;
  nest(id: number, content: () => void): void;
  /** What was written, a copy; the next message begins. */
  finish(header: readonly number[]): Buffer;
}

const headerBytes = 4;

/** `bytesMax` is that of a whole message; a longer one throws RangeError. */
export function createWriter(bytesMax: number): AttributeWriter {
  const memory = Buffer.alloc(bytesMax);
  let at = headerBytes;

  /** Returns where the payload goes. */
  function head(id: number, size: number): number {
    const start = at;
    const length = headerBytes + size;
    const end = start + ((length + 3) & ~3);
    if (end > bytesMax) throw new RangeError(`a netlink message of more than ${bytesMax} bytes`);
    memory[start] = length & 0xff;
    memory[start + 1] = length >> 8;
    memory[start + 2] = id & 0xff;
    memory[start + 3] = id >> 8;
    memory.fill(0, start + length, end);
    at = end;
    return start + headerBytes;
  }

  const writer: AttributeWriter = {
    uint8(id, value) {
      memory[head(id, 1)] = value;
    },
    uint16(id, value) {
      const to = head(id, 2);
      memory[to] = value >> 8;
      memory[to + 1] = value & 0xff;
    },
    uint32(id, value) {
      const to = head(id, 4);
      memory[to] = value >>> 24;
      memory[to + 1] = (value >>> 16) & 0xff;
      memory[to + 2] = (value >>> 8) & 0xff;
      memory[to + 3] = value & 0xff;
    },
    bytes(id, value) {
      memory.set(value, head(id, value.length));
    },
    address(id, value) {
      if (isIPv4(value)) writeDotted(memory, head(id, 4), value);
      else writer.bytes(id, addressBytes(value));
    },
    nest(id, content) {
      const start = at;
      head(id | nestedFlag, 0);
      content();
      memory.writeUInt16LE(at - start, start);
    },
    finish(header) {
      memory.set(header, 0);
      const message = Buffer.from(memory.subarray(0, at));
      at = headerBytes;
      return message;
    },
  };
  return writer;
}

function writeDotted(memory: Buffer, to: number, text: string): void {
  let place = to;
  let value = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x2e) {
      memory[place] = value;
      place += 1;
      value = 0;
    } else value = value * 10 + code - 0x30;
  }
  memory[place] = value;
}

import { z } from 'zod';
import { type Codec, uint8Schema, uint16Schema, uint32Schema } from '../../../netlink/codec.ts';

/** TC_LINKLAYER_ATM of include/uapi/linux/pkt_sched.h. */
const atm = 2;
/** An ATM cell is 53 bytes with 48 of payload. */
const cell = { payload: 48, whole: 53 } as const;

/** struct tc_sizespec: how a packet's length on the wire follows from its own (tc-stab(8)). */
export const sizeTableSchema = z.strictObject({
  cellLog: z.int().min(0).max(30),
  sizeLog: z.int().min(0).max(30),
  cellAlign: z.int().min(-0x8000).max(0x7fff),
  overhead: z.int().min(-0x8000_0000).max(0x7fff_ffff),
  linkLayer: uint8Schema,
  mpu: uint16Schema,
  mtu: uint32Schema,
  /** Of 16 bits each: an attribute holds 65,531 bytes. */
  entries: z.int().min(0).max(16_384),
});
type SizeTable = z.infer<typeof sizeTableSchema>;

/** TCA_STAB_BASE. */
export const sizeSpec: Codec<SizeTable> = {
  schema: sizeTableSchema,
  decode: (bytes) => ({
    cellLog: bytes.readUInt8(0),
    sizeLog: bytes.readUInt8(1),
    cellAlign: bytes.readInt16LE(2),
    overhead: bytes.readInt32LE(4),
    linkLayer: bytes.readUInt32LE(8),
    mpu: bytes.readUInt32LE(12),
    mtu: bytes.readUInt32LE(16),
    entries: bytes.readUInt32LE(20),
  }),
  encode(table) {
    const bytes = Buffer.alloc(24);
    bytes.writeUInt8(table.cellLog, 0);
    bytes.writeUInt8(table.sizeLog, 1);
    bytes.writeInt16LE(table.cellAlign, 2);
    bytes.writeInt32LE(table.overhead, 4);
    bytes.writeUInt32LE(table.linkLayer, 8);
    bytes.writeUInt32LE(table.mpu, 12);
    bytes.writeUInt32LE(table.mtu, 16);
    bytes.writeUInt32LE(table.entries, 20);
    return bytes;
  },
};

/**
 * TCA_STAB_DATA, which the kernel wants and does not print: lengths on the wire as tc(8) computes
 * them from the rest, for packets of 1, 2, 3 ... cells. Undefined where there is no table.
 */
export function sizeTableData(table: SizeTable): Buffer | undefined {
  if (table.entries === 0) return undefined;
  const bytes = Buffer.alloc(table.entries * 2);
  for (let at = 0; at < table.entries; at += 1) {
    const size = Math.max((at + 1) * 2 ** table.cellLog, table.mpu);
    const onWire = table.linkLayer === atm ? Math.ceil(size / cell.payload) * cell.whole : size;
    bytes.writeUInt16LE(Math.min(Math.floor(onWire / 2 ** table.sizeLog), 0xffff), at * 2);
  }
  return bytes;
}

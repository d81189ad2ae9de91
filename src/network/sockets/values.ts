import type { OptionForm } from './options.ts';

/** The devices of a network namespace, by name and by number. */
export interface DeviceNames {
  nameOf(index: number): string | undefined;
  indexOf(name: string): number | undefined;
}

/** An option's bytes as the document tells them; undefined for a device that is not there. */
export function tellValue(
  form: OptionForm,
  bytes: Buffer,
  devices: Pick<DeviceNames, 'nameOf'>,
): number | string | undefined {
  switch (form) {
    case 'int':
      return bytes.readInt32LE();
    case 'text':
      return bytes.toString('latin1').replace(/\0.*$/s, '');
    case 'device':
      return devices.nameOf(bytes.readUInt32LE());
    case 'device-network-order':
      return devices.nameOf(bytes.readUInt32BE());
    case 'address':
      return [...bytes.subarray(0, 4)].join('.');
    case 'bytes':
      return bytes.toString('hex');
  }
}

/** The inverse of `tellValue`; undefined for a value that the form does not have. */
export function valueBytes(
  form: OptionForm,
  value: number | string,
  devices: Pick<DeviceNames, 'indexOf'>,
): Buffer | undefined {
  if (typeof value === 'number') return form === 'int' ? intOf(value) : undefined;
  switch (form) {
    case 'int':
      return undefined;
    case 'text':
      return Buffer.from(value, 'latin1');
    case 'device': {
      const index = devices.indexOf(value);
      return index === undefined ? undefined : intOf(index);
    }
    case 'device-network-order': {
      const index = devices.indexOf(value);
      return index === undefined ? undefined : intOf(index).swap32();
    }
    case 'address':
      return /^(\d{1,3}\.){3}\d{1,3}$/.test(value)
        ? Buffer.from(value.split('.').map(Number))
        : undefined;
    case 'bytes':
      return /^([0-9a-f]{2})*$/.test(value) ? Buffer.from(value, 'hex') : undefined;
  }
}

function intOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return bytes;
}

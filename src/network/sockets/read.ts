import { closeSync } from 'node:fs';
import { inNetns } from '../../host/netns.ts';
import { socketCalls } from '../../host/socket-calls.ts';
import { systemCalls } from '../../host/syscalls.ts';
import { groupFilter, groupRequests, type JoinedGroup, levelOf, readFilter } from './groups.ts';
import { type SocketKind, socketTypes } from './kinds.ts';
import { type SocketOption, socketOptionsOf } from './options.ts';
import { type GroupMembership, jobDevice, type OptionValue, settingsLimits } from './settings.ts';
import { type DeviceNames, tellValue } from './values.ts';

/** Reads what sockets of one network namespace have that CRIU forgets. */
export interface SettingsReader {
  /** Options that differ from those of a fresh socket, whose values the target chooses itself. */
  options(socket: number, kind: SocketKind, isIdle: boolean): OptionValue[];
  /** Its multicast memberships, and of how many sources there was no room to tell. */
  groups(socket: number, kind: SocketKind): { groups: GroupMembership[]; left: number };
}

/** `netns` is a network namespace's file, `joined` its groups, `ownDevice` an l3 job's device. */
export function settingsReader(
  netns: string,
  joined: readonly JoinedGroup[],
  ownDevice?: string,
): SettingsReader {
  const calls = socketCalls();
  const scratch = Buffer.alloc(valueBytesMax);
  const four = scratch.subarray(0, 4);
  const fresh = new Map<string, readonly FreshOption[]>();
  const told = (name: string): string => (name === ownDevice ? jobDevice : name);
  const devices: Pick<DeviceNames, 'nameOf'> = {
    nameOf(index) {
      const name = inNetns(netns, () => calls.deviceName(index));
      return name === undefined ? undefined : told(name);
    },
  };

  /** Zeros behind what the kernel wrote, so that a value is always as long as its buffer. */
  function ask(socket: number, { level, option, form }: SocketOption): Buffer | undefined {
    const value = form === 'int' || form === 'address' ? four : scratch.fill(0);
    four.writeInt32LE(0);
    const size = calls.ask(socket, level, option, value);
    if (size < 0) return undefined;
    return form === 'bytes' ? value.subarray(0, size) : value;
  }

  function isUsual(bytes: Buffer, usual: Buffer): boolean {
    if (bytes === four) return bytes.readInt32LE() === usual.readInt32LE();
    return bytes.equals(usual);
  }

  function freshOptions(kind: SocketKind): readonly FreshOption[] {
    const key = `${kind.family}/${kind.type}/${kind.protocol}`;
    const known = fresh.get(key);
    if (known !== undefined) return known;
    const socket = makeFresh(netns, kind);
    const read: FreshOption[] = [];
    for (const option of socket === undefined ? [] : socketOptionsOf(kind)) {
      const value = ask(socket ?? -1, option);
      if (value !== undefined) read.push({ option, value: Buffer.from(value) });
    }
    if (socket !== undefined) closeSync(socket);
    fresh.set(key, read);
    return read;
  }

  return {
    options(socket, kind, isIdle) {
      const found: OptionValue[] = [];
      for (const { option, value: usual } of freshOptions(kind)) {
        if (option.idleOnly === true && !isIdle) continue;
        const bytes = ask(socket, option);
        if (bytes === undefined || isUsual(bytes, usual)) continue;
        const value = tellValue(option.form, bytes, devices);
        if (value !== undefined) found.push({ name: option.name, value });
      }
      return found;
    },
    groups(socket, { type }) {
      const groups: GroupMembership[] = [];
      let left = 0;
      if (type !== socketTypes.dgram && type !== socketTypes.raw) return { groups, left };
      for (const candidate of joined) {
        const filter = groupFilter(candidate, settingsLimits.sourcesMax);
        const level = levelOf(candidate.group);
        if (calls.ask(socket, level, groupRequests.filter, filter) < 0) continue;
        const { mode, sources, total } = readFilter(filter);
        left += total - sources.length;
        if (groups.length >= settingsLimits.groupsMax) left += 1;
        else groups.push({ group: candidate.group, device: told(candidate.device), mode, sources });
      }
      return { groups, left };
    },
  };
}

interface FreshOption {
  readonly option: SocketOption;
  readonly value: Buffer;
}

/** The longest is IP_OPTIONS with 40 bytes. */
const valueBytesMax = 64;

/** Undefined for a kind that even root may not make, such as a ping socket without its sysctl. */
function makeFresh(netns: string, kind: SocketKind): number | undefined {
  const make = () => systemCalls().socket(kind.family, kind.type, kind.protocol);
  try {
    return inNetns(netns, make);
  } catch {
    return undefined;
  }
}

import { inNetns } from '../../host/netns.ts';
import { socketCalls } from '../../host/socket-calls.ts';
import { joinRequests, levelOf } from './groups.ts';
import { socketOptionsOf } from './options.ts';
import { jobDevice, type SocketSettings } from './settings.ts';
import { type DeviceNames, valueBytes } from './values.ts';

/** Sets again on sockets of one network namespace what `SettingsReader` read on another host. */
export interface SettingsWriter {
  /** What could not be set, in words; nothing when all was. */
  write(socket: number, settings: Omit<SocketSettings, 'at'>): string[];
}

/** `device` is what the job's own device is called here. */
export function settingsWriter(netns: string, device: string): SettingsWriter {
  const calls = socketCalls();
  const devices: Pick<DeviceNames, 'indexOf'> = {
    indexOf: (name) => inNetns(netns, () => calls.deviceIndex(name === jobDevice ? device : name)),
  };

  function setOptions(socket: number, { options, ...kind }: Omit<SocketSettings, 'at'>): string[] {
    const known = new Map(socketOptionsOf(kind).map((option) => [option.name, option]));
    const failures: string[] = [];
    for (const { name, value } of options) {
      const option = known.get(name);
      const bytes = option === undefined ? undefined : valueBytes(option.form, value, devices);
      const error =
        option === undefined || bytes === undefined
          ? 'ENODEV'
          : calls.tell(socket, option.level, option.option, bytes);
      if (error !== undefined) failures.push(`${inCapitals(name)} ${value}: ${words(error)}`);
    }
    return failures;
  }

  function join(socket: number, { groups }: Omit<SocketSettings, 'at'>): string[] {
    const failures: string[] = [];
    for (const membership of groups) {
      const index = devices.indexOf(membership.device);
      const requests = index === undefined ? [] : joinRequests(membership, index);
      const level = levelOf(membership.group);
      const errors = requests.map(({ option, value }) => calls.tell(socket, level, option, value));
      const error = index === undefined ? 'ENODEV' : errors.find((one) => one !== undefined);
      if (error === undefined) continue;
      const { group } = membership;
      failures.push(`its membership in ${group} on ${membership.device}: ${words(error)}`);
    }
    return failures;
  }

  return {
    write(socket, settings) {
      const priority = Buffer.alloc(4);
      const hasPriority = calls.ask(socket, socketLevel, soPriority, priority) > 0;
      const failures = [...setOptions(socket, settings), ...join(socket, settings)];
      // IP_TOS changes the priority, which CRIU has restored (net/ipv4/ip_sockglue.c).
      if (hasPriority) calls.tell(socket, socketLevel, soPriority, priority);
      return failures.map((failure) => `${failure}, so it is lost`);
    },
  };
}

const socketLevel = 1;
const soPriority = 12;

function inCapitals(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}

function words(error: string): string {
  return errorWords[error] ?? error;
}

const errorWords: Readonly<Record<string, string>> = {
  ENOENT: 'the target does not have it',
  ENOPROTOOPT: 'the kernel of the target does not know it',
  ENODEV: 'the target has no such device',
  EADDRNOTAVAIL: 'the target has no such address',
};

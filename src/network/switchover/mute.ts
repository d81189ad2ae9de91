import { type ArmedTool, armTool } from '../../host/arm.ts';
import { run } from '../../host/run.ts';

/** Ours by its prefix: no part of a job's document. */
const table = 'netdev migrate-mute';

/**
 * Keeps devices of a namespace silent and deaf that are on the wire as soon as they are up, as a
 * macvlan is: a job that is being built must not answer in place of the one that runs.
 * (nft(8), netdev family; hook egress from Linux 5.16 on.)
 */
export async function muteDevices(netns: string, devices: readonly string[]): Promise<void> {
  await run('nsenter', [`--net=${netns}`, 'nft', '-f', '-'], { input: muteRuleset(devices) });
}

/** A program that waits to let them speak: other policies take less time than no table. */
export function armUnmute(netns: string): ArmedTool {
  return armTool('nsenter', [`--net=${netns}`, 'nft', '-f', '-']);
}

export async function unmuteDevices(armed: ArmedTool): Promise<void> {
  await armed.fire(`chain ${table} in { policy accept; }\nchain ${table} out { policy accept; }\n`);
}

/** Takes the table away, when nobody waits for it; one that is not there is fine. */
export async function removeMute(netns: string): Promise<void> {
  const input = `add table ${table}\ndelete table ${table}\n`;
  await run('nsenter', [`--net=${netns}`, 'nft', '-f', '-'], { input });
}

function muteRuleset(devices: readonly string[]): string {
  const names = devices.map((name) => `"${name}"`).join(', ');
  const chain = (name: string, hook: string) =>
    `  chain ${name} { type filter hook ${hook} devices = { ${names} } priority -500; policy drop; }`;
  return [`table ${table} {`, chain('in', 'ingress'), chain('out', 'egress'), '}', ''].join('\n');
}

/** The words that give a command the surroundings root has after a login, and nothing else. */
export function asRootAtHome(command: readonly string[], terminal: boolean): string[] {
  const term = terminal ? (process.env.TERM ?? 'xterm') : 'dumb';
  return ['env', '-i', '-C', '/root', ...ENVIRONMENT, `TERM=${term}`, ...command];
}

const ENVIRONMENT = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'HOME=/root',
  'USER=root',
  'LOGNAME=root',
  'SHELL=/bin/bash',
  'LANG=C.UTF-8',
];

import { execFileSync } from 'node:child_process';
import { type NetlinkSpace, openSpace } from '../../src/network/netlink/space.ts';

/** A network namespace for one case, with a space to speak to it. */
export interface ScratchNetns {
  readonly name: string;
  readonly space: NetlinkSpace;
  /** Lines of ip(8) without its name, run as one batch. Throws with what ip says. */
  ip(lines: readonly string[]): void;
  /** A program inside it; its standard output. */
  run(program: string, words: readonly string[]): string;
}

let made = 0;

/** Runs `section` with a namespace that is gone afterwards, whatever happens. */
export function inScratchNetns<T>(section: (netns: ScratchNetns) => T): T {
  made += 1;
  const name = `mcase-${process.pid}-${made}`;
  execFileSync('ip', ['netns', 'add', name]);
  const space = openSpace(`/run/netns/${name}`);
  try {
    return section({
      name,
      space,
      ip(lines) {
        const input = `${lines.join('\n')}\n`;
        execFileSync('ip', ['-n', name, '-batch', '-'], { input, stdio: 'pipe' });
        space.refreshNames();
      },
      run(program, words) {
        const argv = ['netns', 'exec', name, program, ...words];
        return execFileSync('ip', argv, { stdio: 'pipe', encoding: 'utf8' });
      },
    });
  } finally {
    space.close();
    execFileSync('ip', ['netns', 'del', name]);
  }
}

import { assert } from '../base/assert.ts';

/** What the fixed scripts below report by exit status; sh itself uses 1, 2 and 126 up. */
export const agentExit = { absent: 66, noNode: 67, badCopy: 68 } as const;

/**
 * Starts the agent that is kept under its hash. The only thing that ever varies in a command of
 * ours is that hash, 64 hexadecimal digits. `sh` is named because the login shell may be another.
 */
export function runAgentCommand(sha256: string): string {
  return script(
    sha256,
    `f="$HOME/.cache/migrate/agent-$h.cjs"
[ -f "$f" ] || exit ${agentExit.absent}
command -v node >/dev/null 2>&1 || exit ${agentExit.noNode}
exec node "$f" agent`,
  );
}

/**
 * Takes the agent from standard input: under a name of its own until its hash is right, so that two
 * uploads at once don't meet and a broken one is never found. Older agents go after a month.
 */
export function uploadAgentCommand(sha256: string): string {
  return script(
    sha256,
    `umask 077
d="$HOME/.cache/migrate"
mkdir -p "$d" && chmod 700 "$d" || exit 1
find "$d" -name "agent-*" -mtime +30 -exec rm -f {} + 2>/dev/null
t="$d/agent-$h.$$.part"
trap "rm -f \\"$t\\"" EXIT
cat >"$t" || exit 1
set -- $(sha256sum "$t")
[ "$1" = "$h" ] || exit ${agentExit.badCopy}
mv -f "$t" "$d/agent-$h.cjs"`,
  );
}

function script(sha256: string, body: string): string {
  assert(/^[0-9a-f]{64}$/u.test(sha256), 'a SHA-256 is 64 hexadecimal digits');
  assert(!body.includes("'"), 'the script stands in single quotes');
  return `exec sh -c 'h=${sha256}\n${body}'`;
}

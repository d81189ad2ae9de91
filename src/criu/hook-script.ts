/**
 * The action script (criu(8), --action-script): the two moments at which CRIU asks us. It talks over
 * descriptor 3, a socket whose other end is ours; when we are dead it reads an end of file, and the
 * job goes back to where it is safe.
 *
 * pre-dump: nothing is stopped yet. We freeze and lock, then say `go`.
 * post-dump: the job is dumped, stopped, and alive. The first act is the freeze of its cgroup, so
 *   that even the death of CRIU does not let it run; `kill` ends it, anything else revives it.
 * pre-resume: the job is restored and stopped. `go` lets it run; anything else kills it, frozen
 *   first, from outside its cgroup.
 * post-resume: it runs.
 */
export const hookScript = `#!/bin/sh
case "$CRTOOLS_SCRIPT_ACTION" in
pre-dump)
  echo pre-dump >&3 && read -r answer <&3 && [ "$answer" = go ] ;;
post-dump)
  echo 1 > "$MIGRATE_CGROUP/cgroup.freeze"
  answer=
  echo post-dump >&3 && read -r answer <&3
  [ "$answer" = kill ] && exit 0
  [ -z "$answer" ] && [ -n "$MIGRATE_RECOVER" ] &&
    setsid "$MIGRATE_NODE" "$MIGRATE_PROGRAM" recover "$MIGRATE_RECOVER" \\
      < /dev/null > /dev/null 2>&1 3>&- &
  exit 1 ;;
pre-resume)
  answer=
  echo pre-resume >&3 && read -r answer <&3
  [ "$answer" = go ] && exit 0
  echo $$ > "$MIGRATE_CGROUP/../cgroup.procs"
  echo 1 > "$MIGRATE_CGROUP/cgroup.freeze"
  echo 1 > "$MIGRATE_CGROUP/cgroup.kill"
  exit 1 ;;
post-resume)
  echo post-resume >&3 ;;
esac
`;

export type HookMoment = 'pre-dump' | 'post-dump' | 'pre-resume' | 'post-resume';

/** A mark of the hook that says: what was restored here was killed before it ran. */
export const neverRanMark = 'never-ran';
/** A mark of the hook that says: nobody was there, and it could not start `recover` itself. */
export const orphanedMark = 'orphaned';
/**
 * A mark for the hooks that says: all of them may let their trees run. It decides for those whose
 * answer no longer comes, so that of several trees either every one runs or none.
 */
export const goMark = 'go';

/**
 * The action script (criu(8), --action-script): the moments at which CRIU asks us. It talks over
 * descriptors 3 and 4 of its parent, because CRIU closes them for its hooks (criu/util.c,
 * cr_system_userns). They are pipes whose other ends are ours: when we are dead it reads an end of
 * file, and the job goes back to where it is safe. The job's cgroup is descriptor 6 of its parent,
 * because a mount namespace that `ip netns exec` made does not show it.
 *
 * pre-dump: nothing is stopped yet. We freeze and lock, then say `go`.
 * post-dump: the job is dumped, stopped, and alive. The first act is the freeze of its cgroup, so
 *   that even the death of CRIU does not let it run; `kill` ends it, anything else revives it.
 * pre-resume: the job is restored and stopped. `go`, or the mark of that name when nobody answers,
 *   lets it run; anything else kills it, frozen first, from outside its cgroup, and leaves a mark
 *   for whoever asks later.
 * post-resume: it runs.
 */
export const hookScript = `\
talk() { exec 3< "/proc/$PPID/fd/3" 4> "/proc/$PPID/fd/4" && echo "$1" >&4 && read -r answer <&3; }
answer=
exec 6< "/proc/$PPID/fd/6"
cgroup=/proc/self/fd/6
call_recover() {
  [ -z "$answer" ] && [ -n "$MIGRATE_ENTERED" ] && : > "$MIGRATE_MARKS/${orphanedMark}"
  [ -z "$answer" ] && [ -n "$MIGRATE_RECOVER" ] && [ -z "$MIGRATE_ENTERED" ] &&
    setsid "$MIGRATE_NODE" "$MIGRATE_PROGRAM" recover "$MIGRATE_RECOVER" \\
      < /dev/null > /dev/null 2>&1 3>&- 4>&- 6>&- &
}
case "$CRTOOLS_SCRIPT_ACTION" in
pre-dump)
  talk pre-dump
  [ "$answer" = go ] && exit 0
  call_recover
  exit 1 ;;
post-dump)
  echo 1 > "$cgroup/cgroup.freeze"
  talk post-dump
  [ "$answer" = kill ] && exit 0
  call_recover
  exit 1 ;;
pre-resume)
  talk pre-resume
  [ "$answer" = go ] && exit 0
  [ -z "$answer" ] && [ -e "$MIGRATE_MARKS/${goMark}" ] && exit 0
  echo $$ > "$cgroup/../cgroup.procs"
  echo 1 > "$cgroup/cgroup.freeze"
  : > "$MIGRATE_MARKS/${neverRanMark}"
  echo 1 > "$cgroup/cgroup.kill"
  exit 1 ;;
post-resume)
  echo post-resume > "/proc/$PPID/fd/4" ;;
esac
`;

export type HookMoment = 'pre-dump' | 'post-dump' | 'pre-resume' | 'post-resume';

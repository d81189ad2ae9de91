/**
 * Runs as the first process of the job's new namespaces and becomes job-init. A fixed text: every
 * name reaches it as an argument. What it does is what CRIU needs to find (NOTES of the project,
 * criu/mount.c, criu/files.c): a /proc of its own namespace, descriptors 0, 1 and 2 opened inside
 * the job's own mount namespace, none above. What is mounted below /run belongs to one host and one
 * moment (named namespaces, login sessions, images of other moves): the target would not have it.
 * Jobs share the host's /run, pid files included; so that a server does not take another job's pid
 * for a living process of its own namespace, each job counts its processes from its own number.
 *
 * $1 cgroup.procs file, $2 log file, $3 hostname, $4 working directory, $5 job-init, rest: program
 * and arguments.
 */
export const launchScript = `set -eu
procs=$1 log=$2 host=$3 cwd=$4
shift 4
echo 0 > "$procs"
read -r pid _ < /proc/self/stat
echo $((pid * 101 % 30000)) > /proc/sys/kernel/ns_last_pid
while read -r _ path _; do
  case "$path" in /run/*) umount -l "$path" || true ;; esac
done < /proc/self/mounts
umount -l /proc
mount -t proc -o nosuid,nodev,noexec proc /proc
echo "$host" > /proc/sys/kernel/hostname
cd "$cwd"
exec < /dev/null >> "$log" 2>&1
exec "$@"
`;

/**
 * What comes between for a job with a root file system of its own: $1 is that directory, $2 the log
 * as seen in it, $3 job-init. The old root is left to job-init to unmount: nothing of the host's
 * programs can run after the pivot. A chroot would do for the job, but CRIU wants a task's root to
 * be that of its mount namespace.
 */
export const rootfsScript = `set -eu
root=$1 log=$2 init=$3
shift 3
mount --rbind "$root" "$root"
cd "$root"
mkdir -p .migrate-old
for name in proc dev sys; do mount --rbind "/$name" "$name"; done
pivot_root . .migrate-old
exec < /dev/null >> "$log" 2>&1
exec "$init" --old-root /.migrate-old "$@"
`;

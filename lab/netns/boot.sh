#!/bin/sh
# boot.sh STAGE CGROUP PIDFILE ROOTFS HOSTDIR SHARED BUNDLE
# Turns itself, stage by stage, into process 1 of a host: a cgroup, namespaces, a root of its own.
set -eu
stage=$1 cgroup=$2 pidfile=$3 rootfs=$4 host=$5 shared=$6 bundle=$7
self=$0
shift

case $stage in
join)
  exec </dev/null >"$host/boot.log" 2>&1
  # The cgroup namespace shows as its root the cgroup that its maker is in.
  echo 0 >"$cgroup/cgroup.procs"
  exec unshare --net --mount --uts --ipc --pid --cgroup -- /bin/sh "$self" fork "$@"
  ;;
fork)
  # The next process to be made is process 1, so nothing else may be started here.
  /bin/sh "$self" init "$@" &
  exit 0
  ;;
init) ;;
*) exit 2 ;;
esac

# /proc is still the machine's: what it calls this process is the handle by which it finds us.
read -r pid rest </proc/self/stat
echo 0 >"$cgroup/init/cgroup.procs"
echo "$pid" >"$pidfile.new"
mv "$pidfile.new" "$pidfile"

root=$host/root
mount -t overlay -o "lowerdir=$rootfs,upperdir=$host/upper,workdir=$host/work" overlay "$root"
cd "$root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t bpf -o nosuid,nodev,noexec,mode=700 bpf sys/fs/bpf
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp
mkdir -p run/lab
mount --bind "$host/seed" run/lab
mount -o remount,bind,ro run/lab
mount --bind "$shared" shared
mount --bind "$bundle" usr/local/lib/migrate
mount -o remount,bind,ro usr/local/lib/migrate

mount -t tmpfs -o nosuid,mode=755,size=1m tmpfs dev
node() { mknod -m "$2" "dev/$1" c "$3" "$4"; }
node null 666 1 3
node zero 666 1 5
node full 666 1 7
node random 666 1 8
node urandom 666 1 9
node tty 666 5 0
mkdir dev/pts dev/shm dev/net
node net/tun 666 10 200
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

pivot_root . mnt
cd /
umount -l /mnt
exec setsid /bin/sh /run/lab/start.sh

#!/bin/busybox sh
# Process 1 of a guest until its disk is there; what follows is the same as in a netns host.
export PATH=/bin
busybox mkdir -p /proc /sys /dev /root
busybox mount -t devtmpfs -o nosuid,mode=755 devtmpfs /dev
busybox mount -t proc -o nosuid,nodev,noexec proc /proc
busybox mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
if busybox grep -q lab.probe /proc/cmdline; then
  echo 'lab: this accelerator works' >/dev/console
  busybox poweroff -f
fi
for module in /modules/*; do
  busybox insmod "$module"
done
share() {
  busybox mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,access=any,$3" "$1" "$2"
}
set -e
busybox mount -t ext4 -o rw,relatime /dev/vda /root
for file in dev proc sys; do
  busybox mount --move "/$file" "/root/$file"
done
cd /root
busybox mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
busybox mount -t bpf -o nosuid,nodev,noexec,mode=700 bpf sys/fs/bpf
busybox mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
busybox mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp
busybox mkdir -p dev/pts dev/shm dev/net run/lab
# Without udev nobody else makes the node whose opening loads the module.
busybox mknod -m 666 dev/net/tun c 10 200
busybox mount -t devpts -o nosuid,noexec,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
busybox mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
busybox ln -sf /proc/self/fd dev/fd
busybox ln -sf fd/0 dev/stdin
busybox ln -sf fd/1 dev/stdout
busybox ln -sf fd/2 dev/stderr
busybox chmod 666 dev/null dev/zero dev/full dev/random dev/urandom dev/tty dev/ptmx
share seed run/lab ro
share shared shared rw
share bundle usr/local/lib/migrate ro
# Processes stay out of the root of the tree, as in a netns host.
busybox mkdir sys/fs/cgroup/init
echo 1 >sys/fs/cgroup/init/cgroup.procs
exec busybox switch_root /root /usr/bin/setsid /bin/sh /run/lab/start.sh

#!/bin/sh
# Process 1 of a host, from the moment its root is in place: names, network, sshd, then reaping.
set -eu
exec </dev/null >/var/log/lab-start.log 2>&1
# A guest has a console on which the machine reads; a netns host's files it reads by itself.
console() { [ ! -c /dev/console ] || "$@" >/dev/console; }
trap 'console tail -n 5 /var/log/lab-start.log' EXIT
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
cd /
umask 022
. /run/lab/host.env
hostname "$NAME"
sh /run/lab/take-seed.sh

# The cards are plugged in from outside while this runs.
tries=0
while [ ! -e /sys/class/net/eth0 ] || [ ! -e /sys/class/net/eth1 ]; do
  tries=$((tries + 1))
  [ "$tries" -le 500 ] || { echo 'no network card came'; exit 1; }
  sleep 0.02
done

# br0 shares the wire with eth0. It must not answer for eth0's addresses, nor have any itself.
ip -batch - <<EOF
link set lo up
addr add $IPV4/24 dev eth0
link set eth0 up
addr add $IPV6/64 dev eth0 nodad
link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
EOF
for card in eth1 br0; do
  echo 1 >"/proc/sys/net/ipv4/conf/$card/arp_ignore"
  echo 1 >"/proc/sys/net/ipv6/conf/$card/disable_ipv6"
done
ip -batch - <<EOF
link set eth1 master br0 up
link set br0 up
EOF
# Frames that cross br0 belong to l2 jobs; the host's own packet filter has no say in them.
for family in iptables ip6tables arptables; do
  file="/proc/sys/net/bridge/bridge-nf-call-$family"
  [ ! -e "$file" ] || echo 0 >"$file"
done

# Controllers for the sub-cgroups of whoever makes some.
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
done

mkdir -p /run/sshd /run/lock /run/redis
chmod 1777 /run/lock
chown redis:redis /run/redis
/usr/sbin/sshd
# Writes /run/criu.kdat, which each later start of criu would else spend its time on.
criu check >/var/log/criu-check.log 2>&1 || true
: >/run/lab-ready
console echo 'lab: ready'

# A name of its own, so that somebody's `pkill sleep` does not turn the host off.
cp -f /usr/bin/sleep /run/lab-idle
exec tini -- /run/lab-idle infinity

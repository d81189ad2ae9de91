#!/usr/bin/env bash
# Starts a program for the contenders that have no toolkit, in PID, mount, IPC and UTS namespaces
# of its own, as a moved job needs them: its PIDs must be free on the target, and CRIU must find
# /proc and its log inside. Its address is put on the host's device.
#
# usage: start-bare.sh NAME ADDRESS/LEN DEVICE PROGRAM ARG...
set -euo pipefail
name=$1 address=$2 device=$3
shift 3
place=/run/bare/$name
mkdir -p "$place"
ip addr add "$address" dev "$device"

# What is mounted below /run belongs to one host, so the target would lack it.
inside='
while read -r _ path _; do
  case "$path" in /run/*) umount -l "$path" ;; esac
done </proc/self/mounts
umount -l /proc
mount -t proc -o nosuid,nodev,noexec proc /proc
exec setsid "$@" </dev/null >/dev/null 2>&1
'
setsid unshare --mount --pid --ipc --uts --fork --propagation private -- \
  sh -c "$inside" start-bare "$@" </dev/null >/dev/null 2>&1 &
parent=$!
for _ in {1..200}; do
  read -r pid _ <"/proc/$parent/task/$parent/children" || true
  [ -z "${pid:-}" ] || break
  sleep 0.01
done
echo "$pid" >"$place/pid"

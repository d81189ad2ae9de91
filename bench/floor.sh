#!/usr/bin/env bash
# What no move can go below: one criu dump and one criu restore of the same process on one host,
# images in memory, nothing in between. Its connection is still while this runs, so it needs no
# lock.
#
# usage: floor.sh NAME [LOCK], where /run/bare/NAME/pid names the process and LOCK is a method of
# criu's --network-lock. Prints a JSON line.
set -euo pipefail
place=/run/bare/$1
both="--images-dir $place/images --tcp-established --manage-cgroups=ignore --external mnt[]:ms"
lock=(--network-lock "${2:-skip}")
rm -rf "$place/images"
mkdir "$place/images"
pid=$(<"$place/pid")
rm "$place/pid"

began_at=${EPOCHREALTIME/./}
criu dump --tree "$pid" $both "${lock[@]}"
dumped_at=${EPOCHREALTIME/./}
criu restore --root / --restore-detached --pidfile "$place/pid" $both
restored_at=${EPOCHREALTIME/./}

rm -r "$place/images"
printf '{"type":"floor","dumpUs":%d,"restoreUs":%d}\n' \
  $((dumped_at - began_at)) $((restored_at - dumped_at))

#!/usr/bin/env bash
# The scripts that people write to move a process with its memory, with what the manuals advise for
# speed: images in memory on both sides, one ssh connection opened beforehand (ControlMaster) with
# the fastest cipher of OpenSSH here, AES-GCM. The process has no address and no connection, so
# there is nothing to lock: it is less than what migrate moves.
#
# page-server: criu page-server waits on the target, criu dump sends the pages there itself, over
# TCP and unencrypted; the other images follow as one tar.
# rsync: criu dump into memory, then rsync -z with zstd's fastest level, whole files, in place.
#
# usage: by-hand.sh page-server|rsync NAME TARGET, where /run/bare/NAME/pid names the process.
# Prints a JSON line: frozen is from the start of criu dump to the end of criu restore.
set -euo pipefail
how=$1 name=$2 target=$3
place=/run/bare/$name
images=$place/images
port=9997
ssh=(ssh -o ControlMaster=auto -o "ControlPath=/run/bare/%C" -o ControlPersist=60
  -c aes128-gcm@openssh.com)
# The root file system's mounts are the target's own, and the namespaces are CRIU's to make.
both="--images-dir $images --manage-cgroups=ignore --external mnt[]:ms"
restore="criu restore --root / --restore-detached --pidfile $place/pid $both && echo restored"

rm -rf "$images"
mkdir "$images"
dump=(criu dump --tree "$(<"$place/pid")" $both --network-lock skip)
listen=true
if [ "$how" = page-server ]; then
  listen="criu page-server --daemon --images-dir $images --port $port >/dev/null 2>&1"
  read -r ip _ < <(getent ahostsv4 "$target")
  dump+=(--page-server --address "$ip" --port "$port")
fi
"${ssh[@]}" "$target" "rm -rf $place && mkdir -p $images && $listen"

frozen_at=${EPOCHREALTIME/./}
"${dump[@]}" >&2
dumped_at=${EPOCHREALTIME/./}
if [ "$how" = page-server ]; then
  tar -C "$images" -c . | "${ssh[@]}" "$target" "tar -x -C $images"
else
  rsync --recursive --whole-file --inplace --compress --compress-choice=zstd --compress-level=1 \
    --rsh "${ssh[*]}" "$images/" "$target:$images/"
fi
copied_at=${EPOCHREALTIME/./}
[ "$("${ssh[@]}" "$target" "$restore" | tail -n 1)" = restored ]
restored_at=${EPOCHREALTIME/./}

printf '{"type":"moved","frozenUs":%d,"dumpUs":%d,"copyUs":%d,"restoreUs":%d}\n' \
  $((restored_at - frozen_at)) $((dumped_at - frozen_at)) $((copied_at - dumped_at)) \
  $((restored_at - copied_at))
"${ssh[@]}" "$target" "rm -rf $images"
rm -rf "$place"
"${ssh[@]}" -q -O exit "$target"

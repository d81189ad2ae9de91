#!/usr/bin/env bash
# The script that people write to move a process with its address and its connections: criu dump,
# scp -r, ssh criu restore. It is given what the manuals advise for speed: images in memory on both
# sides, one ssh connection opened beforehand and shared (ControlMaster), AES-GCM, which is the
# fastest cipher of OpenSSH here, and nftables for CRIU's lock (10 ms where iptables takes seconds).
# Packets are dropped while nobody answers: the address leaves the source behind CRIU's lock and
# comes to the target right before the restore, so nobody resets the connection in between.
#
# usage: by-hand.sh NAME ADDRESS/LEN DEVICE TARGET, where /run/bare/NAME/pid names the process.
# Prints a JSON line: frozen is from the start of criu dump to the end of criu restore.
set -euo pipefail
name=$1 address=$2 device=$3 target=$4
place=/run/bare/$name
ssh=(-o ControlMaster=auto -o "ControlPath=/run/bare/%C" -o ControlPersist=60
  -c aes128-gcm@openssh.com)
# The root file system's mounts are the target's own, and the namespaces are CRIU's to make.
both="--images-dir $place/images --tcp-established --manage-cgroups=ignore --external mnt[]:ms"
lock=(--network-lock nftables)

rm -rf "$place/images"
mkdir "$place/images"
ssh "${ssh[@]}" "$target" "rm -rf $place && mkdir -p $place"
pid=$(<"$place/pid")

frozen_at=${EPOCHREALTIME/./}
criu dump --tree "$pid" $both "${lock[@]}"
dumped_at=${EPOCHREALTIME/./}
scp -q -r "${ssh[@]}" "$place/images" "$target:$place/"
copied_at=${EPOCHREALTIME/./}
ip addr del "$address" dev "$device"
nft list tables | awk '/ CRIU-/ { print "delete", $0 }' | nft -f -

# Neighbours learn the new place from a gratuitous ARP, as arping -U would send it.
announce="
import socket, struct
device, address = '$device', socket.inet_aton('${address%/*}')
mac = bytes.fromhex(open(f'/sys/class/net/{device}/address').read().strip().replace(':', ''))
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((device, 0))
arp = struct.pack('!HHBBH', 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address
out.send(b'\xff' * 6 + mac + b'\x08\x06' + arp)"
ssh "${ssh[@]}" "$target" "ip addr add $address dev $device &&
  criu restore --root / --restore-detached --pidfile $place/pid $both && echo restored &&
  python3 -ISc \"$announce\" && rm -r $place/images" | {
  read -r word && [ "$word" = restored ]
  restored_at=${EPOCHREALTIME/./}
  cat
  printf '{"type":"moved","frozenUs":%d,"dumpUs":%d,"copyUs":%d,"restoreUs":%d}\n' \
    $((restored_at - frozen_at)) $((dumped_at - frozen_at)) $((copied_at - dumped_at)) \
    $((restored_at - copied_at))
}
rm -r "$place"
ssh "${ssh[@]}" -q -O exit "$target"

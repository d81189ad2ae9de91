#!/bin/sh
# make-ground.sh ROOTFS KERNEL WORK INIT OUT
# From the root file system and an unpacked kernel package: a disk image, a kernel, an initrd.
# Runs in a mount namespace of its own, so that whatever happens no mount is left.
set -eu
rootfs=$1 kernel=$2 work=$3 init=$4 out=$5
merged=$work/merged upper=$work/upper initrd=$work/initrd

mkdir -p "$merged" "$upper/usr/lib" "$work/ovl" "$initrd/bin" "$out"
mv "$kernel/usr/lib/modules" "$upper/usr/lib/modules"
version=$(ls "$upper/usr/lib/modules")
cp "$kernel/boot/vmlinuz-$version" "$out/vmlinuz"
mount -t overlay -o "lowerdir=$rootfs,upperdir=$upper,workdir=$work/ovl" overlay "$merged"
chroot "$merged" depmod "$version"

# The initrd knows just enough to reach the disk, the cards and the machine's directories.
# Unpacked here, once, rather than at each start under emulation; the numbers keep their order.
cp "$rootfs/usr/bin/busybox" "$initrd/bin/busybox"
cp "$init" "$initrd/init"
chmod 755 "$initrd/init"
mkdir "$initrd/modules"
number=100
for name in virtio_blk ext4 virtio_net virtio_rng 9pnet_virtio 9p; do
  chroot "$merged" modprobe --set-version "$version" --show-depends "$name"
done | while read -r verb path rest; do
  [ "$verb" = insmod ] || continue
  module=$(basename "$path" .xz)
  ls "$initrd/modules" | grep -q -x "[0-9]*-$module" && continue
  number=$((number + 1))
  chroot "$merged" busybox xzcat "$path" >"$initrd/modules/$number-$module"
done
(cd "$initrd" && find . | "$initrd/bin/busybox" cpio -o -H newc) >"$out/initrd" 2>/dev/null

truncate -s 8G "$out/disk.ext4"
mkfs.ext4 -q -F -m 0 -L lab -d "$merged" "$out/disk.ext4"

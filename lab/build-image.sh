#!/bin/bash
# build-image.sh KERNEL_DIR KERNEL_RELEASE OUT_DIR - a small operating system image that boots by BIOS and by UEFI.
#
# A tenant's whole-disk image, in OUT_DIR/lab-os.{raw,qcow2} with checksum files. GPT: BIOS boot partition, ESP
# (GRUB on the removable path), ext4 root with Debian's kernel, a busybox initramfs and a busybox userspace, whose
# init prints on the serial console:
#
#   LAB-OS-UP uptime=... fw=bios|uefi boots=N
#   LAB-CONFIGDRIVE path: content          for every file of the config drive (label config-2), then
#   LAB-CONFIGDRIVE-END device             (or: LAB-CONFIGDRIVE none)
#   LAB-PART name blocks                   for every partition
#   LAB-OS-NET ...                         its addresses
#   LAB-OS-READY uptime=...
#
# No loop device and no mount: mke2fs -d and mtools fill the file systems, so that it builds in any container.
set -eu
KERNEL=$1 RELEASE=$2 OUT=$3
export PATH=$PATH:/usr/sbin:/sbin SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000 MTOOLS_SKIP_CHECK=1
GUID=57524f55-4748-5400-0000-0000000000
T=$OUT/tmp; rm -rf "$T"; mkdir -p "$T"/{initrd,root}

modules() { # MODULE...: the files of modules and of what they need, in the order to load them
  [ -e "$KERNEL/lib/modules/$RELEASE/modules.dep.bin" ] || depmod -b "$KERNEL" "$RELEASE"
  local m; for m in "$@"; do
    modprobe -d "$KERNEL" -S "$RELEASE" --show-depends "$m" 2>/dev/null | awk '$1=="insmod"{print $2}'
  done | awk '!seen[$0]++'
}
archive() { (cd "$1" && find . -exec touch -h -d @$SOURCE_DATE_EPOCH {} + && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet); }

# --- initramfs: the disk drivers, then the root file system
I=$T/initrd; mkdir -p "$I"/{bin,dev,proc,sys,lib/modules,new}; cp /bin/busybox "$I/bin/"; : > "$I/mods"
for ko in $(modules virtio_pci virtio_net virtio_blk virtio_scsi sd_mod ata_piix ahci nvme isofs vfat nls_cp437 nls_ascii nls_iso8859-1 ext4 crc32c_generic e1000 button); do
  cp "$ko" "$I/lib/modules/"; echo "/lib/modules/$(basename "$ko")" >> "$I/mods"
done
cat > "$I/init" <<'X'
#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc p /proc; $bb mount -t sysfs s /sys; $bb mount -t devtmpfs d /dev 2>/dev/null
while read m; do $bb insmod $m 2>/dev/null; done < /mods
for t in 1 2 3 4 5 6 7 8 9 10; do r=$($bb findfs LABEL=lab-root 2>/dev/null) && break; $bb sleep 1; done
$bb mount -o rw "$r" /new || { echo "LAB-OS no root"; exec $bb sh; }
$bb mount --move /dev /new/dev; $bb umount /sys /proc
exec $bb switch_root /new /sbin/init
X
chmod +x "$I/init"; archive "$I" | gzip -9n > "$T/initrd.img"

# --- root file system
R=$T/root; mkdir -p "$R"/{bin,sbin,dev,proc,sys,etc,mnt,tmp,root,boot/grub,run}; cp /bin/busybox "$R/bin/"
for a in $(/bin/busybox --list); do [ -e "$R/bin/$a" ] || ln -s busybox "$R/bin/$a"; done; ln -s ../bin/busybox "$R/sbin/init"
cp "$KERNEL/boot/vmlinuz-$RELEASE" "$R/boot/vmlinuz"; cp "$T/initrd.img" "$R/boot/initrd.img"
echo "root::0:0:root:/root:/bin/sh" > "$R/etc/passwd"; echo lab-os > "$R/etc/hostname"
printf '::sysinit:/etc/rc\nttyS0::askfirst:-/bin/sh\n::ctrlaltdel:/bin/reboot -f\n::shutdown:/bin/sync\n' > "$R/etc/inittab"
cat > "$R/etc/rc" <<'X'
#!/bin/sh
export PATH=/bin:/sbin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t tmpfs t /run
exec >/dev/ttyS0 2>&1
n=$(( $(cat /boots 2>/dev/null || echo 0) + 1 ))
echo "LAB-OS-UP uptime=$(cut -d' ' -f1 /proc/uptime) fw=$([ -d /sys/firmware/efi ] && echo uefi || echo bios) boots=$n"
echo $n > /boots; sync
acpid -f -e /proc/acpi/event -c /etc/acpi >/dev/null 2>&1 &
if c=$(findfs LABEL=config-2 2>/dev/null); then
  mkdir -p /run/configdrive; mount -o ro "$c" /run/configdrive
  find /run/configdrive -type f | sort | while read f; do echo "LAB-CONFIGDRIVE ${f#/run/configdrive/}: $(head -c 2000 "$f" | tr '\n' ' ')"; done
  echo "LAB-CONFIGDRIVE-END $c"; umount /run/configdrive
else echo "LAB-CONFIGDRIVE none"; fi
while read a b s n; do case $s in [0-9]*) echo "LAB-PART $n $s";; esac; done < /proc/partitions
ip link set lo up
for n in /sys/class/net/*; do n=${n##*/}; [ $n = lo ] || { ip link set $n up; udhcpc -q -n -t 5 -T 1 -i $n -s /etc/udhcpc >/dev/null 2>&1; }; done
echo "LAB-OS-NET $(ip -4 -o addr | grep -v ' lo ' | tr -s ' ')"
echo "LAB-OS-READY uptime=$(cut -d' ' -f1 /proc/uptime)"
X
printf '#!/bin/sh\n[ "$1" = bound ] && { ip addr add $ip/${mask:-24} dev $interface; }\nexit 0\n' > "$R/etc/udhcpc"
mkdir -p "$R/etc/acpi/PWRF"; printf '#!/bin/sh\necho LAB-OS-POWEROFF > /dev/ttyS0; poweroff -f\n' > "$R/etc/acpi/PWRF/00000080"
chmod +x "$R/etc/rc" "$R/etc/udhcpc" "$R/etc/acpi/PWRF/00000080"
cat > "$R/boot/grub/grub.cfg" <<'X'
set timeout=0
set args="console=ttyS0 quiet edd=off nokaslr"
# By BIOS, GRUB's `linux` moves the kernel byte by byte, which takes an emulated processor four seconds.
if [ $grub_platform = pc ]; then
  menuentry lab { linux16 /boot/vmlinuz $args; initrd16 /boot/initrd.img }
else
  menuentry lab { linux /boot/vmlinuz $args; initrd /boot/initrd.img }
fi
X
find "$R" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +

# --- partitions: 1 MiB BIOS boot, 16 MiB ESP, root
RAW=$OUT/lab-os.raw; rm -f "$RAW"; truncate -s 96M "$RAW"
sgdisk -U ${GUID}00 -n1:2048:+1M -t1:ef02 -u1:${GUID}01 -n2:0:+16M -t2:ef00 -u2:${GUID}02 -n3:0:0 -t3:8300 -c3:root -u3:${GUID}03 "$RAW" >/dev/null
part() { sgdisk -i "$1" "$RAW" | awk -v k="$2" '$0~k{print $3}'; }
S2=$(part 2 "First sector") S3=$(part 3 "First sector") N3=$(part 3 "Partition size")
truncate -s $((N3 * 512)) "$T/ext4"
mke2fs -q -t ext4 -L lab-root -U ${GUID}04 -E hash_seed=${GUID}05,root_owner=0:0 -m 0 -O ^has_journal -d "$R" "$T/ext4"
truncate -s 16M "$T/esp"; mkfs.vfat -i 57524f55 -n ESP "$T/esp" >/dev/null
printf 'search --no-floppy --label lab-root --set=root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' > "$T/early.cfg"
MODS="part_gpt ext2 search search_label normal linux configfile test"
grub-mkimage -O x86_64-efi -o "$T/bootx64.efi" -c "$T/early.cfg" -p /boot/grub $MODS fat efi_gop
touch -d @$SOURCE_DATE_EPOCH "$T/bootx64.efi"
mmd -i "$T/esp" ::EFI ::EFI/BOOT; mcopy -m -i "$T/esp" "$T/bootx64.efi" ::EFI/BOOT/BOOTX64.EFI
grub-mkimage -O i386-pc -o "$T/core.img" -c "$T/early.cfg" -p /boot/grub $MODS biosdisk linux16
dd if="$T/esp" of="$RAW" bs=512 seek="$S2" conv=notrunc status=none
dd if="$T/ext4" of="$RAW" bs=1M oflag=seek_bytes seek=$((S3 * 512)) conv=notrunc,sparse status=none
# GRUB for BIOS by hand, as grub-bios-setup does it on a block device: core.img into the BIOS boot partition, the code
# of boot.img into the MBR; both need to know the sector at which core.img (and its second sector) lies.
python3 - "$RAW" "$T/core.img" <<'X'
import struct, sys
raw, core = open(sys.argv[1], 'r+b'), bytearray(open(sys.argv[2], 'rb').read())
boot, start = bytearray(open('/usr/lib/grub/i386-pc/boot.img', 'rb').read()), 2048
core += b'\0' * (-len(core) % 512)
struct.pack_into('<Q', boot, 0x5c, start)                                       # boot.img: where core.img starts
boot[0x66:0x68] = b'\x90\x90'                                                   # boot.img: trust the BIOS's drive number
struct.pack_into('<QHH', core, 0x1f4, start + 1, len(core) // 512 - 1, 0x820)   # diskboot: where the rest lies
raw.seek(0); mbr = bytearray(raw.read(512)); mbr[:440] = boot[:440]; raw.seek(0); raw.write(mbr)
raw.seek(start * 512); raw.write(core); raw.close()
X
qemu-img convert -f raw -O qcow2 -c "$RAW" "$OUT/lab-os.qcow2"
for f in lab-os.raw lab-os.qcow2; do for s in sha256 sha512; do (cd "$OUT" && ${s}sum "$f" > "$f.$s"); done; done
rm -rf "$T"

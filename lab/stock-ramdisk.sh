#!/bin/bash
# stock-ramdisk.sh KERNEL_DIR KERNEL_RELEASE OUT_DIR MIRROR - a ramdisk with OpenStack's own ironic-python-agent.
#
# Leaves OUT_DIR/vmlinuz and OUT_DIR/initramfs: a Debian without systemd, whose shell init starts udev, gets an address
# by DHCP and runs the agent in a loop. For the proof that the service works with the agent that others deploy with.
# The agent, in Python, wants 2 GiB of memory. On the serial console:
#
#   LAB-USERSPACE uptime=... / LAB-NETWORK uptime=... / LAB-AGENT-START uptime=...    then the agent's own log
#
# Needs root, the packages debootstrap, python3-pip and cpio, and a python3 of the same minor version as SUITE's.
set -eu
KERNEL=$1 RELEASE=$2 OUT=$3 MIRROR=$4
VERSION=${AGENT_VERSION:-13.0.0} SUITE=${SUITE:-bookworm} ROOT=$OUT/root
export PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$OUT"

# --- Debian
if [ ! -e "$ROOT/.unpacked" ]; then
  rm -rf "$ROOT"
  packages=python3,python3-pkg-resources,udev,kmod,iproute2,util-linux,util-linux-extra,parted,gdisk,dosfstools,e2fsprogs
  packages+=,xfsprogs,qemu-utils,dmidecode,lshw,smartmontools,hdparm,ipmitool,efibootmgr,nvme-cli,pciutils,ethtool,mdadm
  packages+=,ca-certificates,busybox-static,procps,psmisc
  debootstrap --variant=minbase --include=$packages "$SUITE" "$ROOT" "$MIRROR" > "$OUT/debootstrap.log" 2>&1 ||
    { tail -5 "$OUT/debootstrap.log" >&2; exit 1; }
  touch "$ROOT/.unpacked"
fi

# --- the agent; pip of the host, which must be of the same Python for what is compiled
PYTHON=$(cd "$ROOT/usr/bin" && ls -d python3.[0-9]*[0-9] | head -1)
SITE=$ROOT/usr/local/lib/$PYTHON/dist-packages
[ -e "$SITE/ironic_python_agent" ] ||
  "$PYTHON" -m pip install -q --no-compile --target "$SITE" "ironic-python-agent==$VERSION"
mkdir -p "$ROOT/usr/local/bin" "$ROOT/etc/ironic-python-agent" "$ROOT/var/log/ironic-python-agent"
cp -a "$SITE"/bin/ironic* "$ROOT/usr/local/bin/" 2>/dev/null || true
sed -i '1s|.*|#!/usr/bin/python3|' "$ROOT"/usr/local/bin/ironic*
printf '[DEFAULT]\ndebug = True\nuse_syslog = False\n' > "$ROOT/etc/ironic-python-agent/ironic-python-agent.conf"

# --- out goes what an agent never uses: a third of the size, which every machine loads over the network
LIB=$ROOT/usr/lib/x86_64-linux-gnu
rm -rf "$ROOT"/usr/share/{doc,man,info,locale,bash-completion,lintian,zsh,zoneinfo,perl5,misc/enterprise-numbers.txt} \
  "$ROOT"/var/{cache/apt,lib/apt,lib/dpkg} "$ROOT"/var/cache/debconf/* "$ROOT"/boot/* \
  "$ROOT"/usr/bin/{perl*,qemu-nbd,qemu-io,apt*} "$ROOT"/usr/lib/apt "$ROOT"/usr/lib/udev/hwdb.{bin,d} \
  "$LIB"/{gconv,perl-base} "$LIB"/libicu* "$LIB"/libapt-* \
  "$SITE"/{bin,babel/locale-data,_distutils_hack,distutils-precedence.pth,tzdata/zoneinfo} "$SITE"/*/tests \
  "$SITE"/setuptools* "$SITE"/netaddr/eui/{oui,iab}.txt
find "$ROOT" -name __pycache__ -type d -prune -exec rm -rf {} +
chroot "$ROOT" /usr/bin/python3 -m compileall -q -j2 \
  "/usr/lib/$PYTHON" /usr/lib/python3/dist-packages "/usr/local/lib/$PYTHON/dist-packages" || true

# --- kernel modules
modules() { # MODULE...: the files of modules and of what they need
  [ -e "$KERNEL/lib/modules/$RELEASE/modules.dep.bin" ] || depmod -b "$KERNEL" "$RELEASE"
  local m; for m in "$@"; do
    modprobe -d "$KERNEL" -S "$RELEASE" --show-depends "$m" 2>/dev/null | awk '$1=="insmod"{print $2}'
  done | awk '!seen[$0]++'
}
INSTALLED=$ROOT/usr/lib/modules
rm -rf "$INSTALLED"; mkdir -p "$INSTALLED/$RELEASE"
for ko in $(modules virtio_pci virtio_net virtio_blk virtio_scsi virtio_rng sd_mod sr_mod ata_piix ahci nvme isofs vfat \
  nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 ext4 xfs loop e1000 e1000e igb ixgbe usb_storage uas xhci_pci ehci_pci \
  usbhid hid_generic ipmi_si ipmi_devintf ipmi_msghandler raid0 raid1 raid10 raid456 dm_mod efivarfs 8021q bonding \
  dmi_sysfs crc32c_generic crc32c_intel); do
  to=$INSTALLED/${ko##*/lib/modules/}; mkdir -p "$(dirname "$to")"; cp "$ko" "$to"
done
cp "$KERNEL/lib/modules/$RELEASE"/modules.{builtin,builtin.modinfo,order} "$INSTALLED/$RELEASE/"
depmod -b "$ROOT/usr" "$RELEASE" 2>/dev/null || depmod -b "$ROOT" "$RELEASE"

# --- init
cat > "$ROOT/etc/udhcpc.script" <<'X'
#!/bin/sh
case $1 in
deconfig) ip link set "$interface" up; ip -4 addr flush dev "$interface";;
bound|renew)
  ip -4 addr replace "$ip/${mask:-24}" dev "$interface"
  [ -z "${router:-}" ] || ip route replace default via "${router%% *}" dev "$interface"
  : > /etc/resolv.conf; for n in ${dns:-}; do echo "nameserver $n" >> /etc/resolv.conf; done;;
esac
X
cat > "$ROOT/init" <<'X'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run; mkdir -p /run/lock
[ -d /sys/firmware/efi ] && { modprobe efivarfs; mount -t efivarfs efivarfs /sys/firmware/efi/efivars; }
exec </dev/console >/dev/console 2>&1
up() { cut -d' ' -f1 /proc/uptime; }
echo "LAB-USERSPACE uptime=$(up)"
hostname stock; ip link set lo up
/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=subsystems --action=add; udevadm trigger --type=devices --action=add
for m in virtio_net virtio_blk sd_mod sr_mod isofs vfat ipmi_si ipmi_devintf; do modprobe -q $m; done
udevadm settle -t 30
for n in /sys/class/net/*; do
  n=${n##*/}; [ "$n" = lo ] || busybox udhcpc -q -n -t 8 -T 2 -i "$n" -s /etc/udhcpc.script &
done
wait
echo "LAB-NETWORK uptime=$(up) $(ip -4 -br addr | grep -v ^lo | tr -s ' ')"
while :; do
  echo "LAB-AGENT-START uptime=$(up)"
  ironic-python-agent --config-dir /etc/ironic-python-agent 2>&1
  echo "LAB-AGENT-EXIT uptime=$(up)"; sleep 2
done
X
chmod +x "$ROOT/init" "$ROOT/etc/udhcpc.script"; ln -sf /proc/mounts "$ROOT/etc/mtab"; echo stock > "$ROOT/etc/hostname"
# There is no systemd for the agent to switch the machine off by.
for t in poweroff reboot; do
  printf '#!/bin/sh\nsync; exec busybox %s -f\n' $t > "$ROOT/usr/local/sbin/$t"
  chmod +x "$ROOT/usr/local/sbin/$t"; ln -sf /usr/local/sbin/$t "$ROOT/usr/sbin/$t"
done

(cd "$ROOT" && find . -path ./.unpacked -prune -o -print0 | cpio -0 -o -H newc -R 0:0 --quiet) |
  zstd -q -T0 -12 -f -o "$OUT/initramfs.new"
mv "$OUT/initramfs.new" "$OUT/initramfs"
cp "$KERNEL/boot/vmlinuz-$RELEASE" "$OUT/vmlinuz"

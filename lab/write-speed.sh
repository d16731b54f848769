#!/bin/busybox sh
# write-speed.sh - init of a ramdisk that measures how fast a machine can take an image at all: download and write by wget
# and dd, without a hash, to compare an agent with. On the serial console, per round:
#
#   LAB-SPEED SECONDS-OF-UPTIME-AT-START AT-END
#
# and LAB-SPEED-END after the last. @URL@ is the image; /modules lists the kernel modules to load, in order.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "$module"; done < /modules
ip link set eth0 up
until udhcpc -q -n -t 5 -T 1 -i eth0 -s /address; do sleep 1; done
up() { cut -d' ' -f1 /proc/uptime; }
for round in 1 2 3; do
  start=$(up)
  wget -q -O - @URL@ | dd of=/dev/vda bs=1M iflag=fullblock conv=fsync 2>/dev/null
  echo "LAB-SPEED $start $(up)"
done
echo LAB-SPEED-END
while :; do sleep 60; done

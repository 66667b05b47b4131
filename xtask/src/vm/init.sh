#!/bin/busybox sh
# First program of the test VM: loads the modules, mounts the two disks and the shared folder, and hands over.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
# Whoever asks whether machines boot here at all waits for this line.
echo "tinyd-vm: booted"
if $b grep -q tinyd.probe /proc/cmdline; then
    $b poweroff -f
fi
for module in /modules/*; do
    $b insmod "$module" || echo "tinyd-vm: $module cannot be loaded"
done
# A disk is there some time after its driver.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vda ] && [ -b /dev/vdb ] && break
    $b sleep 0.2
done
if $b mount -t ext4 /dev/vda /system &&
    $b mount -t ext4 -o ro /dev/vdb /system/vm &&
    $b mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /system/share
then
    for folder in proc sys dev; do
        $b mount --move /$folder /system/$folder
    done
    if $b grep -q systemd.unit= /system/proc/cmdline; then
        exec $b switch_root /system /lib/systemd/systemd
    fi
    exec $b switch_root /system /bin/sh /vm/guest.sh
fi
echo "tinyd-vm: a disk or the shared folder cannot be mounted"
$b poweroff -f

# What the unit of the tests runs, in a guest whose first process is systemd.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
echo "tinyd-vm: v$(stat -fc %T /sys/fs/cgroup | sed 's/cgroup2fs/2/; s/tmpfs/1/'): $(systemctl --version | head -n1)"

/vm/bin/xtask vm-guest /vm /share
echo $? >/share/status
sync
/vm/bin/busybox poweroff -f

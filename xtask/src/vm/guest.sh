# First process of the guest's own system: mounts what a usual machine has, runs the tests, and powers off.
# A shell reaps whatever loses its parent, as a first process must.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
b=/vm/bin/busybox
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o mode=620,ptmxmode=666,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -sf /proc/self/fd /dev/fd
hostname tinyd-vm
$b ip link set lo up

# Pages for the tests of their limit: 32 MiB.
echo 16 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

groups=/sys/fs/cgroup
if grep -q tinyd.cgroup=v1 /proc/cmdline; then
    mount -t tmpfs -o mode=755 tmpfs $groups
    for controller in $(awk '$1 !~ /^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
        mkdir $groups/$controller
        mount -t cgroup -o $controller $controller $groups/$controller || rmdir $groups/$controller
    done
    echo "tinyd-vm: v1 hierarchies: $(ls $groups | tr '\n' ' ')"
else
    mount -t cgroup2 cgroup2 $groups
    for controller in $(cat $groups/cgroup.controllers); do
        echo +$controller >$groups/cgroup.subtree_control
    done
    echo "tinyd-vm: v2 controllers: $(cat $groups/cgroup.subtree_control)"
fi

/vm/bin/xtask vm-guest /vm /share
echo $? >/share/status
sync
$b poweroff -f

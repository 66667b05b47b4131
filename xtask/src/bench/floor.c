/* The floor: the system calls that any engine must do for one container, and nothing else.
 *
 *   floor LOWER SCRATCH PROGRAM NETWORK [CGROUP-MOUNT...]
 *
 * makes a container of the folder LOWER, with its scratch folders in SCRATCH and a cgroup in each of the hierarchies, runs
 * PROGRAM in it, waits for its end, takes everything away, and ends with its exit code. NETWORK is `none`, or
 * BRIDGE,ADDRESS,LENGTH,GATEWAY. Errors end it at once with 99. */
#define _GNU_SOURCE
#include "floor_net.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first of the 65,536 ids that root and the others of the container have outside. */
#define FIRST_ID 1000000
#define MAP "0 1000000 65536\n"
#define MOST 16

static char *scratch, *lower, *program;
static char bridge[16], address[16], gateway[16];
static int address_length;
static char groups[MOST][512];
static int joins[MOST];
static int group_count, unified = -1;

static void fail(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static void must(int result, const char *what) {
    if (result < 0)
        fail(what);
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd, path);
    if (write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
}

static const char *in_scratch(const char *name) {
    static char buffers[4][512];
    static int next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, sizeof buffers[0], "%s/%s", scratch, name);
    return buffer;
}

/* The child joins v1 itself, by a descriptor that the parent has opened: a pid written by another costs an RCU wait. Into
 * v2 it is born, for moving there costs one as well. */
static void make_groups(int count, char **mounts) {
    for (int i = 0; i < count && group_count < MOST; i++) {
        char *group = groups[group_count], path[600];
        snprintf(group, sizeof groups[0], "%s/tinyd-floor-%d", mounts[i], getpid());
        must(mkdir(group, 0755), group);
        snprintf(path, sizeof path, "%s/tasks", group);
        joins[group_count] = open(path, O_WRONLY | O_CLOEXEC);
        if (joins[group_count] < 0) {
            unified = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
            must(unified, group);
        }
        group_count++;
    }
}

/* Device nodes cannot be made in a user namespace, so the parent makes them in a mount that is nowhere yet. */
static int make_dev(void) {
    static const struct { const char *name; int minor, major; } nodes[] = {
        {"null", 3, 1}, {"zero", 5, 1}, {"full", 7, 1}, {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5}};
    int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    must(context, "fsopen");
    must(fsconfig(context, FSCONFIG_SET_STRING, "mode", "755", 0), "mode");
    must(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "create");
    int dev = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    must(dev, "fsmount");
    close(context);
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        must(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)), "mknodat");
        must(fchownat(dev, nodes[i].name, FIRST_ID, FIRST_ID, 0), "fchownat");
    }
    static const char *folders[] = {"pts", "shm", "mqueue"};
    for (int i = 0; i < 3; i++) {
        must(mkdirat(dev, folders[i], 0755), "mkdirat");
        must(fchownat(dev, folders[i], FIRST_ID, FIRST_ID, 0), "fchownat");
    }
    must(symlinkat("/proc/self/fd", dev, "fd"), "symlinkat");
    must(symlinkat("pts/ptmx", dev, "ptmx"), "symlinkat");
    return dev;
}

static void child(int ready, int dev) {
    char byte;
    if (read(ready, &byte, 1) != 1)
        _exit(99);
    must(setresgid(0, 0, 0), "setresgid");
    must(setresuid(0, 0, 0), "setresuid");
    for (int i = 0; i < group_count; i++)
        if (joins[i] >= 0 && write(joins[i], "0", 1) != 1)
            fail("join");
    if (bridge[0])
        must(set_up_link(address, address_length, gateway), "set up the link");
    must(unshare(CLONE_NEWCGROUP), "unshare");
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    char options[2048];
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, scratch, scratch);
    const char *merged = in_scratch("merged");
    must(mount("overlay", merged, "overlay", 0, options), "overlay");
    must(chdir(merged), "chdir");
    must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    must(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL), "sysfs");
    must(move_mount(dev, "", AT_FDCWD, "dev", MOVE_MOUNT_F_EMPTY_PATH), "move_mount");
    must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"), "devpts");
    must(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=65536k"), "shm");
    must(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mqueue");
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount2");
    must(chdir("/"), "chdir /");
    char *arguments[] = {program, NULL}, *environment[] = {"PATH=/bin", NULL};
    execve(program, arguments, environment);
    fail(program);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: floor LOWER SCRATCH PROGRAM NETWORK [CGROUP-MOUNT...]\n");
        return 2;
    }
    lower = argv[1], scratch = argv[2], program = argv[3];
    if (strcmp(argv[4], "none") != 0
        && sscanf(argv[4], "%15[^,],%15[^,],%d,%15s", bridge, address, &address_length, gateway) != 4) {
        fprintf(stderr, "floor: %s is no network\n", argv[4]);
        return 2;
    }
    static const char *folders[] = {"upper", "work", "merged"};
    must(mkdir(scratch, 0711), scratch);
    for (int i = 0; i < 3; i++) {
        must(mkdir(in_scratch(folders[i]), 0755), folders[i]);
        must(chown(in_scratch(folders[i]), FIRST_ID, FIRST_ID), folders[i]);
    }
    make_groups(argc - 5, argv + 5);
    int dev = make_dev(), ready[2];
    must(pipe2(ready, O_CLOEXEC), "pipe2");
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
        .exit_signal = SIGCHLD,
    };
    if (unified >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = unified;
    }
    pid_t pid = syscall(SYS_clone3, &args, sizeof args);
    must(pid, "clone3");
    if (pid == 0)
        child(ready[0], dev);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    put(path, MAP);
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    put(path, MAP);
    if (bridge[0])
        must(make_link(bridge, pid), "make the link");
    if (write(ready[1], "x", 1) != 1)
        fail("ready");
    int status;
    must(waitpid(pid, &status, 0), "waitpid");
    for (int i = 0; i < group_count; i++)
        must(rmdir(groups[i]), groups[i]);
    /* The overlay makes a folder of its own in `work`. */
    static const char *left[] = {"work/work", "work", "upper", "merged", "."};
    for (int i = 0; i < 5; i++)
        must(rmdir(i < 4 ? in_scratch(left[i]) : scratch), left[i]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

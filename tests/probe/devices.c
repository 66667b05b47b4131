/* The device nodes that are there, and those that one can make. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

static int open_quietly(const char *path, int how) {
    int file = open(path, how | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0) return errno;
    close(file);
    return 0;
}

static void show_folder(const char *folder, int depth) {
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char path[1024], key[1100];
        struct stat meta;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (strcmp(name, ".") && strcmp(name, "..") && !lstat(path, &meta)) {
            const char *plain = path + strlen("/dev/");
            if (S_ISLNK(meta.st_mode)) {
                char link[256] = "";
                if (readlink(path, link, sizeof link - 1) < 0) link[0] = 0;
                fact("devices", plain, "link %s", link);
            } else if (S_ISDIR(meta.st_mode)) {
                fact("devices", plain, "folder %04o", meta.st_mode & 07777);
                if (depth < 3) show_folder(path, depth + 1);
            } else if (S_ISCHR(meta.st_mode) || S_ISBLK(meta.st_mode)) {
                fact("devices", plain, "%c:%u:%u %04o %u:%u", S_ISCHR(meta.st_mode) ? 'c' : 'b', major(meta.st_rdev),
                     minor(meta.st_rdev), meta.st_mode & 07777, meta.st_uid, meta.st_gid);
                snprintf(key, sizeof key, "%s/open", plain);
                fact("devices", key, "%s", errno_name(open_quietly(path, O_RDWR)));
            } else {
                fact("devices", plain, "file %04o", meta.st_mode & 07777);
            }
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

/* Those whose opening alone does something (watchdogs, for one) are not among them. */
static const struct {
    const char *name;
    char kind;
    unsigned major, minor;
} NODES[] = {
    {"mem", 'c', 1, 1}, {"null", 'c', 1, 3}, {"port", 'c', 1, 4}, {"zero", 'c', 1, 5}, {"full", 'c', 1, 7},
    {"random", 'c', 1, 8}, {"urandom", 'c', 1, 9}, {"kmsg", 'c', 1, 11}, {"tty0", 'c', 4, 0}, {"ttyS0", 'c', 4, 64},
    {"tty", 'c', 5, 0}, {"console", 'c', 5, 1}, {"ptmx", 'c', 5, 2}, {"hwrng", 'c', 10, 183}, {"cuse", 'c', 10, 203},
    {"net-tun", 'c', 10, 200}, {"fuse", 'c', 10, 229}, {"kvm", 'c', 10, 232}, {"loop-control", 'c', 10, 237},
    {"vhost-net", 'c', 10, 238}, {"uinput", 'c', 10, 223}, {"input-event0", 'c', 13, 64}, {"sg0", 'c', 21, 0},
    {"fb0", 'c', 29, 0}, {"snd-control", 'c', 116, 0}, {"pts-0", 'c', 136, 0}, {"nvidia0", 'c', 195, 0}, {"dri-card0", 'c', 226, 0},
    {"ram0", 'b', 1, 0}, {"loop0", 'b', 7, 0}, {"sda", 'b', 8, 0}, {"md0", 'b', 9, 0}, {"sr0", 'b', 11, 0},
    {"mmcblk0", 'b', 179, 0}, {"vda", 'b', 254, 0}, {"vdb", 'b', 253, 0}, {"nvme0n1", 'b', 259, 0},
};

void show_devices(void) {
    show_folder("/dev", 0);
    for (size_t i = 0; i < sizeof NODES / sizeof *NODES; i++) {
        const char *path = "/tmp/probe-node";
        mode_t kind = NODES[i].kind == 'c' ? S_IFCHR : S_IFBLK;
        if (mknod(path, kind | 0600, makedev(NODES[i].major, NODES[i].minor))) {
            fact("made-devices", NODES[i].name, "no-node %s", errno_name(errno));
            continue;
        }
        fact("made-devices", NODES[i].name, "%s", errno_name(open_quietly(path, O_RDONLY)));
        unlink(path);
    }
}

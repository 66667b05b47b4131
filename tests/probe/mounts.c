/* The mounts, and what can be done with the control groups among them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

/* mountinfo(5): 36 35 98:0 /root /target options [optional…] - type source super-options */
void show_mounts(void) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    static char line[65536];
    while (file && fgets(line, sizeof line, file)) {
        char root[4096], target[4096], options[512], kind[64], super[4096];
        char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*s %*s %*s %4095s %4095s %511s", root, target, options) != 3
            || sscanf(dash + 3, "%63s %*s %4095s", kind, super) != 2)
            continue;
        *dash = 0;
        const char *propagation = strstr(line, " shared:") ? "shared" : strstr(line, " master:") ? "slave" : "private";
        /* Of a file system's own options those that bound it. The others name paths of the host. */
        char bounds[256] = "";
        for (char *word = strtok(super, ","); word; word = strtok(NULL, ",")) {
            int says = !strcmp(word, "ro") || !strncmp(word, "size=", 5) || !strncmp(word, "mode=", 5)
                       || !strncmp(word, "hidepid=", 8) || !strncmp(word, "ptmxmode=", 9);
            if (says && strlen(bounds) + strlen(word) + 2 < sizeof bounds) strcat(strcat(bounds, ","), word);
        }
        /* Which file system the machine's disk has is no matter of the container's. */
        static const char *const disks[] = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs"};
        for (size_t i = 0; i < sizeof disks / sizeof *disks; i++) if (!strcmp(kind, disks[i])) strcpy(kind, "disk");
        fact("mounts", target, "%s %s %s %s", kind, options, propagation, *bounds ? bounds + 1 : "-");
    }
    if (file) fclose(file);
}

static void show_group(const char *name, const char *folder) {
    char path[4200], key[300];
    static const char *const limits[] = {
        "pids.max", "memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max", "cpu.shares", "cpu.weight",
    };
    snprintf(path, sizeof path, "%s/probe", folder);
    int answer = mkdir(path, 0755) ? errno : 0;
    if (!answer) rmdir(path);
    snprintf(key, sizeof key, "%s/mkdir", name);
    fact("groups", key, "%s", errno_name(answer));
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    snprintf(key, sizeof key, "%s/cgroup.procs", name);
    fact("groups", key, "%s", errno_name(file < 0 ? errno : 0));
    if (file >= 0) close(file);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char text[64] = "";
        snprintf(path, sizeof path, "%s/%s", folder, limits[i]);
        FILE *limit = fopen(path, "re");
        if (!limit) continue;
        if (fgets(text, sizeof text, limit)) text[strcspn(text, "\n")] = 0;
        fclose(limit);
        fact("groups", limits[i], "%s", text);
    }
    snprintf(path, sizeof path, "%s/devices.list", folder);
    FILE *devices = fopen(path, "re");
    char rule[64];
    while (devices && fgets(rule, sizeof rule, devices)) {
        rule[strcspn(rule, "\n")] = 0;
        for (char *c = rule; *c; c++) if (*c == ' ') *c = '/';
        fact("groups", rule, "allowed");
    }
    if (devices) fclose(devices);
}

/* The own group of each hierarchy, as a line of cgroups(7) names it: 4:memory:/own/path */
void show_groups(void) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[4096];
    while (file && fgets(line, sizeof line, file)) {
        char *names = strchr(line, ':');
        char *path = names ? strchr(names + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        names++;
        path[strcspn(path, "\n")] = 0;
        const char *name = *names ? names : "unified";
        char key[300];
        snprintf(key, sizeof key, "%s/path", name);
        fact("groups", key, "%s", !strcmp(path, "/") ? "/" : "the-host's");
        char folder[4200];
        struct stat meta;
        static const char *const places[] = {"/sys/fs/cgroup/%s", "/sys/fs/cgroup"};
        const char *word = strncmp(name, "name=", 5) ? name : name + 5;
        snprintf(folder, sizeof folder, places[0], word);
        if (!stat(folder, &meta)) show_group(name, folder);
        else if (!*names && !stat("/sys/fs/cgroup/cgroup.procs", &meta)) show_group(name, places[1]);
        else fact("groups", name, "not-mounted");
    }
    if (file) fclose(file);
}

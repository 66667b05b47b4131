/* Every file of /proc and /sys, and whether it can be opened for reading and for writing. None is read or written. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "probe.h"

enum { DEPTH = 40, PATH = 4096 };

static int opens(const char *path, int how) {
    int file = open(path, how | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
    if (file >= 0) close(file);
    return file >= 0;
}

static int by_name(const struct dirent **one, const struct dirent **other) { return strcmp((*one)->d_name, (*other)->d_name); }

static int is_empty(const char *path) {
    int count = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder)) count++;
    if (folder) closedir(folder);
    return count == 2;
}

/* The value is the path, for a path may hold spaces. */
static void show(const char *path, const char *access) { fact("files", access, "%s", path); }

static void look(const char *path, dev_t device, int depth);

static void walk(const char *path, dev_t device, int depth) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, by_name);
    if (count < 0) {
        show(path, "--");
        return;
    }
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char below[PATH];
        /* Processes come and go; the own one is looked at below, by its name. */
        int is_process = depth == 0 && (atoi(name) > 0 || !strcmp(name, "self") || !strcmp(name, "thread-self"));
        if (strcmp(name, ".") && strcmp(name, "..") && !is_process
            && snprintf(below, sizeof below, "%s/%s", path, name) < (int)sizeof below)
            look(below, device, depth + 1);
        free(entries[i]);
    }
    free(entries);
}

static void look(const char *path, dev_t device, int depth) {
    struct stat meta;
    if (depth > DEPTH || lstat(path, &meta)) return;
    if (S_ISDIR(meta.st_mode)) {
        if (meta.st_dev != device) {
            /* Something else is mounted here: an empty folder hides what was, and what is not empty is the mounts' subject. */
            if (is_empty(path)) {
                show(path, "--");
                return;
            }
            struct statfs here;
            if (statfs(path, &here) || here.f_type != 0x9fa0 /* PROC_SUPER_MAGIC */) return;
        }
        walk(path, meta.st_dev, depth);
    } else if (S_ISCHR(meta.st_mode) && meta.st_rdev == makedev(1, 3)) {
        show(path, "--");
    } else if (S_ISREG(meta.st_mode)) {
        static const char *const answers[] = {"--", "r-", "-w", "rw"};
        int answer = opens(path, O_RDONLY) + 2 * opens(path, O_WRONLY);
        /* What nobody may read is no secret of this container's. */
        if (answer || meta.st_mode & 0444) show(path, answers[answer]);
    }
}

static void own_files(void) {
    struct dirent **entries;
    int count = scandir("/proc/self", &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char path[512];
        struct stat meta;
        snprintf(path, sizeof path, "/proc/self/%s", entries[i]->d_name);
        if (!lstat(path, &meta) && S_ISREG(meta.st_mode)) look(path, meta.st_dev, 1);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

void show_files(void) {
    static const char *const tops[] = {"/proc", "/sys"};
    for (int i = 0; i < 2; i++) {
        struct stat meta;
        if (!lstat(tops[i], &meta)) walk(tops[i], meta.st_dev, 0);
    }
    struct stat meta;
    if (!stat("/proc/self/net", &meta)) walk("/proc/self/net", meta.st_dev, 1);
    if (!stat("/proc/self/attr", &meta)) walk("/proc/self/attr", meta.st_dev, 1);
    own_files();
}

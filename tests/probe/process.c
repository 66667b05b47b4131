/* What the process was given: rights, ids, limits, descriptors, variables, namespaces. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

extern char **environ;

/* Lines of /proc/self/status. */
static void show_status(void) {
    static const char *const fields[] = {
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Uid", "Gid", "Groups",
        "SigBlk", "SigIgn", "Umask", "TracerPid", "Speculation_Store_Bypass", "SpeculationIndirectBranch", "PPid", "NSpid",
    };
    FILE *file = fopen("/proc/self/status", "re");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        *colon = 0;
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            if (strcmp(fields[i], line)) continue;
            char *value = colon + 1 + strspn(colon + 1, " \t");
            value[strcspn(value, "\n")] = 0;
            for (char *c = value; *c; c++) if (*c == '\t') *c = ' ';
            /* 32 and 33 are the C library's own: who starts processes with glibc's posix_spawn ignores them there. */
            if (!strncmp(line, "Sig", 3)) sprintf(value, "%016llx", strtoull(value, NULL, 16) & ~0x180000000ULL);
            fact(strncmp(line, "Cap", 3) ? "status" : "capabilities", line, "%s", value);
        }
    }
    if (file) fclose(file);
}

static void show_limits(void) {
    static const struct {
        const char *name;
        int number;
    } limits[] = {
        {"AS", RLIMIT_AS}, {"CORE", RLIMIT_CORE}, {"CPU", RLIMIT_CPU}, {"DATA", RLIMIT_DATA}, {"FSIZE", RLIMIT_FSIZE},
        {"LOCKS", RLIMIT_LOCKS}, {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
        {"NOFILE", RLIMIT_NOFILE}, {"NPROC", RLIMIT_NPROC}, {"RSS", RLIMIT_RSS}, {"RTPRIO", RLIMIT_RTPRIO},
        {"RTTIME", RLIMIT_RTTIME}, {"SIGPENDING", RLIMIT_SIGPENDING}, {"STACK", RLIMIT_STACK},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        char key[32];
        if (getrlimit(limits[i].number, &limit)) continue;
        for (int hard = 0; hard < 2; hard++) {
            rlim_t value = hard ? limit.rlim_max : limit.rlim_cur;
            snprintf(key, sizeof key, "%s-%s", limits[i].name, hard ? "hard" : "soft");
            if (value == RLIM_INFINITY) fact("limits", key, "unlimited");
            else fact("limits", key, "%llu", (unsigned long long)value);
        }
    }
}

static void show_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        struct stat meta;
        int number = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || number == dirfd(folder) || fstat(number, &meta)) continue;
        int kind = meta.st_mode & S_IFMT;
        fact("descriptors", entry->d_name, "%s",
             kind == S_IFIFO ? "pipe" : kind == S_IFSOCK ? "socket" : kind == S_IFDIR ? "folder"
             : kind == S_IFCHR ? "device" : kind == S_IFREG ? "file" : "other");
    }
    if (folder) closedir(folder);
}

/* A small file of one line or a few, the line ends as commas. */
static void show_file(const char *section, const char *key, const char *path) {
    char text[1024];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length < 0) {
        fact(section, key, "-%s", errno_name(errno));
    } else {
        text[length] = 0;
        while (length > 0 && strchr("\n ", text[length - 1])) text[--length] = 0;
        char *from = text, *to = text;
        for (; *from; from++) {
            char c = *from == '\n' ? ',' : *from == '\t' ? ' ' : *from;
            if (c == ' ' && (to == text || to[-1] == ' ' || to[-1] == ',')) continue;
            *to++ = c;
        }
        *to = 0;
        fact(section, key, "%s", text);
    }
    if (file >= 0) close(file);
}

static void show_settings(void) {
    static const char *const names[] = {
        "kernel/hostname", "kernel/domainname", "kernel/shmmax", "kernel/shmall", "kernel/shmmni", "kernel/shm_rmid_forced",
        "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "fs/mqueue/msg_max",
        "fs/mqueue/msgsize_max", "fs/mqueue/queues_max", "net/ipv4/ip_unprivileged_port_start", "net/ipv4/ping_group_range",
        "net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "net/ipv4/conf/all/accept_redirects",
        "net/ipv4/conf/all/accept_source_route", "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/all/send_redirects",
        "net/ipv4/tcp_syncookies", "net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/all/accept_ra",
        "net/ipv6/conf/all/forwarding", "net/core/somaxconn",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "/proc/sys/%s", names[i]);
        show_file("settings", names[i], path);
    }
}

static int processes(void) {
    int count = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) count += atoi(entry->d_name) > 0;
    if (folder) closedir(folder);
    return count;
}

void show_process(void) {
    show_descriptors();
    show_status();
    show_limits();
    show_settings();
    for (char **variable = environ; *variable; variable++) {
        char *equals = strchr(*variable, '=');
        char name[128];
        snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - *variable) : 100, *variable);
        fact("variables", name, "%s", equals ? equals + 1 : "");
    }
    char link[4096];
    ssize_t length = readlink("/proc/self/exe", link, sizeof link - 1);
    fact("process", "exe", "%.*s", length < 0 ? 0 : (int)length, link);
    length = readlink("/proc/self/cwd", link, sizeof link - 1);
    fact("process", "cwd", "%.*s", length < 0 ? 0 : (int)length, link);
    show_file("process", "oom_score_adj", "/proc/self/oom_score_adj");
    show_file("process", "label", "/proc/self/attr/current");
    show_file("process", "coredump_filter", "/proc/self/coredump_filter");
    show_file("process", "uid_map", "/proc/self/uid_map");
    show_file("process", "gid_map", "/proc/self/gid_map");
    show_file("process", "setgroups", "/proc/self/setgroups");
    fact("process", "pid", "%d", getpid());
    fact("process", "session-leader", "%s", getsid(0) == getpid() ? "yes" : "no");
    fact("process", "processes", "%d", processes());
    fact("process", "dumpable", "%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    fact("process", "securebits", "%d", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
    fact("process", "keep-capabilities", "%d", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
    fact("process", "nice", "%d", getpriority(PRIO_PROCESS, 0));
    fact("process", "scheduler", "%d", sched_getscheduler(0));
    fact("process", "io-priority", "%ld", syscall(SYS_ioprio_get, 1, 0));
}

void show_namespaces(int count, char **hosts) {
    static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64], own[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        ssize_t length = readlink(path, own, sizeof own - 1);
        if (length < 0) continue;
        own[length] = 0;
        const char *whose = "unknown";
        for (int host = 0; host < count; host++) {
            size_t size = strlen(names[i]);
            if (strncmp(hosts[host], names[i], size) || hosts[host][size] != '=') continue;
            whose = strstr(own, hosts[host] + size + 1) ? "the-host's" : "own";
        }
        fact("namespaces", names[i], "%s", whose);
    }
}

/* What only doing it shows: seccomp, capabilities, mounts and the kernel's own rules together. Each is tried in a child, and
   is chosen so that success changes nothing that outlives the child or the container. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "probe.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef SYS_userfaultfd
#define SYS_userfaultfd 323
#endif
#define USER_MODE_ONLY 1 /* UFFD_USER_MODE_ONLY */

static const char FILE_OF_ITS_OWN[] = "/tmp/probe-file";

/* A call's answer as an errno, 0 for success. */
static int gives(long answer) { return answer < 0 ? errno : 0; }

static int unshare_flag(const void *flag) { return gives(unshare(*(const int *)flag)); }

static int clone_user(const void *unused) {
    (void)unused;
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return gives(child);
}

static int clone3_plain(const void *unused) {
    (void)unused;
    struct clone_args args = {.exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0) _exit(0);
    return gives(child);
}

static int enter_own_network(const void *unused) {
    (void)unused;
    return gives(setns(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), CLONE_NEWNET));
}

static int mount_tmpfs(const void *unused) {
    (void)unused;
    if (mount("probe", "/mnt", "tmpfs", 0, NULL)) return errno;
    umount2("/mnt", MNT_DETACH);
    return 0;
}

static int mount_proc(const void *unused) {
    (void)unused;
    if (mount("probe", "/mnt", "proc", 0, NULL)) return errno;
    umount2("/mnt", MNT_DETACH);
    return 0;
}

static int remount_sys(const void *unused) {
    (void)unused;
    return gives(mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int unmount_settings(const void *unused) {
    (void)unused;
    return gives(umount2("/proc/sys", MNT_DETACH));
}

static int open_tree_of_root(const void *unused) {
    (void)unused;
    return gives(syscall(428 /* open_tree */, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */));
}

static int fsopen_tmpfs(const void *unused) {
    (void)unused;
    return gives(syscall(430 /* fsopen */, "tmpfs", 0));
}

static int new_root(const void *unused) {
    (void)unused;
    return gives(chroot("/"));
}

static int set_host_name(const void *unused) {
    (void)unused;
    char name[256];
    return gethostname(name, sizeof name) ? errno : gives(sethostname(name, strlen(name)));
}

struct kind {
    int family, type, protocol;
};

static int make_socket(const void *kind) {
    const struct kind *wanted = kind;
    return gives(socket(wanted->family, wanted->type, wanted->protocol));
}

static int bind_port_80(const void *unused) {
    (void)unused;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return gives(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
}

/* Sets what is set already. */
static int set_mtu(const void *unused) {
    (void)unused;
    struct ifreq request = {.ifr_name = "lo"};
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(any, SIOCGIFMTU, &request)) return errno;
    return gives(ioctl(any, SIOCSIFMTU, &request));
}

static int load_bpf(const void *unused) {
    (void)unused;
    union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return gives(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

static int count_events(const void *unused) {
    (void)unused;
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_CPU_CLOCK, .exclude_kernel = 1};
    return gives(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

static int fault_handler(const void *flags) { return gives(syscall(SYS_userfaultfd, *(const int *)flags)); }

static int set_up_uring(const void *unused) {
    (void)unused;
    struct io_uring_params parameters = {0};
    return gives(syscall(425 /* io_uring_setup */, 1, &parameters));
}

static int key_session(const void *unused) {
    (void)unused;
    return gives(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
}

static int key_join(const void *unused) {
    (void)unused;
    return gives(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}

static int key_add(const void *unused) {
    (void)unused;
    return gives(syscall(SYS_add_key, "user", "probe", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

static int key_request(const void *unused) {
    (void)unused;
    return gives(syscall(SYS_request_key, "user", "probe", NULL, 0));
}

/* Rights are looked at before the handle, which names nothing. */
static int open_by_handle(const void *unused) {
    (void)unused;
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + 8];
    } name = {.handle.handle_bytes = 8, .handle.handle_type = 1};
    return gives(open_by_handle_at(open("/", O_RDONLY | O_CLOEXEC), &name.handle, O_RDONLY));
}

/* A child that waits, in which `what` is tried from outside. */
static int on_child(int (*what)(pid_t)) {
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    int answer = child < 0 ? errno : what(child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return answer;
}

static int attach_to(pid_t child) { return gives(ptrace(PTRACE_ATTACH, child, NULL, NULL)); }
static int trace_child(const void *unused) { (void)unused; return on_child(attach_to); }

static int read_from(pid_t child) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)(size_t)FILE_OF_ITS_OWN, 1};
    return gives(process_vm_readv(child, &here, 1, &there, 1, 0));
}
static int read_child(const void *unused) { (void)unused; return on_child(read_from); }

static int compare_with(pid_t child) { return gives(syscall(SYS_kcmp, getpid(), child, 1, 0, 0)); }
static int compare_child(const void *unused) { (void)unused; return on_child(compare_with); }

static int take_from(pid_t child) {
    return gives(syscall(438 /* pidfd_getfd */, syscall(434 /* pidfd_open */, child, 0), 0, 0));
}
static int take_descriptor(const void *unused) { (void)unused; return on_child(take_from); }

static int io_level(const void *unused) { (void)unused; return gives(iopl(3)); }
static int io_port(const void *unused) { (void)unused; return gives(ioperm(0x80, 1, 1)); }
static int kernel_log_size(const void *unused) { (void)unused; return gives(klogctl(10, NULL, 0)); }

static int kernel_log_read(const void *unused) {
    (void)unused;
    char text[64];
    return gives(klogctl(3, text, sizeof text));
}

static int be_nicer(const void *unused) { (void)unused; return gives(setpriority(PRIO_PROCESS, 0, -1)); }

static int be_real_time(const void *unused) {
    (void)unused;
    struct sched_param parameters = {.sched_priority = 1};
    return gives(sched_setscheduler(0, SCHED_FIFO, &parameters));
}

static int io_real_time(const void *unused) { (void)unused; return gives(syscall(SYS_ioprio_set, 1, 0, 1 << 13)); }

static int raise_limit(const void *unused) {
    (void)unused;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return errno;
    limit.rlim_max++;
    return gives(setrlimit(RLIMIT_NOFILE, &limit));
}

static int score_below(const void *unused) {
    (void)unused;
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    return file < 0 ? errno : gives(write(file, "-500", 4));
}

static int own_file(void) { return open(FILE_OF_ITS_OWN, O_RDWR | O_CREAT | O_CLOEXEC, 0600); }

static int trusted_attribute(const void *unused) {
    (void)unused;
    return gives(fsetxattr(own_file(), "trusted.probe", "1", 1, 0));
}

static int file_capability(const void *unused) {
    (void)unused;
    static const unsigned value[5] = {0x02000000, 1, 0, 0, 0}; /* VFS_CAP_REVISION_2, CAP_CHOWN */
    return gives(fsetxattr(own_file(), "security.capability", value, sizeof value, 0));
}

static int immutable(const void *unused) {
    (void)unused;
    int flags = 0, file = own_file();
    if (ioctl(file, FS_IOC_GETFLAGS, &flags)) return errno;
    flags |= FS_IMMUTABLE_FL;
    if (ioctl(file, FS_IOC_SETFLAGS, &flags)) return errno;
    flags &= ~FS_IMMUTABLE_FL;
    return gives(ioctl(file, FS_IOC_SETFLAGS, &flags));
}

static int give_away(const void *unused) { (void)unused; return gives(fchown(own_file(), 1000, 1000)); }
static int set_user_bit(const void *unused) { (void)unused; return gives(fchmod(own_file(), 04755)); }
static int change_user(const void *unused) { (void)unused; return gives(setuid(1000)); }
static int persona(const void *flags) { return gives(syscall(SYS_personality, *(const unsigned long *)flags)); }
static int swap_nothing(const void *unused) { (void)unused; return gives(swapon("/no-such-file", 0)); }
static int no_module(const void *unused) { (void)unused; return gives(syscall(SYS_init_module, NULL, 0L, "")); }
/* Rights are looked at before the magic numbers, which these are not. */
static int no_reboot(const void *unused) { (void)unused; return gives(syscall(SYS_reboot, 1, 2, 0, NULL)); }
static int watch_files(const void *unused) { (void)unused; return gives(syscall(SYS_fanotify_init, 0, O_RDONLY)); }
static int device_node(const void *unused) { (void)unused; return gives(mknod("/tmp/probe-made", S_IFCHR | 0600, 0x103)); }
static int fifo(const void *unused) { (void)unused; return gives(mknod("/tmp/probe-made", S_IFIFO | 0600, 0)); }
static int write_root(const void *unused) { (void)unused; return gives(creat("/probe-made", 0600)); }

void show_attempts(void) {
    static const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWTIME};
    static const int fault_flags[] = {0, USER_MODE_ONLY};
    static const unsigned long personas[] = {ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO};
    static const struct kind kinds[] = {
        {AF_INET, SOCK_RAW, 1}, {AF_PACKET, SOCK_RAW, 0}, {AF_INET, SOCK_DGRAM, 1}, {AF_NETLINK, SOCK_RAW, 0},
        {AF_NETLINK, SOCK_RAW, 9}, {38, SOCK_SEQPACKET, 0}, {40, SOCK_STREAM, 0}, {AF_KEY, SOCK_RAW, 2}, {44, SOCK_RAW, 0},
    };
    static const struct {
        const char *name;
        int (*what)(const void *);
        const void *argument;
    } attempts[] = {
        {"unshare-user", unshare_flag, &flags[0]}, {"unshare-mount", unshare_flag, &flags[1]},
        {"unshare-network", unshare_flag, &flags[2]}, {"unshare-pid", unshare_flag, &flags[3]},
        {"unshare-ipc", unshare_flag, &flags[4]}, {"unshare-uts", unshare_flag, &flags[5]},
        {"unshare-cgroup", unshare_flag, &flags[6]}, {"unshare-time", unshare_flag, &flags[7]},
        {"clone-user", clone_user, NULL}, {"clone3", clone3_plain, NULL}, {"setns-own-network", enter_own_network, NULL},
        {"mount-tmpfs", mount_tmpfs, NULL}, {"mount-proc", mount_proc, NULL}, {"remount-sys-writable", remount_sys, NULL},
        {"unmount-proc-sys", unmount_settings, NULL}, {"open_tree", open_tree_of_root, NULL}, {"fsopen", fsopen_tmpfs, NULL},
        {"chroot", new_root, NULL}, {"sethostname", set_host_name, NULL},
        {"socket-inet-raw", make_socket, &kinds[0]}, {"socket-packet", make_socket, &kinds[1]},
        {"socket-ping", make_socket, &kinds[2]}, {"socket-netlink-route", make_socket, &kinds[3]},
        {"socket-netlink-audit", make_socket, &kinds[4]}, {"socket-alg", make_socket, &kinds[5]},
        {"socket-vsock", make_socket, &kinds[6]}, {"socket-key", make_socket, &kinds[7]}, {"socket-xdp", make_socket, &kinds[8]},
        {"bind-port-80", bind_port_80, NULL}, {"set-mtu", set_mtu, NULL}, {"bpf", load_bpf, NULL},
        {"perf_event_open", count_events, NULL}, {"userfaultfd", fault_handler, &fault_flags[0]},
        {"userfaultfd-user-mode", fault_handler, &fault_flags[1]}, {"io_uring_setup", set_up_uring, NULL},
        {"keyctl-session", key_session, NULL}, {"keyctl-join", key_join, NULL}, {"add_key", key_add, NULL},
        {"request_key", key_request, NULL}, {"open_by_handle_at", open_by_handle, NULL}, {"ptrace-own-child", trace_child, NULL},
        {"process_vm_readv-own-child", read_child, NULL}, {"kcmp-own-child", compare_child, NULL},
        {"pidfd_getfd-own-child", take_descriptor, NULL}, {"iopl", io_level, NULL}, {"ioperm", io_port, NULL},
        {"syslog-size", kernel_log_size, NULL}, {"syslog-read", kernel_log_read, NULL}, {"nice-below-0", be_nicer, NULL},
        {"real-time", be_real_time, NULL}, {"io-real-time", io_real_time, NULL}, {"raise-limit", raise_limit, NULL},
        {"oom-score-below", score_below, NULL}, {"trusted-attribute", trusted_attribute, NULL},
        {"file-capability", file_capability, NULL}, {"immutable-file", immutable, NULL}, {"chown", give_away, NULL},
        {"setuid-bit", set_user_bit, NULL}, {"setuid", change_user, NULL}, {"personality-no-randomize", persona, &personas[0]},
        {"personality-read-implies-exec", persona, &personas[1]}, {"personality-page-zero", persona, &personas[2]},
        {"swapon", swap_nothing, NULL}, {"init_module", no_module, NULL}, {"reboot", no_reboot, NULL},
        {"fanotify_init", watch_files, NULL}, {"mknod-device", device_node, NULL}, {"mknod-fifo", fifo, NULL},
        {"write-root", write_root, NULL},
    };
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        fact("attempts", attempts[i].name, "%s", in_child(attempts[i].what, attempts[i].argument));
        unlink(FILE_OF_ITS_OWN);
        unlink("/tmp/probe-made");
        unlink("/probe-made");
    }
}

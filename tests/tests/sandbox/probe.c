/* Makes system calls that a container may not make, each in a child of its own, and prints what they answered:
   one line "ABI NAME ERRNO", with 0 for success and "signal" for a child that was killed. The arguments are bad in such
   a way that the kernel itself would answer something else than EPERM to a process of any rights. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum abi { NATIVE, I386, X32 };

struct call { enum abi abi; const char *name; long number, a, b, c; };

static const struct call calls[] = {
    {NATIVE, "unshare", SYS_unshare, 0, 0, 0},
    {NATIVE, "mount", SYS_mount, 1, 1, 1},
    {NATIVE, "keyctl", SYS_keyctl, 9999, 0, 0},
    {NATIVE, "add_key", SYS_add_key, 1, 1, 1},
    {NATIVE, "bpf", SYS_bpf, 0, 1, 1 << 20},
    {NATIVE, "setns", SYS_setns, -1, 0, 0},
    {NATIVE, "pivot_root", SYS_pivot_root, 1, 1, 0},
    {NATIVE, "open_by_handle_at", SYS_open_by_handle_at, -1, 1, 0},
    {NATIVE, "io_uring_setup", 425, 0, 1, 0},
    {NATIVE, "userfaultfd", SYS_userfaultfd, -1, 0, 0},
    {NATIVE, "perf_event_open", SYS_perf_event_open, 1, 0, 0},
    {NATIVE, "personality", SYS_personality, 0x40000, 0, 0},
    {NATIVE, "clone-newuser", SYS_clone, 0x10000000 | 17, 0, 0},
    {NATIVE, "socket-alg", SYS_socket, 38, 5, 0},
    {NATIVE, "socket-vsock", SYS_socket, 40, 1, 0},
    {NATIVE, "clone3", 435, 1, 0, 0},
    {I386, "unshare", 310, 0, 0, 0},
    {I386, "mount", 21, 1, 1, 1},
    {I386, "keyctl", 288, 9999, 0, 0},
    {I386, "setns", 346, -1, 0, 0},
    {I386, "clone3", 435, 1, 0, 0},
    {X32, "unshare", 0x40000000 | SYS_unshare, 0, 0, 0},
    {X32, "keyctl", 0x40000000 | SYS_keyctl, 9999, 0, 0},
};

static long make(const struct call *call) {
    long result;
    if (call->abi != I386) {
        result = syscall(call->number, call->a, call->b, call->c, 0L, 1L);
        return result < 0 ? errno : 0;
    }
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(call->number), "b"(call->a), "c"(call->b), "d"(call->c), "S"(0L), "D"(1L)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result < 0 ? -(int)result : 0;
}

int main(void) {
    static const char *const names[] = {"native", "i386", "x32"};
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct call *call = &calls[i];
        int status = 0;
        pid_t child = fork();
        if (child == 0) _exit((int)make(call));
        if (child < 0 || waitpid(child, &status, 0) != child) return 1;
        printf("%s %s ", names[call->abi], call->name);
        if (WIFEXITED(status)) printf("%d\n", WEXITSTATUS(status));
        else printf("signal\n");
        fflush(stdout);
    }
    return 0;
}

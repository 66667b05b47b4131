/* Asks the seccomp filter that it runs under for its verdict on every system call number of three ABIs, and makes none of
   those calls: a filter of its own, on top, hands each call that the other one lets pass to a supervisor, which refuses it
   with an errno that nothing else uses. So the answer is the filter's alone, whatever the kernel's age, and exit, reboot or
   pause do no harm. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { LAST = 600, X32_BIT = 0x40000000, PASSED = EUCLEAN };

/* What the sixth argument of a call is by which the filter on top knows it. */
#define MAGIC 0x5ecc0b5eL

int call_i386(unsigned number, unsigned argument, unsigned magic);
__asm__(".globl call_i386\n"
        "call_i386:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    mov %edx, %ebp\n"
        "    mov %edi, %eax\n"
        "    mov %esi, %ebx\n"
        "    mov %esi, %ecx\n"
        "    mov %esi, %edx\n"
        "    mov %esi, %edi\n"
        "    int $0x80\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n");

/* The magic must not stay where the next call of the C library would be taken for it. */
long call_64(long number, long argument, long magic);
__asm__(".globl call_64\n"
        "call_64:\n"
        "    mov %rdx, %r9\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    mov %rsi, %rdx\n"
        "    mov %rsi, %r10\n"
        "    mov %rsi, %r8\n"
        "    syscall\n"
        "    xor %r9d, %r9d\n"
        "    ret\n");

static int answer(int abi, long number, long argument) {
    if (abi == 1) return -call_i386((unsigned)number, (unsigned)argument, (unsigned)MAGIC);
    if (abi == 2) number |= X32_BIT;
    return (int)-call_64(number, argument, MAGIC);
}

/* A call in a child of its own. */
static const char *verdict(int abi, long number, long argument) {
    /* uretprobe and uprobe: kernels that have them (6.11, 6.18) show them to no filter (335 is always made for good). */
    if (abi == 0 && (number == 335 || number == 336)) return "unasked";
    static char texts[2][32];
    static int turn;
    char *text = texts[turn = !turn];
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(answer(abi, number, argument));
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return "no child";
    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) == SIGSYS) return "kill";
        snprintf(text, sizeof texts[0], "signal-%d", WTERMSIG(status));
        return text;
    }
    switch (WEXITSTATUS(status)) {
    case PASSED: return "allow";
    case EPERM: return "EPERM";
    case ENOSYS: return "ENOSYS";
    }
    snprintf(text, sizeof texts[0], "errno-%d", WEXITSTATUS(status));
    return text;
}

/* The descriptor of the supervisor's side, or -1. */
static int filter_on_top(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAGIC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void supervise(int listener) {
    for (;;) {
        struct seccomp_notif request;
        struct seccomp_notif_resp response;
        memset(&request, 0, sizeof request);
        memset(&response, 0, sizeof response);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request)) {
            if (errno == EINTR || errno == ENOENT) continue;
            _exit(1);
        }
        response.id = request.id;
        response.error = -PASSED;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}

/* What ABI number 0, 1, 2 is called. */
static const char *const NAMES[] = {"x86_64", "i386", "x32"};

/* Puts the filter on top, and starts who answers for it; gives that process, or -1. */
static pid_t begin(void) {
    int listener = filter_on_top();
    if (listener < 0) {
        perror("seccomp");
        return -1;
    }
    pid_t supervisor = fork();
    if (supervisor == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        supervise(listener);
    }
    return supervisor;
}

static int end(pid_t supervisor) {
    kill(supervisor, SIGKILL);
    return waitpid(supervisor, NULL, 0) != supervisor;
}

int ask_i386(void) { return call_i386(20 /* getpid */, 0, 0) != getpid(); }

/* The table: "ABI FIRST-LAST VERDICT VERDICT", numbers with the same two verdicts in one line; the first verdict is for
   arguments that are all 0, the second for arguments of which every bit is set. */
int ask_numbers(void) {
    pid_t supervisor = begin();
    if (supervisor < 0) return 1;
    for (int abi = 0; abi < 3; abi++) {
        char run[80] = "";
        long first = 0;
        for (long number = 0; number <= LAST + 1; number++) {
            char line[80] = "";
            if (number <= LAST) snprintf(line, sizeof line, "%s %s", verdict(abi, number, 0), verdict(abi, number, -1));
            if (number > 0 && strcmp(line, run)) {
                printf("%s %ld-%ld %s\n", NAMES[abi], first, number - 1, run);
                first = number;
            }
            strcpy(run, line);
        }
    }
    return end(supervisor);
}

/* The calls whose verdict hangs on an argument: "ABI-NAME VALUE VERDICT". */
int ask_arguments(void) {
    static const struct {
        const char *name;
        long number[3];
    } calls[] = {{"socket", {41, 359, 41}}, {"clone", {56, 120, 56}}, {"personality", {135, 136, 135}}};
    pid_t supervisor = begin();
    if (supervisor < 0) return 1;
    for (int abi = 0; abi < 3; abi++) {
        for (int call = 0; call < 3; call++) {
            char name[32];
            snprintf(name, sizeof name, "%s-%s", NAMES[abi], calls[call].name);
            /* Families by number; flags and personalities bit by bit, and all 32 bits at the end. */
            for (int step = 0; step < (call == 0 ? 64 : 33); step++) {
                long value = call == 0 ? step : step == 32 ? 0xffffffff : 1L << step;
                char key[32];
                snprintf(key, sizeof key, call == 0 ? "%ld" : "%#lx", value);
                fact(name, key, "%s", verdict(abi, calls[call].number[abi], value));
            }
        }
    }
    return end(supervisor);
}

/* The probe: a static program that says what the container it runs in may do and can see, one fact a line. It changes
   nothing that outlives it, and asks rather than does wherever success would have an effect.

   probe [NAMESPACE=NUMBER…]  all facts; the words are the host's namespaces, as /proc/self/ns shows them
   probe calls                only the answers of the seccomp filter, by number
   probe i386                 makes one harmless call through int 0x80 for good, and exits with 0 if it was answered */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

void fact(const char *section, const char *key, const char *format, ...) {
    va_list values;
    va_start(values, format);
    printf("%s %s ", section, key);
    vprintf(format, values);
    putchar('\n');
    va_end(values);
}

const char *errno_name(int number) {
    static char text[24];
    if (number == 0) return "ok";
    const char *name = strerrorname_np(number);
    if (name) return name;
    snprintf(text, sizeof text, "errno-%d", number);
    return text;
}

const char *in_child(int (*what)(const void *), const void *argument) {
    static char text[32];
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(what(argument));
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return "no-child";
    if (WIFEXITED(status)) return errno_name(WEXITSTATUS(status));
    snprintf(text, sizeof text, "signal-%d", WTERMSIG(status));
    return text;
}

/* The filter on top cannot be taken off again: it is for a child. */
static int filtered(const void *which) {
    printf("%s", which ? "" : "[calls]\n");
    int failed = which ? ask_arguments() : ask_numbers();
    if (!which) puts("[end]");
    fflush(stdout);
    return failed ? EIO : 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "i386")) return ask_i386();
    if (argc > 1 && !strcmp(argv[1], "calls")) return ask_numbers();
    /* First: what is open and set now is what the command was given. */
    show_process();
    show_namespaces(argc - 1, argv + 1);
    show_mounts();
    show_groups();
    show_files();
    show_devices();
    show_attempts();
    fact("probe", "calls", "%s", in_child(filtered, NULL));
    fact("probe", "arguments", "%s", in_child(filtered, ""));
    fact("probe", "end", "ok");
    return fflush(stdout) != 0;
}

/* The parts of the probe. See main.c. */
#ifndef PROBE_H
#define PROBE_H

/* One fact, a line: "SECTION KEY VALUE…". Neither section nor key holds a space. */
void fact(const char *section, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The name of an errno, "ok" for 0. */
const char *errno_name(int number);

/* Runs it in a child of its own, with a time limit. It gives an errno, 0 for success; the answer is that in words, or the
   signal that ended the child. */
const char *in_child(int (*what)(const void *), const void *argument);

/* filter.c */
int ask_i386(void);
int ask_numbers(void);
int ask_arguments(void);

/* process.c */
void show_process(void);
void show_namespaces(int count, char **hosts);

/* files.c */
void show_files(void);

/* mounts.c */
void show_mounts(void);
void show_groups(void);

/* devices.c */
void show_devices(void);

/* attempts.c */
void show_attempts(void);

#endif

#include "dial.h"
#include "driver.h"
#include "frame.h"
#include "modes.h"
#include "report.h"

#include "client/message.h"

#include <dormouse/message.h>
#include <errno.h>
#include <fts.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a sleeping contact costs: private memory of the server and disk, before and after; and
 * how long the server takes to come back with all of them. */

enum { STILL_SAMPLES = 3, RETRY_NS = 500 * 1000, START_MAX_S = 600, STILL_BYTES = 256 * 1024 };

struct usage {
    double private_bytes, resident_bytes, disk_bytes;
};

static void pause_ns(long ns)
{
    const struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)nanosleep(&t, NULL);
}

/* ---- what is used ------------------------------------------------------------- */

static double proc_kilobytes(int pid, const char *file, const char *name)
{
    char path[64], line[256];
    double total = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *stream = fopen(path, "re");
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            total += strtod(line + strlen(name), NULL);
        }
    }
    if (stream != NULL) {
        (void)fclose(stream);
    }
    return total;
}

static double folder_bytes(const char *folder)
{
    char copy[4096];
    (void)snprintf(copy, sizeof copy, "%s", folder);
    char *const paths[] = {copy, NULL};
    double bytes = 0;
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *entry; walk != NULL && (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_F) {
            bytes += (double)entry->fts_statp->st_blocks * 512;
        }
    }
    if (walk != NULL) {
        (void)fts_close(walk);
    }
    return bytes;
}

/* Private_Clean of a file's map is memory that the kernel may drop: not counted. */
static struct usage measure(const struct options *options, int pid)
{
    struct usage usage = {0};
    if (pid > 0) {
        usage.private_bytes = proc_kilobytes(pid, "smaps_rollup", "Private_Dirty:") * 1024;
        usage.resident_bytes = proc_kilobytes(pid, "status", "VmRSS:") * 1024;
    }
    if (options->data != NULL) {
        usage.disk_bytes = folder_bytes(options->data);
    }
    return usage;
}

static bool alike(double a, double b)
{
    return a - b < STILL_BYTES && b - a < STILL_BYTES;
}

/* The server works on after its answers; waits until memory and disk stand still. */
static struct usage settle(const struct options *options, int pid)
{
    struct usage last = measure(options, pid);
    int still = 0;
    for (double waited = 0; waited < options->settle_s && still < STILL_SAMPLES; waited++) {
        pause_ns(999999999);
        struct usage now = measure(options, pid);
        bool same =
            alike(now.private_bytes, last.private_bytes) && alike(now.disk_bytes, last.disk_bytes);
        still = same ? still + 1 : 0;
        last = now;
    }
    return last;
}

/* ---- the server ---------------------------------------------------------------- */

static int start_server(const char *command)
{
    size_t size = strlen(command) + 8;
    char *line = malloc(size);
    if (line == NULL) {
        return -1;
    }
    (void)snprintf(line, size, "exec %s", command);
    pid_t pid = fork();
    if (pid == 0) {
        /* Its output is not ours: a JSON line stays alone. */
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        (void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    free(line);
    return pid;
}

static bool server_runs(int pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static double stop_server(int pid)
{
    uint64_t begin = now_ns();
    (void)kill(pid, SIGTERM);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return (double)(now_ns() - begin) / 1e9;
}

/* One Check over a fresh connection; true when it was answered with OK. */
static bool check_once(const struct options *options)
{
    int fd = dial(options->connect);
    if (fd < 0) {
        return false;
    }
    struct dm_buf frame = {0}, payload = {0};
    struct dormouse_check key = {.account_id = {"a0000000", ACCOUNT_SIZE},
                                 .contact_id = {"probe", 5}};
    uint8_t answer[FRAME_HEADER + 1];
    bool ok = dm_message_encode(&payload, &dm_check_message, &key) &&
              frame_append(&frame, 1, "Check", dm_buf_slice(&payload)) &&
              send(fd, dm_buf_head(&frame), dm_buf_size(&frame), MSG_NOSIGNAL) ==
                  (ssize_t)dm_buf_size(&frame) &&
              recv(fd, answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer &&
              answer[FRAME_HEADER] == 0x12; /* a payload, no status */
    (void)close(fd);
    dm_buf_finish(&frame);
    dm_buf_finish(&payload);
    return ok;
}

/* Seconds until the first answered Check; negative: it did not come. */
static double await_server(const struct options *options, int pid, uint64_t begin)
{
    while (!check_once(options)) {
        double waited = (double)(now_ns() - begin) / 1e9;
        if (waited > START_MAX_S || (pid > 0 && !server_runs(pid))) {
            return -1;
        }
        pause_ns(RETRY_NS);
    }
    return (double)(now_ns() - begin) / 1e9;
}

/* ---- the mode ------------------------------------------------------------------ */

static void tell_usage(struct report *report, const char *when, const struct usage *usage,
                       const struct options *options, int pid)
{
    char key[64];
    if (pid > 0) {
        (void)snprintf(key, sizeof key, "private_bytes_%s", when);
        report_number(report, key, usage->private_bytes);
        (void)snprintf(key, sizeof key, "resident_bytes_%s", when);
        report_number(report, key, usage->resident_bytes);
    }
    if (options->data != NULL) {
        (void)snprintf(key, sizeof key, "disk_bytes_%s", when);
        report_number(report, key, usage->disk_bytes);
    }
}

/* Stops and starts the server; tells how long each took. Returns the new pid, -1 if it failed. */
static int restart(const struct options *options, int pid, struct report *report)
{
    report_number(report, "stop_s", stop_server(pid));
    uint64_t begin = now_ns();
    pid = start_server(options->server);
    double start_s = await_server(options, pid, begin);
    report_number(report, "restart_s", start_s);
    return start_s < 0 ? -1 : pid;
}

static void tell_contacts(struct report *report, const struct options *options, int pid,
                          const struct loaded *loaded, const struct usage *before,
                          const struct usage *after)
{
    double contacts = loaded->contacts == 0 ? 1 : (double)loaded->contacts;
    report_number(report, "contacts", (double)loaded->contacts);
    report_number(report, "over_s", options->over_s);
    report_number(report, "load_s", loaded->seconds);
    tell_usage(report, "before", before, options, pid);
    tell_usage(report, "after", after, options, pid);
    if (pid > 0) {
        report_number(report, "private_bytes_per_contact",
                      (after->private_bytes - before->private_bytes) / contacts);
    }
    if (options->data != NULL) {
        report_number(report, "disk_bytes_per_contact",
                      (after->disk_bytes - before->disk_bytes) / contacts);
    }
}

int sleepers_mode(const struct options *options)
{
    struct keys keys;
    struct loaded loaded;
    struct report report;
    int pid = options->pid;
    uint64_t begin = now_ns();
    if (options->server != NULL) {
        pid = start_server(options->server);
    }
    if (await_server(options, options->server != NULL ? pid : 0, begin) < 0) {
        return complain(options->connect, "no server answers");
    }
    keys_init(&keys, options->contacts, options->accounts, 0, 's', options->seed);
    struct usage before = settle(options, pid);
    bool ok = load_contacts(options, &keys, 1, &loaded);
    struct usage after = settle(options, pid);
    report_begin(&report, options->json, "sleepers");
    tell_contacts(&report, options, pid, &loaded, &before, &after);
    if (options->server != NULL) {
        pid = restart(options, pid, &report);
        ok = ok && pid > 0;
        struct usage fresh = settle(options, pid);
        tell_usage(&report, "restarted", &fresh, options, pid);
        if (pid > 0) {
            (void)stop_server(pid);
        }
    }
    report_end(&report);
    return ok ? 0 : 1;
}

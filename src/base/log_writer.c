#include "base/log_writer.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Lines lie in a ring, one behind the other, each with its size in front. The thread takes out
 * one line at a time and writes it with the mutex free. So a thread that logs waits for a copy
 * at most. The thread may wait for as long as it must: for the reader of a pipe, for a disk.
 *
 * stderr is never made non-blocking: that is a property of the open file, which others (a shell,
 * a supervisor) have from us or we from them.
 *
 * How it fails: what cannot be queued or written is counted, and as soon as there is half of the
 * room again, a line tells how many were lost. */

enum { LINE_SIZE_MAX = 2048, RESERVED = DM_LOG_QUEUE_SIZE / 8 };

_Static_assert(LINE_SIZE_MAX <= UINT16_MAX, "a line's size stands in front of it");
_Static_assert(RESERVED >= 8 * LINE_SIZE_MAX, "errors have room when nothing else has");

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t more, written;
    pthread_t thread;
    bool running, ending, ended, reread;
    int fd;
    struct dm_log_writer_options options;
    uint8_t ring[DM_LOG_QUEUE_SIZE];
    size_t head, used;
    uint64_t queued, done; /* lines */
    uint64_t dropped, told;
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

/* ---- the ring, with the mutex held ------------------------------------------------------- */

static void ring_put(const void *from, size_t size)
{
    size_t at = (writer.head + writer.used) % sizeof writer.ring;
    size_t first = sizeof writer.ring - at < size ? sizeof writer.ring - at : size;
    memcpy(writer.ring + at, from, first);
    memcpy(writer.ring, (const uint8_t *)from + first, size - first);
    writer.used += size;
}

static void ring_take(void *to, size_t size)
{
    size_t first = sizeof writer.ring - writer.head;
    first = first < size ? first : size;
    memcpy(to, writer.ring + writer.head, first);
    memcpy((uint8_t *)to + first, writer.ring, size - first);
    writer.head = (writer.head + size) % sizeof writer.ring;
    writer.used -= size;
}

/* ---- writing ------------------------------------------------------------------------------ */

static bool write_line(int fd, const char *line, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, line, size);
        if (wrote < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        } else if (wrote < 0 && errno != EINTR) {
            return false;
        }
        if (wrote > 0) {
            line += wrote;
            size -= (size_t)wrote;
        }
    }
    return true;
}

void dm_log_writer_put(const char *line, size_t size, bool important)
{
    uint16_t head = (uint16_t)size;
    (void)pthread_mutex_lock(&writer.mutex);
    if (!writer.running) {
        writer.dropped += write_line(writer.fd, line, size) ? 0 : 1;
        (void)pthread_mutex_unlock(&writer.mutex);
        return;
    }
    size_t room = sizeof writer.ring - (important ? 0 : RESERVED);
    if (size > LINE_SIZE_MAX || writer.used + sizeof head + size > room) {
        writer.dropped++;
    } else {
        ring_put(&head, sizeof head);
        ring_put(line, size);
        writer.queued++;
        (void)pthread_cond_signal(&writer.more);
    }
    (void)pthread_mutex_unlock(&writer.mutex);
}

uint64_t dm_log_writer_dropped(void)
{
    (void)pthread_mutex_lock(&writer.mutex);
    uint64_t dropped = writer.dropped;
    (void)pthread_mutex_unlock(&writer.mutex);
    return dropped;
}

/* ---- the files ---------------------------------------------------------------------------- */

/* A pipe that nobody reads is an error, and is not waited for. */
static int open_file(const char *path)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, flags, 0600);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        fd = -1;
    }
    return fd;
}

static void reopen(void)
{
    int fd = open_file(writer.options.file);
    if (fd < 0) {
        writer.options.told.kept(writer.options.file, strerror(errno));
        return;
    }
    (void)close(writer.fd);
    writer.fd = fd;
    writer.options.told.opened(writer.options.file);
}

/* ---- the thread --------------------------------------------------------------------------- */

/* With the mutex held, as below; it is free meanwhile. False: the line is lost. */
static bool write_next(void)
{
    char line[LINE_SIZE_MAX];
    uint16_t size;
    ring_take(&size, sizeof size);
    ring_take(line, size);
    (void)pthread_mutex_unlock(&writer.mutex);
    bool ok = write_line(writer.fd, line, size);
    (void)pthread_mutex_lock(&writer.mutex);
    writer.dropped += ok ? 0 : 1;
    writer.done++;
    (void)pthread_cond_broadcast(&writer.written);
    return ok;
}

static void tell_of_dropped(void)
{
    uint64_t total = writer.dropped;
    uint64_t count = total - writer.told;
    writer.told = total;
    (void)pthread_mutex_unlock(&writer.mutex);
    writer.options.told.dropped(count, total);
    (void)pthread_mutex_lock(&writer.mutex);
}

static void *run(void *context)
{
    (void)pthread_mutex_lock(&writer.mutex);
    while (!writer.ending || writer.used != 0) {
        if (writer.reread) {
            writer.reread = false;
            (void)pthread_mutex_unlock(&writer.mutex);
            writer.options.told.hangup();
            if (writer.options.file != NULL) {
                reopen();
            }
            (void)pthread_mutex_lock(&writer.mutex);
        } else if (writer.used == 0) {
            (void)pthread_cond_wait(&writer.more, &writer.mutex);
        } else if (write_next() && writer.dropped != writer.told &&
                   writer.used < sizeof writer.ring / 2) {
            tell_of_dropped();
        }
    }
    writer.ended = true;
    (void)pthread_cond_broadcast(&writer.written);
    (void)pthread_mutex_unlock(&writer.mutex);
    return context;
}

enum dm_code dm_log_writer_start(const struct dm_log_writer_options *options,
                                 struct dm_error *error)
{
    int fd = options->file == NULL ? STDERR_FILENO : open_file(options->file);
    if (fd < 0) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot open the log file %s: %s", options->file,
                       errno == ENXIO ? "nobody reads this pipe" : strerror(errno));
    }
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&writer.more, NULL);
    (void)pthread_cond_init(&writer.written, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    writer.options = *options;
    writer.fd = fd;
    writer.head = writer.used = 0;
    writer.queued = writer.done = 0;
    writer.ending = writer.ended = writer.reread = false;
    writer.running = pthread_create(&writer.thread, NULL, run, NULL) == 0;
    return writer.running ? DM_OK
                          : dm_fail(error, DM_UNAVAILABLE, "cannot start a thread for the log");
}

void dm_log_writer_reread(void)
{
    (void)pthread_mutex_lock(&writer.mutex);
    writer.reread = true;
    if (writer.running) {
        (void)pthread_cond_signal(&writer.more);
    }
    (void)pthread_mutex_unlock(&writer.mutex);
}

/* With the mutex held. False: it took too long. */
static bool await(bool (*reached)(uint64_t line), uint64_t line)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += DM_LOG_FLUSH_MS / 1000;
    while (!reached(line)) {
        if (pthread_cond_timedwait(&writer.written, &writer.mutex, &end) != 0) {
            return reached(line);
        }
    }
    return true;
}

static bool is_written(uint64_t line)
{
    return writer.done >= line;
}

static bool has_ended(uint64_t line)
{
    (void)line;
    return writer.ended;
}

void dm_log_writer_flush(void)
{
    (void)pthread_mutex_lock(&writer.mutex);
    if (writer.running && !pthread_equal(pthread_self(), writer.thread)) {
        (void)await(is_written, writer.queued);
    }
    (void)pthread_mutex_unlock(&writer.mutex);
}

void dm_log_writer_stop(void)
{
    (void)pthread_mutex_lock(&writer.mutex);
    if (!writer.running) {
        (void)pthread_mutex_unlock(&writer.mutex);
        return;
    }
    writer.ending = true;
    (void)pthread_cond_signal(&writer.more);
    bool ended = await(has_ended, 0);
    writer.running = !ended; /* a thread that is stuck keeps what it has, to the process's end */
    (void)pthread_mutex_unlock(&writer.mutex);
    if (!ended) {
        (void)pthread_detach(writer.thread);
        return;
    }
    (void)pthread_join(writer.thread, NULL);
    if (writer.fd != STDERR_FILENO) {
        (void)close(writer.fd);
        writer.fd = STDERR_FILENO;
    }
}

bool dm_log_writer_running(void)
{
    (void)pthread_mutex_lock(&writer.mutex);
    bool running = writer.running;
    (void)pthread_mutex_unlock(&writer.mutex);
    return running;
}

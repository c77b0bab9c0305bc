/* How late Redis tells that keys have expired: sets keys that are due within a window,
 * subscribes to their expired events, and reads meanwhile, as `dormouse-bench wakes` does
 * it with contacts. A lag counts to the event's arrival here. One that did not come counts
 * with the time that was waited: less than its true lag.
 *
 *   peer_expiry_client PORT DUE WITHIN_S START_IN_S GETS_A_SECOND PATIENCE_S
 *
 * One JSON line on stdout. The server wants notify-keyspace-events Ex. */

#include "base/histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 1000,
    COMMAND_MAX = 128,
    IN_SIZE = 1 << 20,
    DIGITS = 10,
    OK_SIZE = 5, /* "+OK\r\n" */
    GETS_UNDER_WAY = 4096,
};

static const char subscribe[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$22\r\n__keyevent@0__:expired\r\n";
static const char event_head[] = "*3\r\n$7\r\nmessage\r\n$22\r\n__keyevent@0__:expired\r\n"
                                 "$14\r\ndue:";
enum { HEAD_SIZE = sizeof event_head - 1, EVENT_SIZE = HEAD_SIZE + DIGITS + 2 };

struct run {
    uint32_t due, step;
    double within_s, gets_a_second, patience_s;
    int64_t first_due_ms;
    int events, commands;
    char *in; /* of events */
    size_t kept;
    uint8_t *seen;
    uint64_t arrived, twice, early, gets, gets_asked;
    char *gets_in;
    bool last_line; /* of an answer: a nil has one line, a value two */
    struct dm_histogram lag_ms;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "peer_expiry_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t wall_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0) {
            die("send");
        }
        bytes += sent;
        size -= (size_t)sent;
    }
}

/* Key i is due at a time that follows from i, in an order by chance. */
static int64_t due_of(const struct run *run, uint64_t key)
{
    uint64_t place = key * run->step % run->due;
    return run->first_due_ms + (int64_t)((double)place * run->within_s * 1000 / run->due);
}

/* ---- loading ----------------------------------------------------------------------------- */

static void expect_oks(int fd, uint32_t count)
{
    static char in[BATCH * OK_SIZE];
    size_t want = (size_t)count * OK_SIZE;
    for (size_t got = 0; got < want;) {
        ssize_t more = recv(fd, in + got, want - got, 0);
        if (more <= 0) {
            die("recv");
        }
        got += (size_t)more;
    }
    for (size_t at = 0; at < want; at += OK_SIZE) {
        if (memcmp(in + at, "+OK\r\n", OK_SIZE) != 0) {
            errno = EPROTO;
            die("a SET was refused");
        }
    }
}

static void load(struct run *run)
{
    char *out = malloc((size_t)BATCH * COMMAND_MAX);
    if (out == NULL) {
        die("memory");
    }
    for (uint32_t at = 0; at < run->due;) {
        size_t size = 0;
        uint32_t count = 0;
        for (; count < BATCH && at < run->due; count++, at++) {
            size += (size_t)snprintf(out + size, COMMAND_MAX,
                                     "*5\r\n$3\r\nSET\r\n$14\r\ndue:%010u\r\n$1\r\n1\r\n"
                                     "$4\r\nPXAT\r\n$13\r\n%013lld\r\n",
                                     at, (long long)due_of(run, at));
        }
        send_all(run->commands, out, size);
        expect_oks(run->commands, count);
    }
    free(out);
}

/* ---- while they expire ---------------------------------------------------------------------- */

static void on_event(struct run *run, const char *event, int64_t now)
{
    uint64_t key = 0;
    if (memcmp(event, event_head, HEAD_SIZE) != 0) {
        errno = EPROTO;
        die("an event of something else");
    }
    for (int i = 0; i < DIGITS; i++) {
        key = key * 10 + (uint64_t)(event[HEAD_SIZE + i] - '0');
    }
    if (key >= run->due) {
        return;
    }
    int64_t due = due_of(run, key);
    run->twice += run->seen[key];
    run->arrived += run->seen[key] == 0;
    run->seen[key] = 1;
    run->early += now < due;
    dm_histogram_add(&run->lag_ms, now > due ? (uint64_t)(now - due) : 0);
}

static void take_events(struct run *run)
{
    ssize_t got = recv(run->events, run->in + run->kept, IN_SIZE - run->kept, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        die("the subscription ended");
    }
    size_t size = run->kept + (size_t)got, at = 0;
    int64_t now = wall_ms();
    for (; size - at >= EVENT_SIZE; at += EVENT_SIZE) {
        on_event(run, run->in + at, now);
    }
    run->kept = size - at;
    memmove(run->in, run->in + at, run->kept);
}

/* Values are one byte, so an answer is "$1\r\n1\r\n" or "$-1\r\n". */
static void take_gets(struct run *run)
{
    ssize_t got = recv(run->commands, run->gets_in, IN_SIZE, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        die("recv");
    }
    for (ssize_t i = 0; i < got; i++) {
        char c = run->gets_in[i];
        if (c == '-') {
            run->last_line = true; /* nil: this line is all */
        } else if (c == '\n') {
            run->gets += run->last_line;
            run->last_line = !run->last_line;
        }
    }
}

static void ask_gets(struct run *run, int64_t elapsed_ms)
{
    static char out[BATCH * COMMAND_MAX];
    uint64_t wanted = (uint64_t)((double)elapsed_ms * run->gets_a_second / 1000);
    size_t size = 0;
    for (uint32_t i = 0;
         i < BATCH && run->gets_asked < wanted && run->gets_asked - run->gets < GETS_UNDER_WAY;
         i++) {
        uint64_t key = run->gets_asked++ * 2654435761U % run->due;
        size +=
            (size_t)snprintf(out + size, COMMAND_MAX, "*2\r\n$3\r\nGET\r\n$14\r\ndue:%010llu\r\n",
                             (unsigned long long)key);
    }
    if (size > 0) {
        send_all(run->commands, out, size);
    }
}

static void watch(struct run *run, int64_t begin_ms)
{
    int64_t end_ms = run->first_due_ms + (int64_t)((run->within_s + run->patience_s) * 1000);
    while (run->arrived < run->due && wall_ms() < end_ms) {
        struct pollfd fds[] = {{.fd = run->events, .events = POLLIN},
                               {.fd = run->commands, .events = POLLIN}};
        if (poll(fds, 2, 1) < 0 && errno != EINTR) {
            die("poll");
        }
        if (fds[0].revents != 0) {
            take_events(run);
        }
        if (fds[1].revents != 0) {
            take_gets(run);
        }
        ask_gets(run, wall_ms() - begin_ms);
    }
}

static void count_missing(struct run *run)
{
    int64_t now = wall_ms();
    for (uint32_t i = 0; i < run->due; i++) {
        int64_t waited = now - due_of(run, i);
        if (run->seen[i] == 0) {
            dm_histogram_add(&run->lag_ms, waited > 0 ? (uint64_t)waited : 0);
        }
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void prepare(struct run *run, uint16_t port, double start_in_s)
{
    run->step = (uint32_t)(run->due * 0.618) | 1;
    while (common_divisor(run->step, run->due) != 1) {
        run->step += 2;
    }
    run->seen = calloc(run->due, 1);
    run->in = malloc(IN_SIZE);
    run->gets_in = malloc(IN_SIZE);
    run->events = dial(port);
    run->commands = dial(port);
    if (run->seen == NULL || run->in == NULL || run->gets_in == NULL) {
        die("memory");
    }
    send_all(run->events, subscribe, sizeof subscribe - 1);
    (void)recv(run->events, run->in, IN_SIZE, 0); /* that it is subscribed */
    run->first_due_ms = wall_ms() + (int64_t)(start_in_s * 1000);
}

static void tell(const struct run *run, double loaded_before_s, double watched_s)
{
    (void)printf("{\"due\":%u,\"within_s\":%g,\"loaded_before_due_s\":%.3f,\"arrived\":%llu,"
                 "\"missing\":%llu,\"twice\":%llu,\"early\":%llu,\"gets\":%llu,"
                 "\"gets_per_second\":%.0f,\"lag_arrived_ms\":{\"p50\":%llu,\"p99\":%llu,"
                 "\"max\":%llu}}\n",
                 run->due, run->within_s, loaded_before_s, (unsigned long long)run->arrived,
                 (unsigned long long)(run->due - run->arrived), (unsigned long long)run->twice,
                 (unsigned long long)run->early, (unsigned long long)run->gets,
                 (double)run->gets / watched_s,
                 (unsigned long long)dm_histogram_quantile(&run->lag_ms, 0.5),
                 (unsigned long long)dm_histogram_quantile(&run->lag_ms, 0.99),
                 (unsigned long long)run->lag_ms.max);
}

int main(int argc, char **argv)
{
    static struct run run;
    if (argc != 7 || strtoul(argv[2], NULL, 10) < 3) {
        (void)fprintf(stderr, "usage: peer_expiry_client PORT DUE WITHIN_S START_IN_S "
                              "GETS_A_SECOND PATIENCE_S\n");
        return 2;
    }
    run.due = (uint32_t)strtoul(argv[2], NULL, 10);
    run.within_s = strtod(argv[3], NULL);
    run.gets_a_second = strtod(argv[5], NULL);
    run.patience_s = strtod(argv[6], NULL);
    prepare(&run, (uint16_t)strtoul(argv[1], NULL, 10), strtod(argv[4], NULL));
    load(&run);
    int64_t loaded_ms = wall_ms();
    watch(&run, loaded_ms);
    double watched_s = (double)(wall_ms() - loaded_ms + 1) / 1000;
    count_missing(&run);
    tell(&run, (double)(run.first_due_ms - loaded_ms) / 1000, watched_s);
    (void)close(run.events);
    (void)close(run.commands);
    free(run.seen);
    free(run.in);
    free(run.gets_in);
    return loaded_ms > run.first_due_ms ? 1 : 0;
}

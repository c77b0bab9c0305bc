/* The file journal on a real disk: what an append costs the loop, how long a batch
 * takes to be durable, what a cursor costs an event. JSON lines on stdout.
 *
 *   journal_bench [folder] [payload bytes]
 *
 * `folder` is made and emptied again (default "journal_bench.tmp"). */
#include "base/clock.h"
#include "journal/journal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCHES = 300, APPENDS = 2000000, APPENDS_A_TURN = 2000, PAYLOAD_MAX = 4096 };

struct bench {
    struct dm_journal *journal;
    struct dm_clock clock;
    uint64_t seq;
    uint8_t payload[PAYLOAD_MAX];
    size_t payload_size;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "journal_bench: %s\n", what);
    exit(1); /* NOLINT(concurrency-mt-unsafe) */
}

static void wait_for_journal(const struct bench *bench)
{
    struct pollfd wanted = {.fd = dm_order_event(bench->journal->order), .events = POLLIN};
    eventfd_t count;
    (void)poll(&wanted, 1, -1);
    (void)eventfd_read(wanted.fd, &count);
}

static uint64_t now_ns(const struct bench *bench)
{
    return dm_clock_monotonic_ns(&bench->clock);
}

static void append(struct bench *bench, int count)
{
    for (int i = 0; i < count; i++) {
        bench->seq++;
        (void)dm_order_append(bench->journal->order, dm_slice(bench->payload, bench->payload_size),
                              bench->seq);
    }
}

static void wait_until_durable(struct bench *bench)
{
    while (dm_order_durable(bench->journal->order) < dm_order_last(bench->journal->order)) {
        dm_order_flush(bench->journal->order);
        wait_for_journal(bench);
    }
}

/* Append, flush, wait: what one caller alone sees. */
static void bench_batches(struct bench *bench, int entries)
{
    struct dm_histogram *took_us = calloc(1, sizeof *took_us);
    if (took_us == NULL) {
        die("out of memory");
    }
    for (int i = 0; i < BATCHES; i++) {
        uint64_t began = now_ns(bench);
        append(bench, entries);
        wait_until_durable(bench);
        dm_histogram_add(took_us, (now_ns(bench) - began) / 1000);
    }
    printf("{\"bench\":\"journal_batch\",\"entries\":%d,\"payload_bytes\":%zu,\"p50_us\":%llu,"
           "\"p99_us\":%llu,\"max_us\":%llu}\n",
           entries, bench->payload_size, (unsigned long long)dm_histogram_quantile(took_us, 0.5),
           (unsigned long long)dm_histogram_quantile(took_us, 0.99),
           (unsigned long long)took_us->max);
    free(took_us);
}

/* As a busy loop: append, flush every turn, never more than some MiB ahead. */
static void bench_stream(struct bench *bench)
{
    uint64_t appending_ns = 0;
    uint64_t began = now_ns(bench);
    for (int done = 0; done < APPENDS; done += APPENDS_A_TURN) {
        uint64_t turn = now_ns(bench);
        append(bench, APPENDS_A_TURN);
        dm_order_flush(bench->journal->order);
        appending_ns += now_ns(bench) - turn;
        while (dm_order_pending(bench->journal->order) > (8U << 20)) {
            dm_order_flush(bench->journal->order);
            wait_for_journal(bench);
        }
    }
    wait_until_durable(bench);
    double seconds = (double)(now_ns(bench) - began) / 1e9;
    printf("{\"bench\":\"journal_append\",\"entries\":%d,\"payload_bytes\":%zu,\"ns_each\":%.1f,"
           "\"durable_per_second\":%.0f}\n",
           APPENDS, bench->payload_size, (double)appending_ns / APPENDS, (double)APPENDS / seconds);
}

static void bench_cursor(struct bench *bench)
{
    struct dm_cursor *cursor = dm_journal_cursor(bench->journal, 0);
    uint64_t began = now_ns(bench);
    uint64_t events = 0;
    for (;;) {
        struct dm_entry entry;
        size_t budget = 1U << 20;
        enum dm_cursor_result result = dm_cursor_next(cursor, &entry, &budget);
        if (result == DM_CURSOR_END) {
            break;
        }
        if (result != DM_CURSOR_ENTRY && result != DM_CURSOR_PENDING) {
            die("the cursor failed");
        }
        events += result == DM_CURSOR_ENTRY;
    }
    dm_cursor_close(cursor);
    printf("{\"bench\":\"journal_cursor\",\"events\":%llu,\"ns_each\":%.1f}\n",
           (unsigned long long)events, (double)(now_ns(bench) - began) / (double)events);
}

static bool count_one(void *context, const struct dm_entry *entry)
{
    (void)entry;
    *(uint64_t *)context += 1;
    return true;
}

static void bench_reopen(struct bench *bench, const struct dm_journal_options *options)
{
    struct dm_error error;
    dm_journal_close(bench->journal);
    uint64_t began = now_ns(bench);
    if (dm_journal_open_file(&bench->journal, options, &error) != DM_OK) {
        die(error.message);
    }
    double open_ms = (double)(now_ns(bench) - began) / 1e6;
    uint64_t entries = 0;
    began = now_ns(bench);
    if (dm_journal_each(bench->journal, 0, count_one, &entries, &error) != DM_OK) {
        die(error.message);
    }
    printf("{\"bench\":\"journal_reopen\",\"open_ms\":%.1f,\"replayed\":%llu,"
           "\"replay_ns_each\":%.1f}\n",
           open_ms, (unsigned long long)entries, (double)(now_ns(bench) - began) / (double)entries);
}

static void remove_file(void *context, const char *name)
{
    struct dm_disk *disk = context;
    (void)disk->ops->remove(disk, name);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "journal_bench.tmp";
    struct bench bench = {.clock = dm_clock_system(), .payload_size = 120};
    if (argc > 2) {
        bench.payload_size = strtoul(argv[2], NULL, 10);
    }
    if (bench.payload_size > PAYLOAD_MAX) {
        die("at most 4096 bytes of payload");
    }
    (void)mkdir(path, 0700);
    struct dm_disk *disk = dm_disk_folder(path);
    if (disk == NULL) {
        die("cannot open the folder");
    }
    memset(bench.payload, 'x', sizeof bench.payload);
    struct dm_journal_options options = {.disk = disk, .clock = bench.clock};
    struct dm_error error;
    if (dm_journal_open_file(&bench.journal, &options, &error) != DM_OK) {
        die(error.message);
    }
    const int sizes[] = {1, 16, 256, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bench_batches(&bench, sizes[i]);
    }
    bench_stream(&bench);
    bench_cursor(&bench);
    bench_reopen(&bench, &options);
    dm_journal_close(bench.journal);
    (void)disk->ops->list(disk, remove_file, disk);
    disk->ops->destroy(disk);
    (void)rmdir(path);
    return 0;
}

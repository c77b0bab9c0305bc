/* The wheel with many timers at random ticks: what an insert, a re-arm, a cancel and
 * an expiry cost each, and how long a single advance may take.
 *
 * wheel_bench [timers] [milliseconds a tick] [days] [budget of an advance] */

#include "base/assert.h"
#include "base/clock.h"
#include "wheel/wheel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_MS = 1000, REARM_ROUNDS = 4 };

struct bench {
    struct dm_wheel *wheel;
    uint32_t *order; /* all entries, shuffled */
    uint32_t *out;
    uint64_t span, step; /* ticks */
    uint64_t random;
    struct dm_clock clock;
    uint32_t count;
    size_t budget;
};

static uint64_t next_random(struct bench *bench)
{
    uint64_t x = bench->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    bench->random = x;
    return x;
}

static uint64_t below(struct bench *bench, uint64_t bound)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)next_random(bench) * bound >> 64);
}

static void shuffle(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->count; i++) {
        uint32_t j = (uint32_t)below(bench, i + 1);
        bench->order[i] = bench->order[j];
        bench->order[j] = i;
    }
}

static uint64_t now_ns(const struct bench *bench)
{
    return dm_clock_monotonic_ns(&bench->clock);
}

static void report(const struct bench *bench, const char *op, uint64_t ops, uint64_t since_ns)
{
    double ns = (double)(now_ns(bench) - since_ns);
    printf("{\"bench\":\"wheel\",\"op\":\"%s\",\"timers\":%" PRIu32 ",\"ns_per_op\":%.1f}\n", op,
           bench->count, ns / (double)ops);
}

static void arm_in_order(struct bench *bench, const char *op, uint32_t count)
{
    uint64_t start = now_ns(bench);
    for (uint32_t i = 0; i < count; i++) {
        dm_wheel_arm(bench->wheel, bench->order[i], 1 + below(bench, bench->span));
    }
    report(bench, op, count, start);
}

/* Round after round, so that what a move leaves to later ones is paid in here, too. */
static void rearm_on(struct bench *bench)
{
    shuffle(bench);
    uint64_t start = now_ns(bench);
    for (unsigned round = 0; round < REARM_ROUNDS; round++) {
        for (uint32_t i = 0; i < bench->count; i++) {
            dm_wheel_arm(bench->wheel, bench->order[i], 1 + below(bench, bench->span));
        }
    }
    report(bench, "rearm_sustained", (uint64_t)REARM_ROUNDS * bench->count, start);
}

static void insert_all(struct bench *bench)
{
    uint64_t start = now_ns(bench);
    for (uint32_t i = 0; i < bench->count; i++) {
        dm_wheel_arm(bench->wheel, i, 1 + below(bench, bench->span));
    }
    report(bench, "insert", bench->count, start);
}

static void cancel_half(struct bench *bench)
{
    uint64_t start = now_ns(bench);
    for (uint32_t i = 0; i < bench->count / 2; i++) {
        dm_wheel_cancel(bench->wheel, bench->order[i]);
    }
    report(bench, "cancel", bench->count / 2, start);
}

/* A turn a second, as a server would, and none while nothing is due, until `count` have
 * expired. With `longest_ns`, each advance is timed. */
static void expire(struct bench *bench, uint64_t *longest_ns)
{
    uint64_t expired = 0;
    uint64_t before = now_ns(bench);
    for (uint64_t now = dm_wheel_now(bench->wheel); expired < bench->count;) {
        uint64_t next = dm_wheel_next(bench->wheel);
        now = next > now + bench->step ? next : now + bench->step;
        bool more = true;
        while (more) {
            expired += dm_wheel_advance(bench->wheel, now, bench->budget, bench->out, bench->budget,
                                        &more);
            if (longest_ns != NULL) {
                uint64_t after = now_ns(bench);
                *longest_ns = after - before > *longest_ns ? after - before : *longest_ns;
                before = after;
            }
        }
    }
}

static void expire_all(struct bench *bench)
{
    uint64_t start = now_ns(bench);
    expire(bench, NULL);
    report(bench, "expire", bench->count, start);
}

/* All of it once more, with a clock around every advance: reading that costs as much as
 * an expiry, so it has no place in the above. */
static void find_longest_advance(struct bench *bench)
{
    uint64_t longest_ns = 0;
    uint64_t now = dm_wheel_now(bench->wheel);
    for (uint32_t i = 0; i < bench->count; i++) {
        dm_wheel_arm(bench->wheel, i, now + 1 + below(bench, bench->span));
    }
    expire(bench, &longest_ns);
    printf("{\"bench\":\"wheel\",\"budget\":%zu,\"longest_advance_ns\":%" PRIu64 "}\n",
           bench->budget, longest_ns);
}

static void print_machine(const struct bench *bench, uint64_t tick_ms)
{
    char line[256];
    char cpu[128] = "unknown";
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        if (sscanf(line, "model name : %127[^\n\"\\]", cpu) == 1) {
            break;
        }
    }
    if (info != NULL) {
        (void)fclose(info);
    }
    printf("{\"bench\":\"wheel\",\"cpu\":\"%s\",\"compiler\":\"%s\",\"timers\":%" PRIu32
           ",\"tick_ms\":%" PRIu64 ",\"span_ticks\":%" PRIu64 "}\n",
           cpu, __VERSION__, bench->count, tick_ms, bench->span);
}

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
    uint64_t value = argc > index ? strtoull(argv[index], NULL, 10) : otherwise;
    if (value == 0) {
        (void)fprintf(stderr, "usage: wheel_bench [timers] [tick_ms] [days] [budget]\n");
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    struct bench bench = {.random = 88172645463325252U, .clock = dm_clock_system()};
    uint64_t tick_ms = argument(argc, argv, 2, 10);
    bench.count = (uint32_t)argument(argc, argv, 1, 1000000);
    bench.span = argument(argc, argv, 3, 30) * 24 * 3600 * 1000 / tick_ms;
    bench.step = STEP_MS / tick_ms != 0 ? STEP_MS / tick_ms : 1;
    bench.budget = (size_t)argument(argc, argv, 4, 1024);
    bench.wheel = dm_wheel_create(bench.count, 0);
    DM_ASSERT(bench.wheel != NULL);
    bench.order = dm_xcalloc(bench.count, sizeof *bench.order);
    bench.out = dm_xcalloc(bench.budget, sizeof *bench.out);
    print_machine(&bench, tick_ms);

    insert_all(&bench);
    shuffle(&bench);
    arm_in_order(&bench, "rearm", bench.count);
    shuffle(&bench);
    cancel_half(&bench);
    arm_in_order(&bench, "insert_scattered", bench.count / 2);
    rearm_on(&bench);
    printf("{\"bench\":\"wheel\",\"bytes_per_timer\":%.2f}\n",
           (double)dm_wheel_memory(bench.wheel) / bench.count);
    expire_all(&bench);
    find_longest_advance(&bench);

    dm_wheel_destroy(bench.wheel);
    free(bench.order);
    free(bench.out);
    return 0;
}

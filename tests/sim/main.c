#include "sim/sim.h"

#include "base/assert.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* sim [--seed S] [--seeds N] [--steps N] [--trace] [--no-shrink]: N runs from seed S on.
 * Runs are made in a child process, so that an abort is a failure like any other. When
 * one fails, steps are left out as long as it still fails, and what is left is told. */

enum { SHRINK_SECONDS = 30, RUN_SECONDS = 20 };

static bool tracing;
static int report = STDOUT_FILENO;

/* Shared with the child: how far it came. */
static struct progress {
    uint64_t seed;
    unsigned step;
    char failure[512]; /* empty after an abort: it says why on stderr, when traced */
} * progress;

struct options {
    uint64_t seed, seeds;
    unsigned steps;
    bool trace, shrink;
};

/* ---- telling ---------------------------------------------------------------------------- */

void sim_say(const struct sim *sim, const char *format, ...)
{
    if (!tracing) {
        return;
    }
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)dprintf(report, "[%4u] %13lld  %s\n", progress->step,
                  (long long)(sim->clock.wall_ms - 1800000000000), line);
}

void sim_fail(const struct sim *sim, const char *format, ...)
{
    char *line = progress->failure;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof progress->failure, format, args);
    va_end(args);
    (void)dprintf(report, "seed %llu, step %u, %+lld ms: %s\n", (unsigned long long)sim->seed,
                  progress->step, (long long)(sim->clock.wall_ms - 1800000000000), line);
    _exit(1);
}

void sim_equal(const struct sim *sim, const char *what, const char *whose, uint64_t expected,
               uint64_t found)
{
    if (expected != found) {
        sim_fail(sim, "%s of %s: expected %lld, found %lld", what, whose, (long long)expected,
                 (long long)found);
    }
}

/* ---- names ---------------------------------------------------------------------------------- */

const char *const account_names[ACCOUNT_COUNT] = {"acme", "b", "zeta"};
const char *const bot_names[BOT_COUNT] = {"", "sales", "night"};

struct dm_slice account_slice(unsigned account)
{
    return dm_slice_str(account_names[account]);
}

struct dm_slice contact_slice(const struct sim *sim, unsigned contact)
{
    return dm_slice_str(sim->names[contact]);
}

int contact_of(const struct sim *sim, struct dm_slice id)
{
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        if (dm_slice_equal(id, contact_slice(sim, c))) {
            return (int)c;
        }
    }
    return -1;
}

/* ---- one run -------------------------------------------------------------------------------- */

static struct sim_config config_of(uint64_t seed)
{
    static const int64_t horizons[] = {2000, 10000, 60000, 3600000};
    static const int64_t waits[] = {1, 500, 20000};
    static const uint32_t txns[] = {1, 3, 1000};
    static const uint32_t timers[] = {8, 30, 100};
    uint64_t random = seed ^ 0x636f6e6600000000U;
    struct sim_config config = {
        .horizon_ms = horizons[pick(&random, 4)],
        .apply_after_ms = waits[pick(&random, 3)],
        .contacts_per_txn = txns[pick(&random, 3)],
        .contacts = chance(&random, 25) ? CONTACT_MAX : CONTACT_FEW,
        .snooze_max_ms = chance(&random, 50) ? 60000 : 4 * 3600 * 1000,
        .faults = chance(&random, 60),
        .clock_steps = chance(&random, 50),
        .overlay_max = OVERLAY_LARGE,
    };
    if (chance(&random, 35)) {
        config.overlay_max = chance(&random, 50) ? OVERLAY_SMALL : OVERLAY_SMALLER;
    }
    if (chance(&random, 20)) {
        config.sleepers_max = timers[pick(&random, 3)];
    }
    return config;
}

static int64_t next_end(const struct sim *sim)
{
    int64_t next_ms = INT64_MAX;
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        for (unsigned c = 0; c < sim->model->contact_count; c++) {
            const struct dm_record *record = &sim->model->accounts[a].contacts[c].record;
            if (record->status == DM_STATUS_SNOOZED && record->until_ms < next_ms) {
                next_ms = record->until_ms;
            }
        }
    }
    return next_ms;
}

/* Faults stop; time passes until the last snooze is over. Everything must finish. */
static void calm(struct sim *sim, uint64_t *random)
{
    sim_say(sim, "from here on all is calm");
    dm_sim_disk_set_capacity(sim->disk, 0);
    dm_sim_disk_fail_write(sim->disk, "", 0);
    dm_sim_disk_fail_sync(sim->disk, "", 0);
    dm_sim_disk_stop_at(sim->disk, 0);
    world_fill_view(sim, false);
    world_drain(sim, random);
    bulk_finish(sim, random);
    for (int64_t next_ms = next_end(sim); next_ms != INT64_MAX; next_ms = next_end(sim)) {
        int64_t left_ms = next_ms - sim->clock.wall_ms;
        left_ms = left_ms < 1 ? 1 : left_ms;
        bool just_before = left_ms > 1000 && chance(random, 50);
        virtual_clock_advance(&sim->clock, just_before ? left_ms - 1 : left_ms);
        world_settle(sim);
        (void)world_work(sim, random);
        (void)dm_engine_apply_work(sim->engine);
    }
    for (int i = 0; i < 4; i++) {
        virtual_clock_advance(&sim->clock, sim->config.apply_after_ms);
        world_drain(sim, random);
    }
}

static void check_finished(struct sim *sim)
{
    struct dm_engine_stats stats;
    dm_engine_stats(sim->engine, dm_slice(NULL, 0), &stats);
    sim_equal(sim, "the overlay", "the end", 0, stats.overlay_contacts);
    sim_equal(sim, "sleepers", "the end", 0, stats.sleepers);
    sim_equal(sim, "durable", "the end", sim->model->count, stats.order.durable_lsn);
    sim_equal(sim, "applied", "the end", sim->model->count, stats.applied_lsn);
    sim_equal(sim, "the newest seq", "the end", sim->model->event_count, stats.last_seq);
    sim_equal(sim, "wakes", "the end", sim->wakes, stats.wakes);
    sim_equal(sim, "snoozed", "the end", 0, stats.counts.snoozed);
    if (sim->unacked_count != 0) {
        sim_fail(sim, "%u answers never came", sim->unacked_count);
    }
    for (unsigned i = 0; i < WATCHER_COUNT; i++) {
        watch_to_end(sim, i, 1000000);
        sim_equal(sim, "the end", "a watcher", sim->model->event_count, sim->watchers[i].cursor);
    }
    check_all(sim);
    check_view(sim);
}

static void run(uint64_t seed, const struct sim_op *ops, const bool *left_out, unsigned count)
{
    struct sim *sim = dm_xcalloc(1, sizeof *sim);
    uint64_t random = seed;
    sim->seed = seed;
    sim->config = config_of(seed);
    progress->seed = seed;
    progress->step = 0;
    (void)alarm(RUN_SECONDS);
    sim_say(sim,
            "seed %llu: horizon %lld ms, sweeps after %lld ms of %u, %u contacts, overlay of %u, "
            "%u timers",
            (unsigned long long)seed, (long long)sim->config.horizon_ms,
            (long long)sim->config.apply_after_ms, sim->config.contacts_per_txn,
            sim->config.contacts, sim->config.overlay_max, sim->config.sleepers_max);
    world_create(sim);
    for (unsigned i = 0; i < count; i++) {
        progress->step = i + 1;
        if (left_out == NULL || !left_out[i]) {
            ops_run(sim, &ops[i]);
        }
    }
    progress->step = count + 1;
    calm(sim, &random);
    check_finished(sim);
    world_restart(sim);
    check_view(sim);
    world_destroy(sim);
    free(sim);
}

/* ---- children ---------------------------------------------------------------------------------
 */

/* Silent unless it traces. */
static void be_child(bool trace)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    tracing = trace;
    if (!trace) {
        report = null;
        (void)dup2(null, STDERR_FILENO);
    }
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
}

static bool succeeds(pid_t child)
{
    int status = 0;
    DM_ASSERT(child >= 0);
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct sim_op *make_ops(uint64_t seed, unsigned steps)
{
    struct sim_config config = config_of(seed);
    struct sim_op *ops = dm_xcalloc(steps, sizeof *ops);
    ops_make(seed, ops, steps, &config);
    return ops;
}

static bool run_one(uint64_t seed, const struct sim_op *ops, const bool *left_out, unsigned count,
                    bool trace)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        be_child(trace);
        run(seed, ops, left_out, count);
        _exit(0);
    }
    return succeeds(child);
}

/* All of them in one child, until one fails. */
static bool run_many(const struct options *options)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        be_child(options->trace);
        for (uint64_t seed = options->seed; seed < options->seed + options->seeds; seed++) {
            struct sim_op *ops = make_ops(seed, options->steps);
            run(seed, ops, NULL, options->steps);
            free(ops);
        }
        _exit(0);
    }
    return succeeds(child);
}

/* ---- the shortest trace
 * ---------------------------------------------------------------------------- */

/* Leaves out pieces of half, a quarter, ... of the steps as long as the run fails. */
static unsigned shrink(uint64_t seed, const struct sim_op *ops, bool *left_out, unsigned count)
{
    time_t end = time(NULL) + SHRINK_SECONDS;
    bool *tried = dm_xcalloc(count + 1, sizeof *tried);
    for (unsigned piece = (count + 1) / 2; piece > 0 && time(NULL) < end; piece /= 2) {
        for (unsigned at = 0; at < count && time(NULL) < end; at += piece) {
            unsigned dropped = 0;
            memcpy(tried, left_out, count * sizeof *tried);
            for (unsigned i = at; i < count && i < at + piece; i++) {
                dropped += !tried[i];
                tried[i] = true;
            }
            if (dropped != 0 && !run_one(seed, ops, tried, count, false)) {
                memcpy(left_out, tried, count * sizeof *tried);
            }
        }
    }
    free(tried);
    unsigned left = 0;
    for (unsigned i = 0; i < count; i++) {
        left += !left_out[i];
    }
    return left;
}

static int tell_failure(const struct options *options)
{
    uint64_t seed = progress->seed;
    unsigned count = progress->step < options->steps ? progress->step : options->steps;
    (void)printf("seed %llu fails at step %u: %s\n", (unsigned long long)seed, progress->step,
                 progress->failure[0] == '\0' ? "aborted" : progress->failure);
    if (!options->shrink) {
        return 1;
    }
    struct sim_op *ops = make_ops(seed, options->steps);
    bool *left_out = dm_xcalloc(count + 1, sizeof *left_out);
    unsigned left = shrink(seed, ops, left_out, count);
    (void)printf("the shortest trace found, %u steps:\n", left);
    (void)run_one(seed, ops, left_out, count, true);
    (void)printf("again: sim --seed %llu --steps %u --trace\n", (unsigned long long)seed,
                 options->steps);
    free(left_out);
    free(ops);
    return 1;
}

/* ---- options
 * ------------------------------------------------------------------------------------------ */

static bool parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.seed = 1, .steps = 800, .shrink = true};
    for (int i = 1; i < argc; i++) {
        bool valued = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            options->trace = true;
        } else if (strcmp(argv[i], "--no-shrink") == 0) {
            options->shrink = false;
        } else if (valued && strcmp(argv[i], "--seed") == 0) {
            options->seed = strtoull(argv[++i], NULL, 10);
            options->seeds = options->seeds == 0 ? 1 : options->seeds;
        } else if (valued && strcmp(argv[i], "--seeds") == 0) {
            options->seeds = strtoull(argv[++i], NULL, 10);
        } else if (valued && strcmp(argv[i], "--steps") == 0) {
            options->steps = (unsigned)strtoul(argv[++i], NULL, 10);
        } else {
            return false;
        }
    }
    options->seeds = options->seeds == 0 ? 300 : options->seeds;
    return options->steps > 0;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse(&options, argc, argv)) {
        (void)fprintf(stderr,
                      "usage: sim [--seed S] [--seeds N] [--steps N] [--trace] [--no-shrink]\n");
        return 2;
    }
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    DM_ASSERT(progress != MAP_FAILED);
    if (!run_many(&options)) {
        return tell_failure(&options);
    }
    (void)printf("%llu runs of %u steps from seed %llu on: good\n",
                 (unsigned long long)options.seeds, options.steps,
                 (unsigned long long)options.seed);
    return 0;
}

#include "sim/sim.h"

#include <stdlib.h>

/* What happens in a run, step by step, and how often. */

/* ---- time ----------------------------------------------------------------------------- */

/* Its size first, then the span: small ones come as often as large ones. */
int64_t pick_span(uint64_t *random, int64_t min, int64_t max)
{
    unsigned sizes = 1;
    while (min << sizes < max) {
        sizes++;
    }
    int64_t top = min << (1 + pick(random, sizes));
    top = top < max ? top : max;
    return min + (int64_t)pick(random, (uint64_t)(top - min) + 1);
}

/* The loop as it should be: called again when the engine wants to be. Then every wake
 * comes in the very millisecond. */
static void time_passes(struct sim *sim, uint64_t *random)
{
    int64_t left_ms = pick_span(random, 1, 8000);
    sim_say(sim, "%lld ms pass, turn by turn", (long long)left_ms);
    for (int i = 0; left_ms > 0 && i < 40; i++) {
        world_settle(sim);
        int64_t step_ms = dm_engine_turn(sim->engine);
        step_ms = step_ms < 1 ? 1 : step_ms;
        step_ms = step_ms < left_ms ? step_ms : left_ms;
        virtual_clock_advance(&sim->clock, step_ms);
        left_ms -= step_ms;
        (void)world_work(sim, random);
    }
    world_settle(sim);
}

static void time_jumps(struct sim *sim, uint64_t *random)
{
    int64_t ms = pick_span(random, 100, sim->config.snooze_max_ms);
    sim_say(sim, "%lld ms pass at once", (long long)ms);
    virtual_clock_advance(&sim->clock, ms);
    if (chance(random, 70)) { /* else reads are exact while wakes still wait */
        world_settle(sim);
    }
}

static void clock_steps(struct sim *sim, uint64_t *random)
{
    if (!sim->config.clock_steps) {
        return;
    }
    int64_t ms = pick_span(random, 10, chance(random, 50) ? 3000 : 3600000);
    bool back = chance(random, 50);
    sim_say(sim, "the clock is set %s by %lld ms", back ? "back" : "forward", (long long)ms);
    sim->clock.wall_ms += back ? -ms : ms;
    sim->stepped_back |= back;
    if (chance(random, 50)) {
        world_settle(sim);
    }
}

/* ---- the machine -------------------------------------------------------------------------- */

static void turn(struct sim *sim, uint64_t *random)
{
    (void)random;
    sim_say(sim, "a turn");
    (void)world_turn(sim);
}

static void work(struct sim *sim, uint64_t *random)
{
    sim_say(sim, "the journal writes");
    (void)world_work(sim, random);
}

static void apply_some(struct sim *sim, uint64_t *random)
{
    unsigned transactions = 1 + (unsigned)pick(random, 8);
    sim_say(sim, "the applier does up to %u transactions", transactions);
    for (unsigned i = 0; i < transactions && dm_engine_apply_work(sim->engine); i++) {
    }
}

static void drain(struct sim *sim, uint64_t *random)
{
    sim_say(sim, "everything is written and applied");
    virtual_clock_advance(&sim->clock, (int64_t)pick(random, 2000));
    world_fill_view(sim, false);
    world_drain(sim, random);
    check_view(sim);
}

static void compare_all(struct sim *sim, uint64_t *random)
{
    (void)random;
    sim_say(sim, "everything is compared");
    check_all(sim);
    check_view(sim);
}

static void restart(struct sim *sim, uint64_t *random)
{
    (void)random;
    sim_say(sim, "a restart");
    world_restart(sim);
}

static void restart_resized(struct sim *sim, uint64_t *random)
{
    static const uint32_t sizes[] = {OVERLAY_LARGE, OVERLAY_SMALL, OVERLAY_SMALLER};
    uint32_t overlay_max = sizes[pick(random, 3)];
    if (sim->config.overlay_max == OVERLAY_LARGE) { /* runs without bounds stay so, mostly */
        overlay_max = chance(random, 30) ? overlay_max : OVERLAY_LARGE;
    }
    sim_say(sim, "a restart with an overlay of %u", overlay_max);
    world_resize(sim, overlay_max);
}

static void crash(struct sim *sim, uint64_t *random)
{
    sim_say(sim, "a crash");
    world_crash(sim, dm_test_random(random));
}

static void crash_soon(struct sim *sim, uint64_t *random)
{
    uint64_t calls = 1 + pick(random, 8);
    sim_say(sim, "the power will be cut at the %llu. change of the disk",
            (unsigned long long)calls);
    dm_sim_disk_stop_at(sim->disk, calls);
}

static void disk_fails(struct sim *sim, uint64_t *random)
{
    static const char *const suffixes[] = {".seg", ".seg", ""};
    if (!sim->config.faults) {
        return;
    }
    const char *suffix = suffixes[pick(random, 3)];
    unsigned n = 1 + (unsigned)pick(random, 4);
    if (chance(random, 50)) {
        sim_say(sim, "a write of *%s will fail", suffix);
        dm_sim_disk_fail_write(sim->disk, suffix, n);
    } else {
        sim_say(sim, "a sync of *%s will fail", suffix);
        dm_sim_disk_fail_sync(sim->disk, suffix, n);
    }
}

static void disk_fills(struct sim *sim, uint64_t *random)
{
    if (!sim->config.faults) {
        return;
    }
    uint64_t room = pick(random, 3) * pick(random, 100000);
    sim_say(sim, "the disk has room for %llu bytes", (unsigned long long)room);
    dm_sim_disk_set_capacity(sim->disk, dm_sim_disk_used(sim->disk) + room + 1);
}

static void disk_has_room(struct sim *sim, uint64_t *random)
{
    sim_say(sim, "the disk has room");
    dm_sim_disk_set_capacity(sim->disk, 0);
    (void)world_work(sim, random);
}

static void view_fills(struct sim *sim, uint64_t *random)
{
    (void)random;
    sim_say(sim, "the view's disk is full");
    world_fill_view(sim, true);
}

static void view_has_room(struct sim *sim, uint64_t *random)
{
    (void)random;
    sim_say(sim, "the view's disk has room");
    world_fill_view(sim, false);
}

static void applier_fails(struct sim *sim, uint64_t *random)
{
    if (sim->view_full) {
        return;
    }
    int times = 1 + (int)pick(random, 10);
    sim_say(sim, "the applier will fail %d times", times);
    dm_store_memory_fail(sim->store, times);
}

static void look(struct sim *sim, uint64_t *random)
{
    unsigned account = (unsigned)pick(random, ACCOUNT_COUNT);
    unsigned contact = (unsigned)pick(random, sim->model->contact_count);
    sim_say(sim, "look at %s/%s", account_names[account], sim->names[contact]);
    check_contact(sim, account, contact);
}

/* ---- which, and how often ----------------------------------------------------------------------
 */

static const struct kind {
    void (*run)(struct sim *sim, uint64_t *random);
    unsigned weight;
} kinds[] = {
    {do_set_status, 150}, {do_commit_reply, 50}, {do_activity, 120},
    {do_delete, 25},      {do_policy, 15},       {do_burst, 6},
    {do_bulk, 60},        {do_list, 25},         {do_slow_list, 40},
    {do_watch, 60},       {do_history, 30},      {look, 40},
    {time_passes, 70},    {time_jumps, 35},      {clock_steps, 10},
    {turn, 60},           {work, 100},           {apply_some, 60},
    {drain, 8},           {compare_all, 8},      {restart, 6},
    {crash, 6},           {crash_soon, 8},       {disk_fails, 5},
    {do_rot, 8},          {disk_fills, 10},      {disk_has_room, 6},
    {applier_fails, 6},   {view_fills, 6},       {view_has_room, 8},
    {do_accounts, 10},    {restart_resized, 3},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static uint8_t pick_kind(uint64_t *random, bool bursts)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < KIND_COUNT; i++) {
        sum += kinds[i].weight;
    }
    for (;;) {
        unsigned at = (unsigned)pick(random, sum);
        unsigned kind = 0;
        while (at >= kinds[kind].weight) {
            at -= kinds[kind++].weight;
        }
        if (kinds[kind].run != do_burst || bursts) {
            return (uint8_t)kind;
        }
    }
}

void ops_make(uint64_t seed, struct sim_op *ops, unsigned count, const struct sim_config *config)
{
    uint64_t random = seed ^ 0x6f70730000000000U;
    for (unsigned i = 0; i < count; i++) {
        ops[i].kind = pick_kind(&random, config->contacts > CONTACT_FEW);
        ops[i].word = dm_test_random(&random);
    }
}

void ops_run(struct sim *sim, const struct sim_op *op)
{
    uint64_t random = op->word;
    kinds[op->kind].run(sim, &random);
    uint64_t after = op->word ^ 0x61667465U;
    if (chance(&after, 50)) {
        (void)world_turn(sim);
    }
    if (chance(&after, 50)) {
        (void)world_work(sim, &after);
    }
    if (chance(&after, 30)) {
        (void)dm_engine_apply_work(sim->engine);
    }
}

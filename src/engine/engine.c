#include "engine/internal.h"

#include "base/limits.h"

#include <stdlib.h>

/* The latest that the engine wants to be called again, so that steps of the wall clock
 * are seen. */
enum { TURN_MS_MAX = 1000 };
/* As far as the wall clock may go back and nothing needs to be done about it: no new snooze
 * is shorter than that, so none ends where the wheel has been. */
#define CLOCK_BACK_MS DM_SNOOZE_MS_MIN

static void set_defaults(struct dm_engine *engine, const struct dm_engine_options *options)
{
    engine->journal = options->journal;
    engine->store = options->store;
    engine->clock = options->clock;
    engine->horizon_ms = options->horizon_ms != 0 ? options->horizon_ms : DM_HORIZON_MS;
    engine->overlay_max =
        options->overlay_max != 0 ? options->overlay_max : DM_OVERLAY_CONTACTS_MAX;
    engine->sleepers_max = options->sleepers_max != 0 ? options->sleepers_max : DM_SLEEPERS_MAX;
    engine->apply_after_ms = options->apply_after_ms != 0 ? options->apply_after_ms : 1000;
}

static bool create_parts(struct dm_engine *engine, const struct dm_engine_options *options,
                         int64_t now_ms)
{
    const struct dm_applier_options applier = {
        .store = options->store,
        .contacts_per_txn = options->contacts_per_txn,
        .notify = options->notify,
        .notify_context = options->notify_context,
        .manual = options->manual_applier,
    };
    engine->overlay = dm_overlay_create(engine->overlay_max);
    engine->sleepers = dm_sleepers_create(engine->sleepers_max, now_ms);
    engine->applier = dm_applier_create(&applier);
    uint64_t cache_bytes = options->cache_bytes != 0 ? options->cache_bytes : DM_CACHE_BYTES;
    return engine->overlay != NULL && engine->sleepers != NULL && engine->applier != NULL &&
           dm_accounts_init(&engine->accounts) && dm_check_cache_init(&engine->cache, cache_bytes);
}

enum dm_code dm_engine_open(struct dm_engine **out, const struct dm_engine_options *options,
                            struct dm_error *error)
{
    struct dm_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED, "no memory for the engine");
    }
    set_defaults(engine, options);
    int64_t now_ms = dm_clock_wall_ms(&engine->clock);
    enum dm_code code = DM_OK;
    if (!create_parts(engine, options, now_ms)) {
        code = dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "no address space for the engine's tables, or no thread for its applier: "
                       "allow more (ulimit -v, -u), or a smaller --overlay-max or --cache-size");
    } else {
        code = dm_engine_recover(engine, error);
    }
    if (code != DM_OK) {
        dm_engine_close(engine);
        return code;
    }
    engine->clock_ms = now_ms;
    engine->sweep.due_ms = now_ms + engine->apply_after_ms;
    engine->trim_due_ms = now_ms;
    dm_engine_topup_begin(engine, INT64_MIN, now_ms);
    *out = engine;
    return DM_OK;
}

void dm_engine_close(struct dm_engine *engine)
{
    if (engine->applier != NULL) {
        dm_applier_destroy(engine->applier);
    }
    if (engine->overlay != NULL) {
        dm_overlay_destroy(engine->overlay);
    }
    dm_sleepers_destroy(engine->sleepers);
    dm_accounts_finish(&engine->accounts);
    dm_check_cache_finish(&engine->cache);
    free(engine->lags.items);
    free(engine);
}

int dm_engine_turn(struct dm_engine *engine)
{
    int64_t now_ms = dm_clock_wall_ms(&engine->clock);
    if (now_ms < engine->clock_ms - CLOCK_BACK_MS) {
        dm_engine_set_back(engine, now_ms);
    }
    engine->clock_ms = now_ms > engine->clock_ms ? now_ms : engine->clock_ms;
    dm_engine_note_lags(engine, now_ms);
    bool more = dm_engine_topup(engine, now_ms);
    more |= dm_engine_sweep(engine, now_ms); /* first: what it applied is room for wakes */
    more |= dm_engine_fire(engine, now_ms);
    dm_store_read_end(engine->store);
    dm_journal_flush(engine->journal);
    if (more) {
        return 0;
    }
    int64_t wait_ms = dm_sleepers_next(engine->sleepers) - now_ms;
    if (wait_ms > TURN_MS_MAX) {
        return TURN_MS_MAX;
    }
    /* A timer that is due and was held back (no room, no disk) waits for a doorbell. */
    return wait_ms <= 0 ? 10 : (int)wait_ms;
}

void dm_engine_flush(struct dm_engine *engine)
{
    dm_store_read_end(engine->store);
    dm_journal_flush(engine->journal);
}

uint64_t dm_engine_durable(struct dm_engine *engine)
{
    return dm_journal_durable(engine->journal);
}

int dm_engine_event(struct dm_engine *engine)
{
    return dm_journal_event(engine->journal);
}

bool dm_engine_apply_work(struct dm_engine *engine)
{
    return dm_applier_work(engine->applier);
}

uint64_t dm_engine_last_seq(struct dm_engine *engine)
{
    return dm_journal_durable_seq(engine->journal);
}

uint64_t dm_engine_oldest_seq(struct dm_engine *engine)
{
    return dm_journal_oldest_seq(engine->journal);
}

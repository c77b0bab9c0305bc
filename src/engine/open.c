#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/damage.h"
#include "engine/replay.h"
#include "engine/topup.h"
#include "view/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* An engine begins: what the view holds first, then the journal's rest. */

/* ---- the small tables ---------------------------------------------------------------- */

/* What cannot be done without: everything hangs on it. */
static enum dm_code view_damaged(const char *what, struct dm_error *error)
{
    return dm_fail(error, DM_DATA_LOSS, "the view is damaged: %s; " DM_VIEW_DAMAGED_ADVICE, what);
}

static enum dm_code row_failed(enum dm_code code, enum dm_table table, struct dm_slice key,
                               struct dm_error *error)
{
    const uint8_t *bytes = key.data;
    unsigned account = key.size < 4 ? 0 : dm_load_be32(bytes);
    unsigned bot = key.size < 8 ? 0 : dm_load_be32(bytes + 4);
    char row[64];
    if (code != DM_DATA_LOSS) {
        return dm_fail(error, code,
                       "no memory for the accounts, or more than %d of them, or of %d bots in "
                       "one, which are the limits; nothing is damaged",
                       DM_ACCOUNTS_MAX, DM_BOTS_MAX);
    }
    (void)snprintf(row, sizeof row,
                   table == DM_TABLE_ACCOUNTS ? "the row of account number %u"
                                              : "the row of account number %u, bot number %u",
                   account, bot);
    return view_damaged(row, error);
}

/* Reads one small table whole; rows come in order of their keys. */
static enum dm_code load_table(struct dm_engine *engine, enum dm_table table,
                               enum dm_code (*load)(struct dm_accounts *, struct dm_slice,
                                                    struct dm_slice),
                               struct dm_error *error)
{
    uint8_t at[8] = {0};
    struct dm_slice from = dm_slice(at, 4), key, value;
    bool exclusive = false;
    while (dm_store_seek(engine->store, table, from, exclusive, &key, &value)) {
        enum dm_code code =
            key.size > sizeof at ? DM_DATA_LOSS : load(&engine->accounts, key, value);
        if (code != DM_OK) {
            return row_failed(code, table, key, error);
        }
        memcpy(at, key.data, key.size);
        from = dm_slice(at, key.size);
        exclusive = true;
    }
    return DM_OK;
}

static enum dm_code load_tables(struct dm_engine *engine, struct dm_error *error)
{
    enum dm_code code = load_table(engine, DM_TABLE_ACCOUNTS, dm_accounts_load_account, error);
    if (code == DM_OK) {
        code = load_table(engine, DM_TABLE_POLICIES, dm_accounts_load_bot, error);
    }
    dm_store_read_end(engine->store);
    return code;
}

/* ---- whose view it is ---------------------------------------------------------------- */

/* *adopts: the view knows of no log yet. */
static enum dm_code check_log(struct dm_engine *engine, struct dm_log_id *id, bool *adopts,
                              struct dm_error *error)
{
    struct dm_log_id its = {0};
    *id = dm_journal_log_id(engine->journal);
    enum dm_code code = dm_meta_log(engine->store, &its);
    if (code == DM_DATA_LOSS) { /* it only guards the rest */
        dm_engine_tell_damage(engine, "the row \"log\" of META", dm_slice_str("log"));
    }
    *adopts = code != DM_OK && dm_log_id_known(id);
    return code != DM_OK || dm_log_id_equal(&its, id)
               ? DM_OK
               : dm_fail(error, DM_FAILED_PRECONDITION,
                         "the view was made from another journal than this one");
}

/* From now on it is this log's alone. If that cannot be written, the next start tries again.
 * There is one writer at a time: what the replay brings into the view comes first. */
static void adopt_log(struct dm_engine *engine, const struct dm_log_id *id)
{
    struct dm_error error;
    enum dm_code code =
        engine->sweep.stage == DM_SWEEP_APPLIES ? dm_applier_wait(engine->applier, &error) : DM_OK;
    if (code != DM_OK || dm_meta_put_log(engine->store, id, &error) != DM_OK) {
        dm_log(DM_LOG_WARN, "view not marked as this journal's",
               DM_LOG_TEXT("reason", error.message));
    }
}

static enum dm_code recover(struct dm_engine *engine, struct dm_error *error)
{
    struct dm_log_id id;
    bool adopts = false;
    enum dm_code code = check_log(engine, &id, &adopts, error);
    if (code == DM_OK && dm_meta_applied(engine->store, &engine->applied_lsn) == DM_DATA_LOSS) {
        code = view_damaged("the row \"applied\" of META", error);
    }
    if (code == DM_OK) {
        code = load_tables(engine, error);
    }
    if (code != DM_OK) {
        return code;
    }
    if (engine->applied_lsn > dm_journal_committed(engine->journal)) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal ends at %" PRIu64 ", before what the view holds (%" PRIu64
                       "): are both folders of the same data?",
                       dm_journal_committed(engine->journal), engine->applied_lsn);
    }
    code = dm_engine_replay(engine, error);
    if (code == DM_OK && adopts) {
        adopt_log(engine, &id);
    }
    return code;
}

/* ---- all together ------------------------------------------------------------------- */

static void set_defaults(struct dm_engine *engine, const struct dm_engine_options *options)
{
    DM_ASSERT(options->order != NULL && options->journal != NULL && options->store != NULL);
    DM_ASSERT(options->horizon_ms >= 0 && options->apply_after_ms >= 0);
    engine->order = options->order;
    engine->journal = options->journal;
    engine->store = options->store;
    engine->clock = options->clock;
    engine->horizon_ms = options->horizon_ms != 0 ? options->horizon_ms : DM_HORIZON_MS;
    engine->overlay_max =
        options->overlay_max != 0 ? options->overlay_max : DM_OVERLAY_CONTACTS_MAX;
    engine->sleepers_max = options->sleepers_max != 0 ? options->sleepers_max : DM_SLEEPERS_MAX;
    engine->armed_until_ms = INT64_MIN; /* nobody, before the first loading begins */
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
        code = recover(engine, error);
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

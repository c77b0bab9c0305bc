#include "engine/sweep.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/log.h"
#include "engine/room.h"

/* A sweep takes what has gathered in the overlay, waits until all of it is durable (the
 * view must never know more than the journal), and lets the applier bring it into the
 * view. While it runs the next generation gathers; the longer it took, the more has
 * gathered, and the cheaper each contact of the next one is. */

static const int64_t trim_every_ms = 10000;
static const int64_t shed_after_ms = 30000;

/* A sweep of at most SMALL_SWEEP contacts begins as soon as it is due. A larger one gathers
 * for LARGE_SWEEP_WAITS times as long again. */
enum { SMALL_SWEEP = 16384, LARGE_SWEEP_WAITS = 9 };

/* Parts of what the overlay may hold. Above the first, a sweep begins at once. Above the second,
 * the sweep under way hurries, until the overlay is below the third. */
enum { LARGE_SHARE = 4, HURRY_SHARE = 3, NO_HURRY_SHARE = 4 };
_Static_assert(HURRY_SHARE < NO_HURRY_SHARE, "who hurries goes on for a while");
_Static_assert(HURRY_SHARE < LARGE_SHARE, "a large sweep has begun before there is a hurry");

/* How many accounts and bots a turn looks at, and after how many turns the rest is done at once.
 * The rest is what changed lately. Without that bound, a load that changes more than ROWS_PER_TURN
 * in each turn would put the sweep off for ever. */
enum { ROWS_PER_TURN = 16384, ROW_TURNS = 64 };

/* A generation that is larger than this part of the overlay does not stay for lookups after it
 * was applied: it would take much memory, and answer a small part of what is asked. */
enum { SETTLED_SHARE = 6 };

static void set_stage(struct dm_sweep *sweep, enum dm_sweep_stage stage)
{
    static const uint8_t allowed[] = {
        [DM_SWEEP_IDLE] = 1 << DM_SWEEP_WAITS_DURABLE | 1 << DM_SWEEP_APPLIES, /* a replay's is */
        [DM_SWEEP_WAITS_DURABLE] = 1 << DM_SWEEP_APPLIES,
        [DM_SWEEP_APPLIES] = 1 << DM_SWEEP_IDLE,
    };
    DM_ASSERT(allowed[sweep->stage] & 1 << stage);
    DM_ASSERT(stage == DM_SWEEP_IDLE || sweep->generation != NULL);
    sweep->stage = stage;
}

static void put_side(struct dm_engine *engine, enum dm_table table, const uint8_t *key,
                     size_t key_size, const uint8_t *row, size_t row_size)
{
    bool kept =
        dm_overlay_side(engine->overlay, table, dm_slice(key, key_size), dm_slice(row, row_size));
    DM_ASSERT(kept); /* rows were counted since the change: see room.c */
}

/* Puts the rows of the accounts that changed into the overlay: all of them, or as many as fit
 * into a turn. True when none is left. Then the rows say what is so at this moment, which
 * becomes the sweep's lsn. If an account changed again meanwhile, its later row counts. */
static bool put_rows(struct dm_engine *engine, bool all)
{
    struct dm_account *account;
    uint32_t seen = 0;
    while ((all || seen < ROWS_PER_TURN) &&
           (account = dm_accounts_take_dirty(&engine->accounts)) != NULL) {
        seen += 1 + account->bot_count;
        uint8_t key[8];
        uint8_t row[DM_ACCOUNT_ROW_MAX > DM_BOT_ROW_MAX ? DM_ACCOUNT_ROW_MAX : DM_BOT_ROW_MAX];
        dm_store_be32(key, account->number);
        put_side(engine, DM_TABLE_ACCOUNTS, key, 4, row, dm_account_row(account, row));
        for (uint32_t bot = 0; bot < account->bot_count; bot++) {
            if (dm_accounts_take_dirty_bot(&engine->accounts, &account->bots[bot])) {
                dm_store_be32(key + 4, bot);
                put_side(engine, DM_TABLE_POLICIES, key, 8, row,
                         dm_bot_row(&account->bots[bot], row));
            }
        }
    }
    DM_ASSERT((engine->accounts.dirty == 0) == (engine->accounts.dirty_bytes == 0));
    return engine->accounts.dirty == 0;
}

/* A small sweep begins soon. A large one waits to become larger: the more contacts it has, the
 * more of them share a page, and the more of them were changed twice and are written once. */
static bool worth_it(const struct dm_engine *engine, uint32_t contacts, int64_t now_ms)
{
    int64_t late_ms = now_ms - engine->sweep.due_ms;
    if (dm_engine_over_share(engine, LARGE_SHARE)) {
        return true;
    }
    return contacts <= SMALL_SWEEP ? late_ms >= 0
                                   : late_ms >= LARGE_SWEEP_WAITS * engine->apply_after_ms;
}

/* When nothing was written for a while, the memory that is kept for the next sweeps goes back
 * to the system. */
static void shed(struct dm_engine *engine, int64_t now_ms)
{
    if (now_ms < engine->shed_due_ms) {
        return;
    }
    struct dm_generation *generation = dm_overlay_shed(engine->overlay);
    if (generation != NULL) {
        dm_applier_bury(engine->applier, generation, false);
    } else {
        engine->shed_due_ms = INT64_MAX; /* until the next sweep */
    }
}

/* True: there is more to do at once. */
static bool begin(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_sweep *sweep = &engine->sweep;
    uint32_t contacts = dm_overlay_current_count(engine->overlay);
    if (contacts == 0 && engine->accounts.dirty == 0) {
        sweep->due_ms = now_ms + engine->apply_after_ms;
        shed(engine, now_ms);
        return false;
    }
    if (!worth_it(engine, contacts, now_ms)) {
        return false;
    }
    if (!put_rows(engine, ++sweep->row_turns > ROW_TURNS)) {
        return true;
    }
    sweep->upto_lsn = engine->last_lsn;
    sweep->generation = dm_overlay_freeze(engine->overlay, sweep->upto_lsn);
    if (sweep->generation != NULL) {
        set_stage(sweep, DM_SWEEP_WAITS_DURABLE);
        sweep->row_turns = 0;
    }
    return false;
}

/* The sweep's generation is in the view. */
static void settle(struct dm_engine *engine)
{
    const struct dm_sweep *sweep = &engine->sweep;
    dm_store_read_end(engine->store); /* the next read sees what was applied */
    struct dm_generation *generation = dm_overlay_drop(engine->overlay);
    DM_ASSERT(generation == sweep->generation);
    DM_ASSERT(sweep->upto_lsn >= engine->applied_lsn && sweep->upto_lsn <= engine->last_lsn);
    bool stays = dm_generation_count(generation) <= engine->overlay_max / SETTLED_SHARE;
    struct dm_generation *older = dm_overlay_settle(engine->overlay, stays ? generation : NULL);
    if (older != NULL) {
        dm_applier_bury(engine->applier, older, true);
    }
    if (!stays) {
        dm_applier_bury(engine->applier, generation, true);
    }
    engine->applied_lsn = sweep->upto_lsn;
}

static void finish(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_sweep *sweep = &engine->sweep;
    settle(engine);
    dm_journal_trim(engine->journal, engine->applied_lsn);
    engine->trim_due_ms = now_ms + trim_every_ms;
    engine->shed_due_ms = now_ms + shed_after_ms;
    set_stage(sweep, DM_SWEEP_IDLE);
    *sweep = (struct dm_sweep){.hurry = sweep->hurry, .due_ms = now_ms + engine->apply_after_ms};
}

/* Before the overlay is full, the view must catch up even at the loop's expense. */
static void pace(struct dm_engine *engine)
{
    bool hurry = dm_engine_over_share(engine, engine->sweep.hurry ? NO_HURRY_SHARE : HURRY_SHARE);
    if (hurry != engine->sweep.hurry) {
        engine->sweep.hurry = hurry;
        dm_applier_hurry(engine->applier, hurry);
    }
}

bool dm_engine_sweep(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_sweep *sweep = &engine->sweep;
    bool more = sweep->stage == DM_SWEEP_IDLE && begin(engine, now_ms);
    if (sweep->stage == DM_SWEEP_WAITS_DURABLE &&
        dm_journal_synced(engine->journal) >= sweep->upto_lsn) {
        dm_applier_begin(engine->applier, sweep->generation);
        set_stage(sweep, DM_SWEEP_APPLIES);
    }
    pace(engine);
    if (sweep->stage == DM_SWEEP_APPLIES && dm_applier_done(engine->applier)) {
        finish(engine, now_ms);
    }
    if (now_ms >= engine->trim_due_ms) {
        dm_journal_trim(engine->journal, engine->applied_lsn);
        engine->trim_due_ms = now_ms + trim_every_ms;
    }
    return more;
}

enum dm_code dm_engine_sweep_replayed(struct dm_engine *engine, uint64_t upto_lsn,
                                      struct dm_error *error)
{
    struct dm_sweep *sweep = &engine->sweep;
    if (sweep->stage == DM_SWEEP_APPLIES) {
        enum dm_code code = dm_applier_wait(engine->applier, error);
        if (code != DM_OK) {
            return code;
        }
        settle(engine); /* and nothing is trimmed: the journal is being read */
        set_stage(sweep, DM_SWEEP_IDLE);
    }
    (void)put_rows(engine, true);
    sweep->generation = dm_overlay_freeze(engine->overlay, upto_lsn);
    if (sweep->generation == NULL) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "there is no address space for another generation of the overlay");
    }
    dm_log(DM_LOG_INFO, "recovery brings changes into the view",
           DM_LOG_NUMBER("contacts", dm_generation_count(sweep->generation)),
           DM_LOG_NUMBER("upto_lsn", upto_lsn));
    sweep->upto_lsn = upto_lsn;
    set_stage(sweep, DM_SWEEP_APPLIES);
    sweep->hurry = true;
    dm_applier_hurry(engine->applier, true);
    dm_applier_begin(engine->applier, sweep->generation);
    return DM_OK;
}

#include "base/assert.h"
#include "engine/damage.h"
#include "engine/met.h"
#include "engine/read.h"
#include "engine/room.h"
#include "engine/write.h"

#include <stdlib.h>

/* A bulk change looks at every contact of an account once, in steps. First those in the
 * overlay, in whatever order, each remembered (engine/met.h); then those of the
 * view in order of their keys, the remembered ones left out. What is written meanwhile,
 * by this change or by others, was there before or comes after: nobody is seen twice,
 * nobody who was there is missed. */

struct dm_bulk {
    struct dm_engine *engine;
    struct dm_account *account; /* NULL: nobody wrote to it */
    struct dm_change change;
    uint8_t if_status, if_reason;
    bool dry_run, has_bot;
    uint8_t actor[DM_ACTOR_SIZE_MAX];
    enum { BULK_OVERLAY, BULK_VIEW, BULK_DONE } stage;
    struct dm_overlay_walk walk;
    struct dm_met met;
    struct dm_view_key at; /* VIEW: the last key looked at */
    struct dm_key current;
    bool held; /* `current` could not be changed yet (overload): it comes first */
    struct dm_bulk_progress progress;
};

static enum dm_code find_bot(struct dm_bulk *bulk, const struct dm_bulk_options *options,
                             struct dm_error *error)
{
    if (!bulk->dry_run) {
        return dm_engine_meet_bot(bulk->engine, bulk->account, options->bot_id, &bulk->change,
                                  error);
    }
    int64_t bot = dm_account_bot(bulk->account, options->bot_id);
    bulk->change.bot = bot < 0 ? 0 : (uint32_t)bot;
    return DM_OK;
}

enum dm_code dm_bulk_open(struct dm_bulk **out, struct dm_engine *engine,
                          const struct dm_bulk_options *options, struct dm_error *error)
{
    enum dm_code code = options->dry_run ? DM_OK : dm_engine_admit(engine, error);
    if (code != DM_OK) {
        return code;
    }
    struct dm_bulk *bulk = calloc(1, sizeof *bulk);
    if (bulk == NULL) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED, "no memory for another bulk change");
    }
    bulk->engine = engine;
    bulk->account = dm_engine_known(engine, options->account_id);
    bulk->change = options->change;
    bulk->if_status = options->if_status;
    bulk->if_reason = options->if_reason;
    bulk->dry_run = options->dry_run;
    memcpy(bulk->actor, options->change.actor.data == NULL ? "" : options->change.actor.data,
           options->change.actor.size);
    bulk->change.actor = dm_slice(bulk->actor, options->change.actor.size);
    if (bulk->change.reason == DM_REASON_UNSPECIFIED) {
        bulk->change.reason = DM_REASON_BULK_SET;
    }
    if (bulk->change.has_for) { /* one end for all, so that a contact met again is no change */
        bulk->change.has_for = false;
        bulk->change.has_until = true;
        bulk->change.until_ms = dm_clock_wall_ms(&engine->clock) + bulk->change.for_ms;
    }
    if (bulk->account == NULL) {
        bulk->stage = BULK_DONE;
    } else {
        bulk->walk.account = bulk->account->number;
        dm_key_make(&bulk->current, bulk->account->number, dm_slice(NULL, 0));
        (void)dm_view_key_set(&bulk->at, dm_key_slice(&bulk->current));
        code = bulk->change.has_bot ? find_bot(bulk, options, error) : DM_OK;
    }
    if (code == DM_OK && bulk->account != NULL && !bulk->dry_run &&
        dm_account_policy(bulk->account, bulk->change.bot)->mode == DM_MODE_OFF) {
        code = dm_fail(error, DM_FAILED_PRECONDITION, "the bot of this account is off");
    }
    if (code != DM_OK) {
        dm_bulk_close(bulk);
        return code;
    }
    *out = bulk;
    return DM_OK;
}

/* The next one that the overlay has, likewise. */
static bool next_of_overlay(struct dm_bulk *bulk, size_t *budget, enum dm_code *code,
                            struct dm_error *error)
{
    struct dm_engine *engine = bulk->engine;
    /* The walk meets only what is there at its first step, which is now. */
    if (bulk->met.contacts == NULL && !dm_met_init(&bulk->met, dm_overlay_count(engine->overlay))) {
        *code = dm_fail(error, DM_RESOURCE_EXHAUSTED, "no memory for another bulk change");
        return false;
    }
    while (*budget > 0) {
        struct dm_overlay_item item;
        if (!dm_engine_walk(engine, &bulk->walk, &item)) {
            bulk->stage = BULK_VIEW;
            return false;
        }
        (*budget)--;
        enum dm_met_result met = dm_met_add(&bulk->met, item.key);
        DM_ASSERT(met != DM_MET_FULL);
        if (met == DM_MET_NEW) {
            dm_key_make(&bulk->current, dm_key_account(item.key), dm_key_contact(item.key));
            return true;
        }
    }
    return false;
}

/* The next contact, into bulk->current. false: there are no more, or none within the
 * budget, or no memory (then *code is set). */
static bool next_contact(struct dm_bulk *bulk, size_t *budget, enum dm_code *code,
                         struct dm_error *error)
{
    if (bulk->stage == BULK_OVERLAY && next_of_overlay(bulk, budget, code, error)) {
        return true;
    }
    struct dm_store *store = bulk->engine->store;
    while (*budget > 0 && bulk->stage == BULK_VIEW) {
        struct dm_slice key, value;
        if (!dm_store_seek(store, DM_TABLE_CONTACTS, dm_view_key_slice(&bulk->at), true, &key,
                           &value) ||
            !dm_key_belongs(key, bulk->account->number) || !dm_view_key_set(&bulk->at, key)) {
            bulk->stage = BULK_DONE;
            break;
        }
        (*budget)--;
        if (dm_key_contact(key).size > (size_t)DM_ID_SIZE_MAX) {
            dm_engine_tell_damage(bulk->engine, "key", key);
        } else if (!dm_met_has(&bulk->met, key)) {
            dm_key_make(&bulk->current, bulk->account->number, dm_key_contact(key));
            return true;
        }
    }
    return false;
}

/* Does it match, as everyone sees it now? */
static bool matches(const struct dm_bulk *bulk, const struct dm_loaded *contact, int64_t now_ms)
{
    struct dm_contact shown;
    dm_contact_show(bulk->engine, bulk->account, dm_slice(NULL, 0), &contact->record, now_ms,
                    &shown);
    return (bulk->if_status == DM_STATUS_NONE || shown.status == bulk->if_status) &&
           (bulk->if_reason == DM_REASON_UNSPECIFIED || shown.reason == bulk->if_reason);
}

static void change_one(struct dm_bulk *bulk, const struct dm_loaded *contact, int64_t now_ms)
{
    struct dm_engine *engine = bulk->engine;
    struct dm_op op = {.kind = DM_OP_SET_STATUS, .now_ms = now_ms};
    op.set.change = bulk->change;
    uint32_t bot = bulk->change.has_bot ? bulk->change.bot : contact->record.bot;
    dm_engine_run(engine, contact, bot, &op);
    bulk->progress.changed += engine->step.code == DM_OK && engine->step.answer.changed;
}

/* Looks at bulk->current, unless it was deleted, or is damaged (and told). */
static void look_at_one(struct dm_bulk *bulk, int64_t now_ms)
{
    const struct dm_loaded *contact;
    if (dm_engine_load_key(bulk->engine, dm_key_slice(&bulk->current), &contact, NULL) != DM_OK ||
        contact->record.status == DM_STATUS_NONE) {
        return;
    }
    bulk->progress.scanned++;
    if (!matches(bulk, contact, now_ms)) {
        return;
    }
    bulk->progress.matched++;
    bulk->progress.skipped_locked += contact->record.locked && !bulk->change.unlock;
    if (!bulk->dry_run) {
        change_one(bulk, contact, now_ms);
    }
}

enum dm_next dm_bulk_step(struct dm_bulk *bulk, struct dm_bulk_progress *progress, size_t budget,
                          struct dm_error *error)
{
    struct dm_engine *engine = bulk->engine;
    int64_t now_ms = dm_clock_wall_ms(&engine->clock);
    enum dm_code code = DM_OK;
    while (bulk->held || next_contact(bulk, &budget, &code, error)) {
        if (!bulk->dry_run) {
            code = dm_engine_admit(engine, error);
            if (code == DM_OK) {
                code = dm_engine_admit_snooze(engine, &bulk->change, &bulk->current, error);
            }
            bulk->held = code == DM_RESOURCE_EXHAUSTED;
            if (code != DM_OK) {
                break;
            }
        }
        look_at_one(bulk, now_ms);
    }
    DM_ASSERT(bulk->progress.changed <= bulk->progress.matched &&
              bulk->progress.matched <= bulk->progress.scanned);
    *progress = bulk->progress;
    if (code != DM_OK && !bulk->held) {
        return DM_NEXT_FAILED;
    }
    return bulk->stage == BULK_DONE && !bulk->held ? DM_NEXT_END : DM_NEXT_PENDING;
}

void dm_bulk_close(struct dm_bulk *bulk)
{
    if (bulk != NULL) {
        dm_met_finish(&bulk->met);
        free(bulk);
    }
}

#ifndef DM_ENGINE_INTERNAL_H
#define DM_ENGINE_INTERNAL_H

#include "engine/accounts.h"
#include "engine/cache.h"
#include "engine/engine.h"
#include "engine/entry.h"
#include "engine/sleepers.h"
#include "view/overlay.h"
#include "view/wake_key.h"

/* The engine's own state, for the files of this folder. */

/* A key as it lies in the view, whatever it says: where a walk goes on. */
struct dm_view_key {
    size_t size; /* 0: none */
    uint8_t bytes[DM_STORE_KEY_SIZE_MAX];
};

/* What was met in the view that is damaged, and the lines of the log that are left for it. */
struct dm_damage {
    uint64_t met;
    uint64_t earned_ns;
    uint32_t lines;
};

/* Loading of what sleeps within the horizon, in small steps: first the overlay, then the
 * view's index account by account. Snoozes that end at or before `armed_until` and are
 * set after a loading began arm their timer themselves. */
struct dm_topup {
    enum { DM_TOPUP_IDLE, DM_TOPUP_OVERLAY, DM_TOPUP_INDEX } stage;
    int64_t from_ms, to_ms; /* ends in (from, to] are being loaded */
    struct dm_overlay_walk walk;
    uint32_t account;          /* INDEX: which one */
    struct dm_view_key cursor; /* INDEX: the last looked at; empty: none of this account yet */
};

/* One generation of the overlay on its way into the view. */
struct dm_sweep {
    enum { DM_SWEEP_IDLE, DM_SWEEP_WAITS_DURABLE, DM_SWEEP_APPLIES } stage;
    struct dm_generation *generation;
    uint64_t upto_lsn;
    bool hurry;         /* the applier was told to */
    int64_t due_ms;     /* IDLE: when the next may begin */
    uint32_t row_turns; /* IDLE: that have gone into rows of accounts already */
};

/* Wakes that are ordered and not yet durable, for the lag histogram: a ring. */
struct dm_lag_ring {
    struct dm_lag {
        uint64_t lsn;
        int64_t due_ms;
    } * items;
    uint32_t head, count, capacity; /* capacity: a power of two */
};

/* A contact that calls are about: what its names lead to, as long as the process lives. */
struct dm_contact_ref {
    struct dm_account *account;
    struct dm_key key;
    struct dm_wide_hash hash; /* of the key */
};

/* One contact as a call has read it. */
struct dm_loaded {
    struct dm_contact_ref ref;
    struct dm_record record; /* status NONE: there is none, or it is damaged */
};

static inline struct dm_hashed_key dm_ref_key(const struct dm_contact_ref *ref)
{
    return (struct dm_hashed_key){.key = dm_key_slice(&ref->key), .hash = ref->hash.low};
}

struct dm_engine {
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_clock clock;
    struct dm_overlay *overlay;
    struct dm_applier *applier;
    struct dm_sleepers *sleepers;
    struct dm_accounts accounts;
    struct dm_check_cache cache;

    uint64_t last_seq; /* ordered, durable or not */
    uint64_t applied_lsn;
    uint32_t overlay_max, sleepers_max;
    int64_t horizon_ms, apply_after_ms;
    int64_t clock_ms; /* the latest that a turn saw, unless the clock was set back since */
    int64_t armed_until_ms;
    bool crowded; /* timers ran out since the last loading began: armed_until was lowered */
    bool crowded_told;
    int64_t far_wake_ms; /* a wake beyond the horizon is not earlier than this; INT64_MAX: none */
    int64_t trim_due_ms;
    int64_t shed_due_ms;
    struct dm_topup topup;
    struct dm_sweep sweep;
    struct dm_lag_ring lags;
    struct dm_damage damage;
    uint64_t wakes;
    struct dm_histogram wake_lag_ms;

    uint64_t seen_lsn; /* the newest that the call under way has read or ordered */

    /* Scratch of the call under way: large, so not on the stack. */
    struct dm_loaded loaded; /* where dm_engine_load puts it */
    struct dm_step step;
    /* Contacts of the next calls, and how many of them had theirs. */
    struct dm_contact_ref ahead[DM_PREFETCH_MAX];
    size_t ahead_count, ahead_taken;
    struct dm_contact_ref ref; /* of one that was not among them */
    uint8_t entry[DM_ENTRY_SIZE_MAX];
    uint8_t encoded[DM_RECORD_SIZE_MAX];
};

/* ---- what a call sees ---------------------------------------------------------- */

/* The call under way has read, or ordered, what the entry at `lsn` tells. Whatever leads to
 * data notes it itself: dm_engine_known, dm_engine_refer, dm_engine_find, dm_engine_walk,
 * dm_contact_show, dm_engine_run, and all that is appended. So who reads through these cannot
 * forget it. */
static inline void dm_engine_see(struct dm_engine *engine, uint64_t lsn)
{
    engine->seen_lsn = lsn > engine->seen_lsn ? lsn : engine->seen_lsn;
}

/* ---- read.c ------------------------------------------------------------------- */

/* The account of that name, seen with its bots and policies; NULL: there is none, and that
 * cannot be lost. */
struct dm_account *dm_engine_known(struct dm_engine *engine, struct dm_slice account_id);
/* dm_overlay_walk, seen. */
bool dm_engine_walk(struct dm_engine *engine, struct dm_overlay_walk *walk,
                    struct dm_overlay_item *item);

/* A contact's encoded newest record, seen. NOT_FOUND: never written to, or deleted. DATA_LOSS:
 * it is in the view, and damaged (*value is what lies there). *lsn (may be NULL): of the entry
 * that tells so, 0 when it came from the view (which holds only what is durable); of what is
 * not there, the account's newest delete counts, too: it raised what is shown of those never
 * written to. The slice is valid until the next put, sweep step or end of the turn. */
enum dm_code dm_engine_find(struct dm_engine *engine, struct dm_hashed_key key,
                            struct dm_slice *value, uint64_t *lsn);
/* Where the names lead; NULL: there is no such account. Good until the next call. */
const struct dm_contact_ref *dm_engine_refer(struct dm_engine *engine, struct dm_slice account_id,
                                             struct dm_slice contact_id);
/* Its contact, found and decoded (after DATA_LOSS, too: as one that is not there). Good until
 * the next one is loaded. */
enum dm_code dm_engine_load(struct dm_engine *engine, const struct dm_contact_ref *ref,
                            const struct dm_loaded **contact, struct dm_error *error)
    __attribute__((warn_unused_result));
enum dm_code dm_engine_load_key(struct dm_engine *engine, struct dm_slice key,
                                const struct dm_loaded **contact, struct dm_error *error)
    __attribute__((warn_unused_result));
/* A stored record as it is shown. */
void dm_contact_show(struct dm_engine *engine, const struct dm_account *account,
                     struct dm_slice contact_id, const struct dm_record *record, int64_t now_ms,
                     struct dm_contact *out);

/* ---- damage.c ----------------------------------------------------------------- */

/* Counts it, and tells the log (within bounds) which row it was. */
void dm_engine_tell_damage(struct dm_engine *engine, const char *what, struct dm_slice key);
/* Is this row of CONTACTS as it was put there? false: it was told. */
bool dm_engine_sound(struct dm_engine *engine, struct dm_slice key, struct dm_slice value);
/* DATA_LOSS, with a sentence that names the contact and says what helps. */
enum dm_code dm_engine_damaged(const struct dm_engine *engine, struct dm_slice key,
                               struct dm_error *error);
/* The contact, whose record is damaged, is no more: the change that says so. */
void dm_engine_discard(struct dm_engine *engine, const struct dm_contact_ref *ref,
                       struct dm_transition *change);

static inline bool dm_key_belongs(struct dm_slice key, uint32_t account)
{
    return key.size >= sizeof account && dm_key_account(key) == account;
}

static inline struct dm_slice dm_view_key_slice(const struct dm_view_key *key)
{
    return dm_slice(key->bytes, key->size);
}

/* false: it is longer than any key can be, and no walk goes on behind it. */
static inline bool dm_view_key_set(struct dm_view_key *key, struct dm_slice bytes)
{
    if (bytes.size > sizeof key->bytes) {
        return false;
    }
    memcpy(key->bytes, bytes.data, bytes.size);
    key->size = bytes.size;
    return true;
}

/* ---- write.c ------------------------------------------------------------------ */

/* The account by name, made if it is new. NULL past DM_ACCOUNTS_MAX, or without memory. */
struct dm_account *dm_engine_account(struct dm_engine *engine, struct dm_slice account_id);
/* Runs `op` on the contact, under the policy of that bot, and commits what comes of it; the
 * result is in engine->step. What was loaded stays as it was read. */
void dm_engine_run(struct dm_engine *engine, const struct dm_loaded *contact, uint32_t policy_bot,
                   struct dm_op *op);
/* Makes a bot's number durable together with its policy. */
void dm_engine_put_bot(struct dm_engine *engine, struct dm_account *account, uint32_t bot);
/* The bot that a change hands contacts to, into change->bot; made if it is new. */
enum dm_code dm_engine_meet_bot(struct dm_engine *engine, struct dm_account *account,
                                struct dm_slice bot_id, struct dm_change *change,
                                struct dm_error *error);

/* ---- room.c ------------------------------------------------------------------- */

/* May one more contact be written now? RESOURCE_EXHAUSTED, UNAVAILABLE. */
enum dm_code dm_engine_admit(struct dm_engine *engine, struct dm_error *error);
/* May it be this change? RESOURCE_EXHAUSTED: it is a snooze that needs a timer, and there is
 * none left for callers. `key` NULL: of an account that is new. */
enum dm_code dm_engine_admit_snooze(struct dm_engine *engine, const struct dm_change *change,
                                    const struct dm_key *key, struct dm_error *error);
/* How many wakes may be ordered now. */
size_t dm_engine_wakes_room(const struct dm_engine *engine);
/* Bytes of the overlay, with those that rows of what changed will take. */
size_t dm_engine_used(const struct dm_engine *engine);
/* Is the overlay fuller than the share-th part of what callers may fill? */
bool dm_engine_over_share(const struct dm_engine *engine, uint32_t share);
/* Has the overlay room for one more entry of the journal, whatever it is? */
bool dm_engine_replay_fits(const struct dm_engine *engine);
/* Timers that loading from the index leaves. */
uint32_t dm_engine_timers_for_rules(const struct dm_engine *engine);

/* ---- wakes.c ------------------------------------------------------------------ */

/* Arms, moves or takes away the contact's timer after a write. */
void dm_engine_time(struct dm_engine *engine, struct dm_slice key, const struct dm_record *record,
                    uint8_t from);
/* true: there is more to do at once. */
bool dm_engine_fire(struct dm_engine *engine, int64_t now_ms);
bool dm_engine_topup(struct dm_engine *engine, int64_t now_ms);
void dm_engine_topup_begin(struct dm_engine *engine, int64_t from_ms, int64_t now_ms);
/* A wake is ordered, by a timer or by a mutation that met it: counted once it is durable. */
void dm_engine_note_wake(struct dm_engine *engine, uint64_t lsn, int64_t due_ms);
/* The wall clock was set back: timers and dates that were made before hold no more. */
void dm_engine_set_back(struct dm_engine *engine, int64_t now_ms);
void dm_engine_note_lags(struct dm_engine *engine, int64_t now_ms);

/* ---- sweep.c ------------------------------------------------------------------ */

/* true: there is more to do at once. */
bool dm_engine_sweep(struct dm_engine *engine, int64_t now_ms);
/* During recovery: brings what was replayed, all up to `upto_lsn`, on its way into the view,
 * once what went before is there. Not OK: why that cannot be done now; nothing is lost. */
enum dm_code dm_engine_sweep_replayed(struct dm_engine *engine, uint64_t upto_lsn,
                                      struct dm_error *error);

/* ---- recover.c ---------------------------------------------------------------- */

enum dm_code dm_engine_recover(struct dm_engine *engine, struct dm_error *error);

/* ---- events.c ----------------------------------------------------------------- */

bool dm_event_read(const struct dm_engine *engine, const struct dm_entry *entry,
                   struct dm_event *event);

#endif

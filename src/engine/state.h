#ifndef DM_ENGINE_STATE_H
#define DM_ENGINE_STATE_H

#include "engine/accounts.h"
#include "engine/check_cache.h"
#include "engine/engine.h"
#include "engine/entry.h"
#include "engine/sleepers.h"
#include "view/overlay.h"
#include "view/wake_key.h"
#include "view/walk.h"

#include <pthread.h>

/* The engine's own state, for the files of this folder. */

/* A key as it lies in the view, whatever it says: where a walk goes on. */
struct dm_view_key {
    size_t size; /* 0: none */
    uint8_t bytes[DM_STORE_KEY_SIZE_MAX];
};

_Static_assert((int)DM_WAKE_KEY_SIZE_MAX <= (int)DM_STORE_KEY_SIZE_MAX &&
                   (int)DM_KEY_SIZE_MAX <= (int)DM_STORE_KEY_SIZE_MAX,
               "every key that is made has room");

/* Damage that was met in the view, and how many lines may be logged about it now. */
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
    enum dm_sweep_stage { DM_SWEEP_IDLE, DM_SWEEP_WAITS_DURABLE, DM_SWEEP_APPLIES } stage;
    struct dm_generation *generation;
    uint64_t upto_lsn;
    bool hurry;         /* the applier was told to */
    int64_t due_ms;     /* IDLE: when the next may begin */
    uint32_t row_turns; /* IDLE: turns that rows of accounts have taken already */
};

/* Wakes that are ordered and not yet durable, for the lag histogram: a ring. */
struct dm_lag_ring {
    struct dm_lag {
        uint64_t lsn;
        int64_t due_ms;
    } * items;
    uint32_t head, count, capacity; /* capacity: a power of two */
};

/* What the names of a contact lead to. It holds as long as the process lives. */
struct dm_contact_ref {
    struct dm_account *account;
    struct dm_key key;
    struct dm_wide_hash hash; /* of the key */
};

_Static_assert(sizeof(struct dm_contact_ref) <= 96, "those that are looked up ahead are 3 KiB");

/* One contact as a call has read it. */
struct dm_loaded {
    struct dm_contact_ref ref;
    struct dm_record record; /* status NONE: there is none, or it is damaged */
};

static inline void dm_ref_make(struct dm_contact_ref *ref, struct dm_account *account,
                               struct dm_slice contact_id)
{
    ref->account = account;
    dm_key_make(&ref->key, account->number, contact_id);
    ref->hash = dm_keyed_hash_wide(ref->key.bytes, ref->key.size);
}

static inline struct dm_hashed_key dm_ref_key(const struct dm_contact_ref *ref)
{
    return (struct dm_hashed_key){.key = dm_key_slice(&ref->key), .hash = ref->hash.low};
}

struct dm_engine {
    struct dm_order *order;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_clock clock;
    pthread_t owner; /* the thread that took the first turn takes all of them */
    bool owned;
    struct dm_overlay *overlay;
    struct dm_applier *applier;
    struct dm_sleepers *sleepers;
    struct dm_accounts accounts;
    struct dm_check_cache cache;

    uint64_t last_lsn, last_seq; /* of what was enacted, durable or not (engine/enact.h) */
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

#endif

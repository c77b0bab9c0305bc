#ifndef DM_ENGINE_ENGINE_H
#define DM_ENGINE_ENGINE_H

#include "base/clock.h"
#include "base/code.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "core/ident.h"
#include "core/policy.h"
#include "core/step.h"
#include "journal/journal.h"
#include "view/applier.h"
#include "view/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Puts operations into one order, runs the core on each, journals what comes of it,
 * and keeps overlay, view and timers in step. One thread (the loop) makes all calls;
 * none of them blocks. Nothing here knows of sockets or of libuv.
 *
 * What a call answers may not be shown before it is durable. The engine notes what is read
 * and what is ordered, whichever of its functions does it; so whoever answers calls
 * dm_engine_call_begin before, and shows nothing (no refusal either) before dm_engine_durable
 * has reached the dm_engine_barrier of after.
 *
 * Ids that come in have passed dm_id_check. */

struct dm_engine;

struct dm_engine_options {
    struct dm_order *order;     /* borrowed: decides what comes next in the journal */
    struct dm_journal *journal; /* borrowed, just opened */
    struct dm_store *store;     /* borrowed, just opened */
    struct dm_clock clock;
    int64_t horizon_ms;        /* 0: DM_HORIZON_MS */
    uint32_t overlay_max;      /* contacts; 0: DM_OVERLAY_CONTACTS_MAX */
    uint32_t sleepers_max;     /* on the wheel at once; 0: DM_SLEEPERS_MAX */
    int64_t apply_after_ms;    /* how long a change may wait for the next sweep; 0: 1000 */
    uint32_t contacts_per_txn; /* 0: the applier's default */
    uint64_t cache_bytes; /* what Check needs of contacts asked for lately; 0: DM_CACHE_BYTES */
    bool manual_applier;  /* no applier thread: see dm_engine_apply_work */
    void (*notify)(void *context); /* from the applier's thread: call dm_engine_turn soon */
    void *notify_context;
};

/* Recovers: reads what the view holds, then the journal's rest; what of that exceeds half of
 * overlay_max is brought into the view at once. FAILED_PRECONDITION when the view was made
 * from another journal (one that is new, or from before journals had ids, becomes this
 * one's). DATA_LOSS when something is damaged that everything hangs on, or entries are missing,
 * RESOURCE_EXHAUSTED when the rest fits neither into the view nor into memory. */
enum dm_code dm_engine_open(struct dm_engine **engine, const struct dm_engine_options *options,
                            struct dm_error *error);
void dm_engine_close(struct dm_engine *engine);

/* One bounded piece of everything that is due: wakes, loading of sleepers, sweeps,
 * retention; then hands the journal what has gathered. Returns in how many
 * milliseconds it wants to be called again at the latest (0: at once; at most 1,000,
 * so that steps of the wall clock are seen). */
int dm_engine_turn(struct dm_engine *engine);

/* Hands what was ordered since to the journal's writer: after every round of calls. */
void dm_engine_flush(struct dm_engine *engine);

/* A call begins (0), or goes on that had this barrier when it was left. */
void dm_engine_call_begin(struct dm_engine *engine, uint64_t barrier);
/* The lsn that must be durable before anything may be shown that the call read or ordered; 0:
 * all of it is. */
uint64_t dm_engine_barrier(struct dm_engine *engine);
uint64_t dm_engine_durable(struct dm_engine *engine);
/* An eventfd that becomes readable when that has moved, or nothing can be written any more:
 * who waits for it reads it, and calls dm_engine_turn. -1: nothing moves by itself. */
int dm_engine_event(struct dm_engine *engine);
/* OK; UNAVAILABLE when nothing can be written (the sentence says why). */
enum dm_code dm_engine_writable(struct dm_engine *engine, struct dm_error *error);
/* The journal failed for good: no pending answer will ever be true; stop the process. */
bool dm_engine_failed(struct dm_engine *engine, struct dm_error *error);
/* With manual_applier: one transaction. false: nothing to do. */
bool dm_engine_apply_work(struct dm_engine *engine);

/* ---- one contact ----------------------------------------------------------- */

/* Each of them answers DATA_LOSS, and nothing else, when the contact's record in the view is
 * damaged; the sentence names it. Two changes help: a delete, and a SET_STATUS that may
 * override whatever was there (`unlock`, and no if_revision). Then it is as one deleted
 * just before: another bot, remembered requests and the history of before are lost. */

/* Check: no allocation, no copy. Fills what a CheckResponse shows: status, reason, mode,
 * decision and its reason, expired, limited, messages_left, bot, bot_messages, fence,
 * until_ms. */
enum dm_code dm_engine_check(struct dm_engine *engine, struct dm_slice account_id,
                             struct dm_slice contact_id, struct dm_effective *out,
                             struct dm_error *error);

/* Contacts that the next calls will be about: fetches what they will look at into the
 * processor's caches, all at once instead of one miss after the other. Only a hint. */
enum { DM_PREFETCH_MAX = 32 };
struct dm_contact_name {
    struct dm_slice account_id, contact_id; /* not checked */
};
void dm_engine_prefetch(struct dm_engine *engine, const struct dm_contact_name *names,
                        size_t count);

/* A contact in full. Slices are valid until the next call into the engine. */
struct dm_contact {
    struct dm_slice account_id, contact_id, bot_id, actor;
    uint8_t status, reason, mode;
    bool locked;
    uint32_t bot_messages, missed_inbound;
    int64_t since_ms, until_ms; /* 0: unset */
    uint64_t fence, revision, last_seq;
};
enum dm_code dm_engine_get(struct dm_engine *engine, struct dm_slice account_id,
                           struct dm_slice contact_id, struct dm_contact *out,
                           struct dm_error *error);

/* The result of a mutation: the contact after it (or as it was when the same request_id
 * was answered first), and the call's own results. */
struct dm_outcome {
    struct dm_contact contact;
    uint8_t decision;
    bool granted, changed, existed;
};

/* SET_STATUS, COMMIT_REPLY, ACTIVITY or DELETE (of which only `existed` is filled in). The
 * caller fills kind, request and the kind's own part; the rest of `op` is filled in here. `bot_id`
 * with op->set.change.has_bot: the bot by name. Slices in `out` are valid until the next call into
 * the engine. RESOURCE_EXHAUSTED and UNAVAILABLE when nothing can be taken. */
enum dm_code dm_engine_mutate(struct dm_engine *engine, struct dm_slice account_id,
                              struct dm_slice contact_id, struct dm_slice bot_id, struct dm_op *op,
                              struct dm_outcome *out, struct dm_error *error);

/* ---- policies and numbers --------------------------------------------------- */

/* The policy in force (defaults when none was set). */
void dm_engine_policy(struct dm_engine *engine, struct dm_slice account_id, struct dm_slice bot_id,
                      struct dm_policy *out);
/* Replaces it; `policy` has passed dm_policy_check; its revision is set here. */
enum dm_code dm_engine_set_policy(struct dm_engine *engine, struct dm_slice account_id,
                                  struct dm_slice bot_id, struct dm_policy *policy,
                                  bool has_if_revision, uint64_t if_revision,
                                  struct dm_error *error);

struct dm_counts {
    uint64_t contacts, active, snoozed, inactive;
};
struct dm_engine_stats {
    struct dm_counts counts; /* of the account asked for, or of all */
    /* 0: none known. Of the account: as far as its first 1,024 contacts in the overlay tell. Of
     * the whole server: to the millisecond when it is near; else it may be told too early. */
    int64_t next_wake_ms;
    uint64_t wakes, last_seq, oldest_seq;
    uint32_t accounts, sleepers; /* sleepers: on the wheel */
    uint32_t overlay_contacts;
    uint32_t overlay_contacts_max, sleepers_max; /* past them callers are refused */
    uint64_t overlay_used, overlay_used_max;     /* bytes, likewise */
    uint64_t overlay_bytes, sleeper_bytes, view_bytes;
    uint64_t cache_bytes, cache_hits, cache_misses; /* of Checks, since start */
    uint64_t applied_lsn;
    uint64_t damage; /* records and index entries of the view met that are damaged, since start */
    const struct dm_histogram *wake_lag_ms; /* commit time - due time, since start */
    struct dm_order_stats order;
    struct dm_journal_stats journal;
    struct dm_applier_stats applier;
};
/* `account_id` empty: the whole server. Large: call it for people, not for calls. */
void dm_engine_stats(struct dm_engine *engine, struct dm_slice account_id,
                     struct dm_engine_stats *out);

/* ---- events ------------------------------------------------------------------ */

struct dm_event {
    uint64_t seq, previous_seq, fence;
    int64_t at_ms, until_ms, due_ms; /* 0: unset */
    struct dm_slice account_id, contact_id, actor;
    uint8_t from, to, reason;
    uint32_t missed_inbound;
};

enum dm_next {
    DM_NEXT_ITEM,
    DM_NEXT_PENDING, /* the budget is spent; call again in a later turn */
    DM_NEXT_END,     /* a feed: nothing more for now */
    DM_NEXT_GONE,    /* a feed: the cursor is older than what is kept */
    DM_NEXT_DAMAGED, /* a history: the contact's record in the view is damaged */
    DM_NEXT_FAILED,
};

/* Durable events after a seq, in order. Slices of *event are valid until the next call
 * with the same feed. `budget`: bytes, lowered by what was looked at. */
struct dm_feed;
struct dm_feed *dm_feed_open(struct dm_engine *engine, uint64_t after_seq);
enum dm_next dm_feed_next(struct dm_feed *feed, struct dm_event *event, size_t *budget);
void dm_feed_close(struct dm_feed *feed);
uint64_t dm_engine_last_seq(struct dm_engine *engine);   /* newest durable event */
uint64_t dm_engine_oldest_seq(struct dm_engine *engine); /* oldest kept event */

/* One contact's events, newest first, those before `before_seq` (0: from the newest). */
struct dm_history;
struct dm_history *dm_history_open(struct dm_engine *engine, struct dm_slice account_id,
                                   struct dm_slice contact_id, uint64_t before_seq);
enum dm_next dm_history_next(struct dm_history *history, struct dm_event *event, size_t *budget);
void dm_history_close(struct dm_history *history);

/* ---- scans ------------------------------------------------------------------- */

enum dm_scan_order { DM_SCAN_BY_CONTACT, DM_SCAN_BY_WAKE };

/* One page of an account's contacts, view and overlay merged: at most `limit` items
 * after the position (empty contact: from the start). `status` 0: all. Status is the
 * effective one. A contact whose record in the view is damaged is left out, and told
 * (log, `damage` of the stats). */
struct dm_scan_options {
    struct dm_slice account_id;
    enum dm_scan_order order;
    uint8_t status;
    uint32_t limit;
    struct dm_slice after_contact; /* copied */
    int64_t after_until_ms;        /* BY_WAKE */
};
struct dm_scan;
struct dm_scan *dm_scan_open(struct dm_engine *engine, const struct dm_scan_options *options);
/* PENDING until the page is gathered, then its items one by one, then END. `budget`: entries
 * looked at. */
enum dm_next dm_scan_next(struct dm_scan *scan, struct dm_contact *contact, size_t *budget);
bool dm_scan_more(const struct dm_scan *scan); /* at END: is there a next page? */
/* With `more`: the position after which the next page begins (valid until close). */
void dm_scan_last(const struct dm_scan *scan, struct dm_slice *contact, int64_t *until_ms);
void dm_scan_close(struct dm_scan *scan);

struct dm_bulk_progress {
    uint64_t scanned, matched, changed, skipped_locked;
};
struct dm_bulk_options {
    struct dm_slice account_id, bot_id;
    uint8_t if_status, if_reason; /* 0: any */
    struct dm_change change;      /* checked; its slices are copied */
    bool dry_run;
};
struct dm_bulk;
enum dm_code dm_bulk_open(struct dm_bulk **bulk, struct dm_engine *engine,
                          const struct dm_bulk_options *options, struct dm_error *error);
/* PENDING: more to do (progress says how far); END: done; FAILED: `error` says why, what was
 * changed so far stays. Every contact there at the start is looked at once, but for those
 * whose record in the view is damaged: they are left as they are, and told. */
enum dm_next dm_bulk_step(struct dm_bulk *bulk, struct dm_bulk_progress *progress, size_t budget,
                          struct dm_error *error);
void dm_bulk_close(struct dm_bulk *bulk);

#endif

#ifndef DM_TESTS_SIM_SIM_H
#define DM_TESTS_SIM_SIM_H

#include "engine/engine.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"
#include "sim/model.h"

#include <stdbool.h>
#include <stdint.h>

/* One run: the real engine, core, wheel, file journal and applier over a disk, a clock
 * and a store that are simulated, beside the model that tells what should be. Every
 * random choice comes from the seed, so a seed is a run. */

enum { OVERLAY_LARGE = 16384, OVERLAY_SMALL = 60, OVERLAY_SMALLER = 20 };
enum { WATCHER_COUNT = 3, UNACKED_MAX = 512, NAME_MAX_SIZE = 64 };

/* What differs from seed to seed. */
struct sim_config {
    int64_t horizon_ms, apply_after_ms;
    uint32_t contacts_per_txn, contacts;
    int64_t snooze_max_ms;
    uint32_t overlay_max, sleepers_max; /* small ones are met in every run that has them */
    bool faults;                        /* of the disk; restarts and crashes are in every run */
    bool clock_steps;
};

/* A client waits for `barrier` with an answer that shows what `needed` made. */
struct unacked {
    uint64_t needed, barrier;
};

struct watcher {
    uint64_t cursor; /* stored by the client: survives everything */
    struct dm_feed *feed;
};

struct bulk_run {
    struct dm_bulk *bulk; /* NULL: none */
    unsigned account;
    bool dry_run;
    int bot_name; /* -1: none */
    uint8_t if_status, if_reason;
    struct dm_change change; /* as the engine makes it: reason and one end for all */
    uint64_t start_lsn, last_lsn, existed, changed;
    uint64_t needed;  /* what it has read when it is through */
    uint64_t barrier; /* the engine's, between its steps */
    bool matched_at_start[CONTACT_MAX];
};

struct scan_run {
    struct dm_scan *scan; /* NULL: none */
    unsigned account;
    enum dm_scan_order order;
    uint8_t status;
    uint64_t start_lsn;
    uint64_t needed;  /* what it has read when it is through */
    uint64_t barrier; /* the engine's, between its steps */
    bool at_start[CONTACT_MAX], returned[CONTACT_MAX];
    bool awake_at_start[CONTACT_MAX]; /* no time takes it out of the list */
};

/* A damaged record in the view. */
struct rot {
    bool planted;
    unsigned account, contact;
    uint64_t start_lsn; /* the newest when it was damaged */
};

struct sim {
    uint64_t seed;
    struct sim_config config;
    struct virtual_clock clock;
    struct dm_sim_disk *disk;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    struct model *model;
    char names[CONTACT_MAX][NAME_MAX_SIZE];

    uint64_t acked_lsn;   /* somebody was told: it must never be lost */
    uint64_t durable_lsn; /* the last one seen: never goes back while the process lives */
    struct unacked unacked[UNACKED_MAX];
    unsigned unacked_count;
    uint64_t wakes;        /* ordered since the engine was opened */
    int64_t high_ms;       /* the latest that a turn saw, unless the clock was set back far since */
    bool view_full;        /* no commit of the applier succeeds, over restarts too */
    uint32_t overlay_most; /* the largest overlay_max that the engine had */
    bool stepped_back;     /* the clock was set back since the engine was opened */
    struct watcher watchers[WATCHER_COUNT];
    struct bulk_run bulk;
    struct scan_run scan;
    struct rot rot;
    struct dm_step step; /* scratch */
};

/* ---- main.c: telling -------------------------------------------------------------- */

/* A line of the trace, when one is wanted. */
void sim_say(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The run is over: the engine did not do what the model says. */
_Noreturn void sim_fail(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `what` with a name, an expected and a found number. */
void sim_equal(const struct sim *sim, const char *what, const char *whose, uint64_t expected,
               uint64_t found);

/* ---- random ------------------------------------------------------------------------- */

static inline uint64_t pick(uint64_t *random, uint64_t below)
{
    return dm_test_random(random) % below;
}

static inline bool chance(uint64_t *random, unsigned percent)
{
    return pick(random, 100) < percent;
}

/* From min to max, small ones as likely as large ones. */
int64_t pick_span(uint64_t *random, int64_t min, int64_t max);

/* ---- names -------------------------------------------------------------------------- */

extern const char *const account_names[ACCOUNT_COUNT];
extern const char *const bot_names[BOT_COUNT];
struct dm_slice account_slice(unsigned account);
struct dm_slice contact_slice(const struct sim *sim, unsigned contact);
/* -1: no such name. */
int contact_of(const struct sim *sim, struct dm_slice id);

/* ---- world.c: the process and its machine ----------------------------------------------- */

void world_create(struct sim *sim);
void world_destroy(struct sim *sim);
/* The process ends in good order and starts again. */
void world_restart(struct sim *sim);
/* The power is cut. */
void world_crash(struct sim *sim, uint64_t seed);
/* The journal's writer does one piece of work; sees to what comes of it: answers that
 * may be given now, a machine that is gone, a process that must restart. */
bool world_work(struct sim *sim, uint64_t *random);
/* A client asks for something: what the engine reads from here on is for the answer. */
void world_ask(struct sim *sim);
/* It is shown the answer as soon as the barrier is durable, and `needed` must be by then. */
void world_show(struct sim *sim, uint64_t needed, uint64_t barrier);
bool world_writable(struct sim *sim);
/* Is what callers may fill of the overlay full, so that changes are refused? */
bool world_overlay_full(struct sim *sim);
/* Are there no timers for callers, so that snoozes are refused? */
bool world_timers_out(struct sim *sim);
void world_fill_view(struct sim *sim, bool full);
/* The process starts again with another bound of its overlay. */
void world_resize(struct sim *sim, uint32_t overlay_max);
/* One turn; all wakes it ordered are found and held against the model. */
int world_turn(struct sim *sim);
/* Turns until nothing wants to be done at once; then nobody who is due still sleeps. */
void world_settle(struct sim *sim);
/* Turns, writes, syncs and applies until nothing is left. */
void world_drain(struct sim *sim, uint64_t *random);

/* ---- ops.c: what clients and the world do ------------------------------------------------- */

struct sim_op {
    uint8_t kind;
    uint64_t word; /* all its choices come from here, so it means the same without its
                      neighbours */
};
void ops_make(uint64_t seed, struct sim_op *ops, unsigned count, const struct sim_config *config);
void ops_run(struct sim *sim, const struct sim_op *op);

/* ---- mutate.c: changes of one contact, policies --------------------------------------------- */

void do_set_status(struct sim *sim, uint64_t *random);
/* Sets or deletes this contact. */
void change_one(struct sim *sim, uint64_t *random, unsigned account, unsigned contact);
void do_commit_reply(struct sim *sim, uint64_t *random);
void do_activity(struct sim *sim, uint64_t *random);
void do_delete(struct sim *sim, uint64_t *random);
void do_policy(struct sim *sim, uint64_t *random);
/* Many accounts get a policy. */
void do_accounts(struct sim *sim, uint64_t *random);
/* Hundreds of contacts fall asleep until about the same time. */
void do_burst(struct sim *sim, uint64_t *random);
void pick_change(struct sim *sim, uint64_t *random, struct dm_change *change);

/* ---- bulk.c ------------------------------------------------------------------------------------
 */

void do_bulk(struct sim *sim, uint64_t *random);
void bulk_finish(struct sim *sim, uint64_t *random);
void bulk_forget(struct sim *sim);

/* ---- rot.c ---------------------------------------------------------------------------- */

void do_rot(struct sim *sim, uint64_t *random);
/* Its record in the view is damaged now. */
bool sim_rotten(const struct sim *sim, unsigned account, unsigned contact);

/* ---- events.c ----------------------------------------------------------------------------------
 */

void do_watch(struct sim *sim, uint64_t *random);
void watch_to_end(struct sim *sim, unsigned watcher, unsigned events_max);
void do_history(struct sim *sim, uint64_t *random);

/* ---- check.c -----------------------------------------------------------------------------------
 */

/* One contact as Check and GetContact tell it. */
void check_contact(struct sim *sim, unsigned account, unsigned contact);
/* Everything: contacts, policies, counts. */
void check_all(struct sim *sim);
/* The view alone, if the overlay is empty: contacts and wakes, byte for byte. */
void check_view(struct sim *sim);
/* A contact that the engine shows against the model's record. */
void compare_shown(struct sim *sim, unsigned account, unsigned contact,
                   const struct dm_contact *shown);
/* The newest lsn of an account's contacts, those deleted included. */
uint64_t newest_lsn(const struct sim *sim, unsigned account);
/* The engine ordered what the model ordered, and nothing else. */
void check_order(struct sim *sim, const char *after);

/* ---- lists.c ------------------------------------------------------------------------- */

void do_list(struct sim *sim, uint64_t *random);
void do_slow_list(struct sim *sim, uint64_t *random);
void scan_forget(struct sim *sim);

/* ---- found changes (world.c)
 * --------------------------------------------------------------------- */

/* Asks the engine which contacts of an account have entries newer than the model's last
 * one, in their order. Returns how many. */
struct found {
    unsigned account, contact;
    uint64_t lsn;
};
unsigned find_changed(struct sim *sim, unsigned account, struct found *found);
void sort_found(struct found *found, unsigned count);

#endif

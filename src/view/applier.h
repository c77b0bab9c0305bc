#ifndef DM_VIEW_APPLIER_H
#define DM_VIEW_APPLIER_H

#include "base/clock.h"
#include "base/code.h"
#include "view/overlay.h"
#include "view/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Brings a frozen generation into the store: contacts sorted by key, in transactions
 * of one contiguous range each; the wakes that change with them in the same
 * transaction (the old record, read there, tells which entry of WAKES goes); in the
 * last one the side rows and META "applied" = upto_lsn. Applying again what was
 * partly applied gives the same. A failed commit is tried again after a pause, for
 * ever; `state` tells meanwhile. */

struct dm_applier;

struct dm_applier_options {
    struct dm_store *store;        /* borrowed */
    uint32_t contacts_per_txn;     /* 0: 10,000 */
    void (*notify)(void *context); /* from the applier's thread: done, or the state changed */
    void *notify_context;
    const struct dm_clock *clock; /* borrowed, for the stats; NULL: the machine's */
    bool manual;                  /* no thread: dm_applier_work does it (tests, simulation) */
};

struct dm_applier_stats {
    uint64_t sweeps, contacts, transactions, failures; /* since start */
    uint64_t last_sweep_contacts, last_sweep_us, longest_commit_us;
};

/* NULL when its threads cannot be started. */
struct dm_applier *dm_applier_create(const struct dm_applier_options *options);

/* Begins to apply `generation` (none may be under way). It stays readable. */
void dm_applier_begin(struct dm_applier *applier, struct dm_generation *generation);
/* Normally it works in the background, behind the loop where they share a processor. In a
 * hurry it claims as much of one as the loop does. From the next transaction on. */
void dm_applier_hurry(struct dm_applier *applier, bool hurry);
bool dm_applier_busy(struct dm_applier *applier); /* begun and not done */
/* Done since begun? Then the caller drops the generation from the overlay and hands it
 * to dm_applier_bury, which empties it off the loop: to be used again (`keep`), or for good. */
bool dm_applier_done(struct dm_applier *applier);
/* Waits until it is done, or a commit has failed (it is tried again all the same): before
 * anybody is served. With `manual` it does the work. */
enum dm_code dm_applier_wait(struct dm_applier *applier, struct dm_error *error);
void dm_applier_bury(struct dm_applier *applier, struct dm_generation *generation, bool keep);
/* OK, or why the last commit failed. */
enum dm_code dm_applier_state(struct dm_applier *applier, struct dm_error *error);
void dm_applier_stats(struct dm_applier *applier, struct dm_applier_stats *stats);

/* With `manual`: does one transaction of the sweep. false when nothing is left to do. */
bool dm_applier_work(struct dm_applier *applier);

/* Finishes the transaction under way (not the sweep), ends the thread, frees. */
void dm_applier_destroy(struct dm_applier *applier);

#endif

#ifndef DM_ENGINE_ENACT_H
#define DM_ENGINE_ENACT_H

#include "engine/state.h"

/* What an entry of the journal does to what is in memory: overlay, counts, timers, Check's
 * cache, floors of fences, accounts, bots and policies, last_seq, last_lsn. This is the only way:
 * who writes orders an entry and enacts it; a replay enacts what was ordered before, and so
 * would who follows another's journal. So all of them come to the same state. */

/* An entry that has its place in the order, and what its names lead to. */
struct dm_ordered {
    uint64_t lsn, seq; /* seq 0: no event */
    const struct dm_entry_body *body;
    const struct dm_contact_ref *ref; /* CONTACT, DELETE: whom it is about */
    const struct dm_record *record;   /* CONTACT: body's record, decoded */
};

/* The next entry of the order. DATA_LOSS: it cannot follow what is here, which is damage when it
 * came from a disk, and a broken invariant when it was ordered just now. RESOURCE_EXHAUSTED: no
 * room in the overlay, no memory, or a limit; who writes has made sure of all of them before.
 * After either, all is as it was. */
enum dm_code dm_engine_enact(struct dm_engine *engine, const struct dm_ordered *ordered,
                             struct dm_error *error) __attribute__((warn_unused_result));

/* The same with an entry as it lies in a journal, which is looked at wholly first: whoever reads
 * it later takes it for granted. Loads its contact into engine->loaded. */
enum dm_code dm_engine_enact_entry(struct dm_engine *engine, const struct dm_entry *entry,
                                   struct dm_error *error) __attribute__((warn_unused_result));

#endif

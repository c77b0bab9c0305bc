#ifndef DM_TESTS_LIB_JOURNAL_MODEL_H
#define DM_TESTS_LIB_JOURNAL_MODEL_H

#include "journal/journal.h"

/* What a journal must hold: for every lsn the seq and a seed from which the payload
 * can be made again. */
struct journal_model {
    uint64_t *seeds, *seqs; /* [lsn - 1] */
    size_t capacity;
    uint64_t last_lsn, last_seq;
    uint64_t random;
    uint32_t size_max; /* of a payload */
    uint8_t *payload;
};

void journal_model_init(struct journal_model *model, uint64_t seed, uint32_t size_max);
void journal_model_finish(struct journal_model *model);

/* Appends a random entry to both. */
void journal_model_append(struct journal_model *model, struct dm_journal *journal);

/* Forgets what comes after `last_lsn`. */
void journal_model_cut(struct journal_model *model, uint64_t last_lsn);

/* Is it exactly the one that was appended with this lsn? */
bool journal_model_has(struct journal_model *model, const struct dm_entry *entry);

/* Replays and compares; NULL or what is wrong. */
const char *journal_model_check_replay(struct journal_model *model, struct dm_journal *journal,
                                       uint64_t after_lsn);

/* Reads all durable events after `after_seq` with calls of `budget` bytes. */
const char *journal_model_check_events(struct journal_model *model, struct dm_journal *journal,
                                       uint64_t after_seq, size_t budget);

/* Goes on with a cursor until it is at the end; *seq is the last event seen. */
const char *journal_model_follow(struct journal_model *model, struct dm_cursor *cursor,
                                 uint64_t *seq, size_t budget);

#endif

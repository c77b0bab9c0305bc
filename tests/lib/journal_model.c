#include "lib/journal_model.h"

#include "base/assert.h"
#include "lib/sim_disk.h"

#include <stdlib.h>

void journal_model_init(struct journal_model *model, uint64_t seed, uint32_t size_max)
{
    *model = (struct journal_model){.random = seed, .size_max = size_max};
    model->payload = dm_xmalloc(size_max);
}

void journal_model_finish(struct journal_model *model)
{
    free(model->seeds);
    free(model->seqs);
    free(model->payload);
}

/* Mostly small, sometimes as large as may be. */
static struct dm_slice make_payload(struct journal_model *model, uint64_t seed)
{
    uint64_t random = seed;
    uint64_t kind = dm_test_random(&random) % 64;
    uint32_t bound = kind == 0 ? model->size_max : kind < 8 ? 2000 : 150;
    bound = bound < model->size_max ? bound : model->size_max;
    size_t size = dm_test_random(&random) % ((uint64_t)bound + 1);
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) {
            seed = dm_test_random(&random);
        }
        model->payload[i] = (uint8_t)(seed >> (i % 8 * 8));
    }
    return dm_slice(model->payload, size);
}

void journal_model_append(struct journal_model *model, struct dm_journal *journal)
{
    if (model->last_lsn == model->capacity) {
        model->capacity = model->capacity == 0 ? 1024 : model->capacity * 2;
        model->seeds = dm_xrealloc(model->seeds, model->capacity * sizeof *model->seeds);
        model->seqs = dm_xrealloc(model->seqs, model->capacity * sizeof *model->seqs);
    }
    uint64_t seed = dm_test_random(&model->random);
    uint64_t seq = dm_test_random(&model->random) % 4 == 0 ? 0 : model->last_seq + 1;
    model->seeds[model->last_lsn] = seed;
    model->seqs[model->last_lsn] = seq;
    model->last_lsn++;
    model->last_seq += seq != 0;
    uint64_t lsn = dm_order_append(journal->order, make_payload(model, seed), seq);
    DM_ASSERT(lsn == model->last_lsn);
}

void journal_model_cut(struct journal_model *model, uint64_t last_lsn)
{
    DM_ASSERT(last_lsn <= model->last_lsn);
    for (; model->last_lsn > last_lsn; model->last_lsn--) {
        model->last_seq -= model->seqs[model->last_lsn - 1] != 0;
    }
}

bool journal_model_has(struct journal_model *model, const struct dm_entry *entry)
{
    return entry->lsn >= 1 && entry->lsn <= model->last_lsn &&
           entry->seq == model->seqs[entry->lsn - 1] &&
           dm_slice_equal(entry->payload, make_payload(model, model->seeds[entry->lsn - 1]));
}

struct replayed {
    struct journal_model *model;
    uint64_t lsn;
    const char *wrong;
};

static bool replay_one(void *context, const struct dm_entry *entry)
{
    struct replayed *replayed = context;
    replayed->lsn++;
    if (entry->lsn != replayed->lsn) {
        replayed->wrong = "replay skips or repeats";
    } else if (!journal_model_has(replayed->model, entry)) {
        replayed->wrong = "replay gives another entry";
    }
    return replayed->wrong == NULL;
}

const char *journal_model_check_replay(struct journal_model *model, struct dm_journal *journal,
                                       uint64_t after_lsn)
{
    struct replayed replayed = {.model = model, .lsn = after_lsn};
    struct dm_error error;
    enum dm_code code = dm_journal_each(journal, after_lsn, replay_one, &replayed, &error);
    if (replayed.wrong != NULL) {
        return replayed.wrong;
    }
    if (code != DM_OK) {
        return "replay failed";
    }
    return replayed.lsn == dm_order_durable(journal->order) ? NULL : "replay stops early";
}

const char *journal_model_follow(struct journal_model *model, struct dm_cursor *cursor,
                                 uint64_t *seq, size_t budget)
{
    size_t left = budget;
    for (;;) {
        struct dm_entry entry;
        switch (dm_cursor_next(cursor, &entry, &left)) {
        case DM_CURSOR_END:
            return NULL;
        case DM_CURSOR_PENDING:
            if (left != 0) {
                return "a cursor pauses with budget left";
            }
            left = budget;
            break;
        case DM_CURSOR_GONE:
            return "a cursor is gone";
        case DM_CURSOR_FAILED:
            return "a cursor failed";
        case DM_CURSOR_ENTRY:
            *seq += 1;
            if (entry.seq != *seq) {
                return "a cursor skips or repeats";
            }
            if (!journal_model_has(model, &entry)) {
                return "a cursor gives another entry";
            }
            break;
        }
    }
}

const char *journal_model_check_events(struct journal_model *model, struct dm_journal *journal,
                                       uint64_t after_seq, size_t budget)
{
    struct dm_cursor *cursor = dm_journal_cursor(journal, after_seq);
    uint64_t seq = after_seq;
    const char *wrong = journal_model_follow(model, cursor, &seq, budget);
    dm_cursor_close(cursor);
    if (wrong == NULL && seq != dm_journal_committed_seq(journal) &&
        after_seq <= dm_journal_committed_seq(journal)) {
        return "a cursor ends early";
    }
    return wrong;
}

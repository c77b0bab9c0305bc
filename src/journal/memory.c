#include "journal/journal.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A journal in memory: what its order accepted is in the log from the next flush on, and kept
 * for ever. The lsn of records[i] is i + 1. */

struct record {
    uint64_t seq;
    uint8_t *payload;
    size_t size;
};

struct memory_journal {
    struct dm_journal base;
    struct dm_order order;
    struct record *records;
    size_t count, capacity;
    uint64_t *lsns; /* of event i + 1 */
    size_t events, events_capacity;
    uint64_t durable_lsn, durable_seq, synced_lsn;
    size_t pending;
    bool hold, hold_sync;
    enum dm_order_state state;
    uint64_t appended_bytes, batches;
    struct dm_log_id log_id;
};

struct memory_cursor {
    struct dm_cursor base;
    uint64_t after_seq;
};

static struct memory_journal *memory_of(struct dm_journal *journal)
{
    return (struct memory_journal *)journal;
}

static struct memory_journal *memory_of_order(struct dm_order *order)
{
    return (struct memory_journal *)((char *)order - offsetof(struct memory_journal, order));
}

/* ---- the order: what it accepted is durable at the next flush ----------------------- */

static void remember_event(struct memory_journal *m, uint64_t seq)
{
    DM_ASSERT(seq == m->events + 1);
    if (m->events == m->events_capacity) {
        m->events_capacity = m->events_capacity == 0 ? 64 : m->events_capacity * 2;
        m->lsns = dm_xrealloc(m->lsns, m->events_capacity * sizeof *m->lsns);
    }
    m->lsns[m->events] = m->count + 1;
    m->events++;
}

/* The lsn. */
static uint64_t add_record(struct memory_journal *m, struct dm_slice payload, uint64_t seq)
{
    DM_ASSERT(payload.size <= (size_t)DM_JOURNAL_RECORD_MAX);
    if (seq != 0) {
        remember_event(m, seq);
    }
    if (m->count == m->capacity) {
        m->capacity = m->capacity == 0 ? 64 : m->capacity * 2;
        m->records = dm_xrealloc(m->records, m->capacity * sizeof *m->records);
    }
    struct record *record = &m->records[m->count];
    *record =
        (struct record){.seq = seq, .payload = dm_xmalloc(payload.size + 1), .size = payload.size};
    if (payload.size > 0) {
        memcpy(record->payload, payload.data, payload.size);
    }
    m->count++;
    m->appended_bytes += payload.size;
    return m->count;
}

/* All that was accepted is decided, and here. */
static void commit_all(struct memory_journal *m)
{
    m->durable_lsn = m->count;
    m->durable_seq = m->events;
    m->pending = 0;
}

static uint64_t memory_append(struct dm_order *order, struct dm_slice payload, uint64_t seq)
{
    struct memory_journal *m = memory_of_order(order);
    m->pending += payload.size;
    return add_record(m, payload, seq);
}

static void memory_flush(struct dm_order *order)
{
    struct memory_journal *m = memory_of_order(order);
    if (!m->hold && m->state == DM_ORDER_OK && m->durable_lsn != m->count) {
        commit_all(m);
        m->batches++;
    }
    if (!m->hold_sync) {
        m->synced_lsn = m->durable_lsn;
    }
    DM_ASSERT(m->synced_lsn <= m->durable_lsn && m->durable_lsn <= m->count);
}

static uint64_t memory_durable(struct dm_order *order)
{
    return memory_of_order(order)->durable_lsn;
}

static uint64_t memory_last(struct dm_order *order)
{
    return memory_of_order(order)->count;
}

static size_t memory_pending(struct dm_order *order)
{
    return memory_of_order(order)->pending;
}

static enum dm_order_state memory_state(struct dm_order *order, struct dm_error *error)
{
    struct memory_journal *m = memory_of_order(order);
    if (m->state != DM_ORDER_OK) {
        dm_fail(error, DM_UNAVAILABLE, "the journal %s",
                m->state == DM_ORDER_FULL ? "is full" : "has failed");
    }
    return m->state;
}

static void memory_order_stats(struct dm_order *order, struct dm_order_stats *stats)
{
    struct memory_journal *m = memory_of_order(order);
    memset(stats, 0, sizeof *stats);
    stats->last_lsn = m->count;
    stats->last_seq = m->events;
    stats->durable_lsn = m->durable_lsn;
    stats->pending_bytes = m->pending;
    stats->appended_bytes = m->appended_bytes;
    stats->batches = m->batches;
}

static int memory_event(struct dm_order *order)
{
    (void)order;
    return -1;
}

/* ---- the log ------------------------------------------------------------------------- */

static uint64_t memory_committed(struct dm_journal *journal)
{
    return memory_of(journal)->durable_lsn;
}

static uint64_t memory_committed_seq(struct dm_journal *journal)
{
    return memory_of(journal)->durable_seq;
}

static uint64_t memory_synced(struct dm_journal *journal)
{
    return memory_of(journal)->synced_lsn;
}

static uint64_t memory_oldest_seq(struct dm_journal *journal)
{
    (void)journal;
    return 1;
}

static void memory_stats(struct dm_journal *journal, struct dm_journal_stats *stats)
{
    struct memory_journal *m = memory_of(journal);
    *stats = (struct dm_journal_stats){
        .committed_lsn = m->durable_lsn,
        .committed_seq = m->durable_seq,
        .synced_lsn = m->synced_lsn,
        .oldest_seq = 1,
        .kept_bytes = m->appended_bytes,
    };
}

static struct dm_log_id memory_log_id(struct dm_journal *journal)
{
    return memory_of(journal)->log_id;
}

/* Retention has no end here: nothing is ever past it. */
static void memory_trim(struct dm_journal *journal, uint64_t applied_lsn)
{
    (void)journal;
    (void)applied_lsn;
}

static struct dm_cursor *memory_cursor(struct dm_journal *journal, uint64_t after_seq)
{
    struct memory_cursor *cursor = dm_xcalloc(1, sizeof *cursor);
    *cursor = (struct memory_cursor){.base = {.journal = journal}, .after_seq = after_seq};
    return &cursor->base;
}

static void memory_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq)
{
    ((struct memory_cursor *)cursor)->after_seq = after_seq;
}

static enum dm_cursor_result memory_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                                size_t *budget)
{
    struct memory_cursor *c = (struct memory_cursor *)cursor;
    struct memory_journal *m = memory_of(cursor->journal);
    if (c->after_seq >= m->durable_seq) {
        return DM_CURSOR_END;
    }
    if (*budget == 0) {
        return DM_CURSOR_PENDING;
    }
    uint64_t lsn = m->lsns[c->after_seq];
    const struct record *record = &m->records[lsn - 1];
    c->after_seq++;
    *entry = (struct dm_entry){
        .lsn = lsn, .seq = record->seq, .payload = dm_slice(record->payload, record->size)};
    *budget -= record->size < *budget ? record->size : *budget;
    return DM_CURSOR_ENTRY;
}

static void memory_cursor_close(struct dm_cursor *cursor)
{
    free(cursor);
}

static enum dm_code memory_each(struct dm_journal *journal, uint64_t after_lsn,
                                bool (*each)(void *context, const struct dm_entry *entry),
                                void *context, struct dm_error *error)
{
    struct memory_journal *m = memory_of(journal);
    if (after_lsn > m->durable_lsn) {
        return dm_fail(error, DM_DATA_LOSS, "the journal ends at lsn %llu, before %llu",
                       (unsigned long long)m->durable_lsn, (unsigned long long)after_lsn);
    }
    for (uint64_t lsn = after_lsn + 1; lsn <= m->durable_lsn; lsn++) {
        const struct record *record = &m->records[lsn - 1];
        struct dm_entry entry = {
            .lsn = lsn, .seq = record->seq, .payload = dm_slice(record->payload, record->size)};
        if (!each(context, &entry)) {
            return dm_fail(error, DM_DATA_LOSS, "the entry with lsn %llu was refused",
                           (unsigned long long)lsn);
        }
    }
    return DM_OK;
}

static bool memory_work(struct dm_journal *journal)
{
    (void)journal;
    return false;
}

static void memory_close(struct dm_journal *journal)
{
    struct memory_journal *m = memory_of(journal);
    for (size_t i = 0; i < m->count; i++) {
        free(m->records[i].payload);
    }
    free(m->records);
    free(m->lsns);
    free(m);
}

static const struct dm_order_ops order_ops = {
    .append = memory_append,
    .flush = memory_flush,
    .durable = memory_durable,
    .last = memory_last,
    .pending = memory_pending,
    .state = memory_state,
    .stats = memory_order_stats,
    .event = memory_event,
};

static const struct dm_journal_ops journal_ops = {
    .committed = memory_committed,
    .committed_seq = memory_committed_seq,
    .synced = memory_synced,
    .oldest_seq = memory_oldest_seq,
    .stats = memory_stats,
    .log_id = memory_log_id,
    .trim = memory_trim,
    .cursor = memory_cursor,
    .cursor_seek = memory_cursor_seek,
    .cursor_next = memory_cursor_next,
    .cursor_close = memory_cursor_close,
    .each = memory_each,
    .work = memory_work,
    .close = memory_close,
};

struct dm_journal *dm_journal_open_memory(void)
{
    struct memory_journal *m = dm_xcalloc(1, sizeof *m);
    m->base = (struct dm_journal){.ops = &journal_ops, .order = &m->order};
    m->order.ops = &order_ops;
    m->log_id = dm_log_id_make();
    return &m->base;
}

void dm_journal_memory_hold(struct dm_journal *journal, bool hold)
{
    DM_ASSERT(journal->ops == &journal_ops);
    memory_of(journal)->hold = hold;
}

void dm_journal_memory_put(struct dm_journal *journal, struct dm_slice payload, uint64_t seq)
{
    DM_ASSERT(journal->ops == &journal_ops);
    struct memory_journal *m = memory_of(journal);
    DM_ASSERT(m->durable_lsn == m->count); /* nobody else decides here */
    (void)add_record(m, payload, seq);
    commit_all(m);
}

void dm_journal_memory_hold_sync(struct dm_journal *journal, bool hold)
{
    DM_ASSERT(journal->ops == &journal_ops);
    struct memory_journal *m = memory_of(journal);
    m->hold_sync = hold;
    m->synced_lsn = hold ? m->synced_lsn : m->durable_lsn;
}

void dm_journal_memory_fail(struct dm_journal *journal, enum dm_order_state state)
{
    DM_ASSERT(journal->ops == &journal_ops);
    memory_of(journal)->state = state;
}

#ifndef DM_JOURNAL_ORDER_H
#define DM_JOURNAL_ORDER_H

#include "base/code.h"
#include "base/histogram.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

/* The port to whoever decides what comes next: opaque entries in, in batches that are decided
 * one after the other. Each entry has an lsn (dense: 1, 2, 3, ...); those that are events also
 * have a seq (dense as well). What is at or below dm_order_durable() is decided, stays in this
 * order for ever, and is in the log (journal/journal.h) or about to be put there.
 *
 * The file journal decides by writing: its batch is durable where its log is. An order that
 * others share decides elsewhere, and puts into the log what was decided, by whomever.
 *
 * All calls are made by one thread (the loop). */

struct dm_order;

enum dm_order_state {
    DM_ORDER_OK,
    DM_ORDER_FULL, /* no space: what was accepted waits, it is tried again; accept nothing more */
    /* It decides nothing any more: a write or sync failed, or the order is somebody else's now.
     * What was accepted and is not durable here never will be; whether it was decided, only the
     * next one who opens the log knows. */
    DM_ORDER_FAILED,
};

struct dm_order_stats {
    uint64_t last_lsn, last_seq, durable_lsn;
    uint64_t pending_bytes;  /* accepted, not durable */
    uint64_t appended_bytes; /* since open */
    uint64_t batches;        /* since open */
    /* Copies: until a batch was durable, and entries of each. */
    struct dm_histogram batch_us, batch_entries;
};

/* Appends and returns the lsn. `seq` must be the last one + 1, or 0. At most
 * DM_JOURNAL_RECORD_MAX bytes of payload; copied. Allowed in every state (the
 * engine asks the state first); after FAILED it is never durable. */
uint64_t dm_order_append(struct dm_order *order, struct dm_slice payload, uint64_t seq);

/* What has gathered may be the next batch, as soon as the one before is decided. Call once a
 * turn. */
void dm_order_flush(struct dm_order *order);

uint64_t dm_order_durable(struct dm_order *order); /* lsn */
uint64_t dm_order_last(struct dm_order *order);    /* lsn, durable or not */
size_t dm_order_pending(struct dm_order *order);   /* bytes */
enum dm_order_state dm_order_state(struct dm_order *order, struct dm_error *error);
void dm_order_stats(struct dm_order *order, struct dm_order_stats *stats);

/* An eventfd that becomes readable when more is durable or the state has changed, even if
 * that was seen by some call before: who waits for it reads it, then asks. -1: nothing
 * happens by itself here. */
int dm_order_event(struct dm_order *order);

/* For implementations. */
struct dm_order_ops {
    uint64_t (*append)(struct dm_order *, struct dm_slice, uint64_t);
    void (*flush)(struct dm_order *);
    uint64_t (*durable)(struct dm_order *);
    uint64_t (*last)(struct dm_order *);
    size_t (*pending)(struct dm_order *);
    enum dm_order_state (*state)(struct dm_order *, struct dm_error *);
    void (*stats)(struct dm_order *, struct dm_order_stats *);
    int (*event)(struct dm_order *);
};
struct dm_order {
    const struct dm_order_ops *ops;
};

#endif

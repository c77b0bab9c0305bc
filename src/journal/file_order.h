#ifndef DM_JOURNAL_FILE_ORDER_H
#define DM_JOURNAL_FILE_ORDER_H

#include "journal/file_log.h"

/* The order of who has a log for himself: what he puts there is decided when it is synced. */
struct dm_file_order {
    struct dm_order base;
    struct dm_file_log *log;
    uint64_t last_lsn, last_seq;
    uint64_t flushed_lsn;         /* what the owner asked to be decided */
    struct dm_batch *head, *tail; /* gathered, oldest first */
    size_t batch_size_max;
    uint64_t appended_bytes;
};

/* Goes on where the log, which was just opened, ends. */
void dm_file_order_init(struct dm_file_order *order, struct dm_file_log *log);
void dm_file_order_finish(struct dm_file_order *order);

/* If the log is idle: puts the oldest batch that gathered, as far as that was flushed, or has
 * the log begin a new segment if it wants to. */
void dm_file_order_next(struct dm_file_order *order);

/* Bytes accepted and not durable. */
size_t dm_file_order_pending(struct dm_file_order *order);

#endif

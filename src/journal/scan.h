#ifndef DM_JOURNAL_SCAN_H
#define DM_JOURNAL_SCAN_H

#include "journal/disk.h"
#include "journal/journal.h"
#include "journal/segment.h"

/* Reads a segment front to back, a large piece at a time: the last one when the journal is
 * opened, to find its end, and all that dm_journal_each shows. */

/* Bytes that are read at once: the most that can be looked at. */
#define DM_SCAN_SIZE 1048576UL

struct dm_scan {
    struct dm_disk *disk;
    int file;
    uint64_t limit; /* nothing is looked at from here on */
    uint8_t *bytes; /* DM_SCAN_SIZE */
    uint64_t start;
    size_t size;
    int failed; /* -errno of a read */
};

/* Who wants to see the entries after an lsn; `each` returns false to stop. */
struct dm_scan_visitor {
    uint64_t after_lsn;
    bool (*each)(void *context, const struct dm_entry *entry);
    void *context;
};

enum dm_scan_outcome {
    DM_SCAN_GOOD,
    DM_SCAN_BAD,        /* not what must come there: damaged, torn, or the end */
    DM_SCAN_UNREADABLE, /* see `failed` */
    DM_SCAN_REFUSED,    /* by the visitor */
};

void dm_scan_init(struct dm_scan *scan, struct dm_disk *disk, int file, uint64_t limit);
void dm_scan_finish(struct dm_scan *scan);

/* The bytes, good until the next call; NULL past the limit, or failed. */
const uint8_t *dm_scan_look(struct dm_scan *scan, uint64_t offset, size_t size);

/* Over one batch, from *place on; the segment's index learns of it. Unless GOOD, *place is where
 * it went wrong. `visitor` NULL: all entries are checked, none is shown. */
enum dm_scan_outcome dm_scan_batch(struct dm_scan *scan, struct dm_segment *segment,
                                   struct dm_place *place, const struct dm_scan_visitor *visitor);

#endif

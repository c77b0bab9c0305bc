#ifndef DM_JOURNAL_TAIL_H
#define DM_JOURNAL_TAIL_H

#include "journal/disk.h"
#include "journal/segment.h"

/* The end of the last segment, as a crash may have left it: finds the last good batch, cuts what
 * was torn behind it, and has all that stays on the disk. *end: behind the last good batch.
 * DATA_LOSS when what is bad has a later batch behind it: it was not torn, but damaged. */
enum dm_code dm_tail_settle(struct dm_disk *disk, int file, struct dm_segment *segment,
                            struct dm_place *end, struct dm_error *error);

#endif

#ifndef DM_JOURNAL_AGE_H
#define DM_JOURNAL_AGE_H

#include "base/clock.h"
#include "journal/disk.h"

/* The journal's age: how long it has been open, in all its processes together, by their
 * monotonic clocks. Retention counts by it: it grows only while somebody runs who could serve
 * what is kept, and no step of a wall clock makes anything older. It is noted in each segment's
 * header, and every DM_JOURNAL_AGE_KEPT_MS in the file "age". So a crash takes that much of it
 * at most, and what is kept stays that much longer. */
struct dm_age {
    struct dm_clock clock;
    int64_t before_ms; /* when this process opened it */
    uint64_t opened_ns;
    int64_t kept_ms; /* as it was last noted, or asked to be */
};

/* Longer than any machine lives: sums and differences of ages never overflow. */
#define DM_AGE_MS_MAX (INT64_MAX / 4)

void dm_age_begin(struct dm_age *age, const struct dm_clock *clock, int64_t before_ms);
int64_t dm_age_now(const struct dm_age *age); /* milliseconds */

/* What the file "age" of the journal's folder says; 0 when it is not there, or damaged: then the
 * segments' headers have a lower bound. */
int64_t dm_age_read(struct dm_disk *disk);
/* Durably: 0 or -errno. After a crash in between, the file has this number or the one before. */
int dm_age_write(struct dm_disk *disk, int64_t age_ms);

#endif

#ifndef DM_BASE_HISTOGRAM_H
#define DM_BASE_HISTOGRAM_H

#include <stdint.h>

/* Counts of values in buckets that are exact below 64 and within 1/32 above
 * (log-linear, after Gil Tene's HdrHistogram), for all of uint64. 15 KiB; no
 * allocation; a zeroed struct is empty. The unit is the caller's. */
enum { DM_HISTOGRAM_BUCKETS = 1920 };

struct dm_histogram {
    uint64_t count, sum, max;
    uint64_t buckets[DM_HISTOGRAM_BUCKETS];
};

void dm_histogram_add(struct dm_histogram *histogram, uint64_t value);
void dm_histogram_merge(struct dm_histogram *into, const struct dm_histogram *from);

/* The smallest value v, rounded up to its bucket's end (and at most the largest
 * one added), so that at least `fraction` (0 to 1) of the values are <= v. 0 when
 * empty. */
uint64_t dm_histogram_quantile(const struct dm_histogram *histogram, double fraction);

/* How many values were <= `value`, counting whole buckets that end at or below it. */
uint64_t dm_histogram_count_le(const struct dm_histogram *histogram, uint64_t value);

#endif

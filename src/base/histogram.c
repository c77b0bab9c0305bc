#include "base/histogram.h"

#include "base/assert.h"

#include <stddef.h>

/* Bucket layout: values below 64 have a bucket each; above, every power of two
 * is cut into 32 equal parts. */
enum { EXACT = 64, PARTS_BITS = 5 };

_Static_assert(EXACT == 2 << PARTS_BITS, "where parts begin they are as fine as what is exact");
_Static_assert(DM_HISTOGRAM_BUCKETS == EXACT + (64 - 6) * (1 << PARTS_BITS), "one for any value");

static unsigned bucket_of(uint64_t value)
{
    if (value < EXACT) {
        return (unsigned)value;
    }
    unsigned exponent = 63U - (unsigned)__builtin_clzll(value);
    unsigned shift = exponent - PARTS_BITS;
    return (shift << PARTS_BITS) + (unsigned)(value >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < EXACT) {
        return bucket;
    }
    unsigned shift = (bucket >> PARTS_BITS) - 1;
    uint64_t part = bucket - ((uint64_t)shift << PARTS_BITS);
    return (part << shift) + (((uint64_t)1 << shift) - 1);
}

void dm_histogram_add(struct dm_histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void dm_histogram_merge(struct dm_histogram *into, const struct dm_histogram *from)
{
    for (size_t i = 0; i < DM_HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max) {
        into->max = from->max;
    }
}

uint64_t dm_histogram_quantile(const struct dm_histogram *histogram, double fraction)
{
    if (histogram->count == 0) {
        return 0;
    }
    DM_ASSERT(fraction >= 0.0 && fraction <= 1.0);
    double exact = fraction * (double)histogram->count;
    uint64_t wanted = exact <= 1.0 ? 1 : (uint64_t)exact;
    if ((double)wanted < exact) {
        wanted++;
    }
    uint64_t seen = 0;
    for (unsigned i = 0; i < DM_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}

uint64_t dm_histogram_count_le(const struct dm_histogram *histogram, uint64_t value)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < DM_HISTOGRAM_BUCKETS && bucket_end(i) <= value; i++) {
        seen += histogram->buckets[i];
    }
    return seen;
}

#ifndef DM_BENCH_REPORT_H
#define DM_BENCH_REPORT_H

#include "base/code.h"
#include "base/histogram.h"

#include <stdbool.h>
#include <stdint.h>

/* What a run has to say, as lines for people or as one line of JSON. */
struct report {
    bool json, first;
};

void report_begin(struct report *report, bool json, const char *mode);
void report_text(struct report *report, const char *key, const char *value);
void report_number(struct report *report, const char *key, double value);
/* p50 p90 p99 p99.9 max and the count, each value times `scale`. */
void report_latency(struct report *report, const char *key, const struct dm_histogram *histogram,
                    double scale);
/* Calls by code; the OK ones are left out. */
void report_errors(struct report *report, const uint64_t codes[DM_CODE_COUNT]);
void report_end(struct report *report);

/* "dormouse-bench: ..." on stderr; returns 1. */
int complain(const char *what, const char *why);

#endif

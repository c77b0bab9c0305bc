#ifndef DM_BENCH_MODES_H
#define DM_BENCH_MODES_H

#include "keys.h"
#include "options.h"

#include <stdbool.h>

/* The modes: each returns the exit code. */
int run_mode(const struct options *options);
int load_mode(const struct options *options);
int wakes_mode(const struct options *options);
int sleepers_mode(const struct options *options);

/* What loading came to; of use to more than one mode. */
struct loaded {
    uint64_t contacts, asleep, refused;
    uint64_t waits; /* requests that were asked again, for the server was full */
    double seconds;
};
/* Sets the status of options->contacts contacts. false: it could not; stderr says why. */
bool load_contacts(const struct options *options, const struct keys *keys, double asleep,
                   struct loaded *out);

#endif

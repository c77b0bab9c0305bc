#ifndef DM_BENCH_OPTIONS_H
#define DM_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum method {
    METHOD_CHECK,
    METHOD_COMMIT,
    METHOD_ACTIVITY,
    METHOD_MANUAL,
    METHOD_SET,
    METHOD_GET,
    METHOD_HISTORY,
    METHOD_LIST,
    METHOD_COUNT,
};
const char *method_name(enum method method);

struct options {
    const char *mode; /* "run", "load", "wakes", "sleepers" */
    const char *connect;
    uint32_t connections, depth;
    double rate;      /* 0: closed loop */
    double timeout_s; /* 0: none */
    uint32_t mix[METHOD_COUNT];
    uint32_t keys, accounts;
    double zipf;
    uint64_t seed;
    double duration_s, warmup_s;
    uint64_t requests; /* 0: by duration */
    bool json, fences, no_request_ids, seed_given;

    uint32_t contacts; /* load, wakes, sleepers */
    double asleep;
    double over_s; /* their sleep ends within */
    uint32_t batch;
    double within_s, start_in_s, grace_s;
    double checks;
    int pid;
    const char *data;
    const char *server;
    double settle_s;
};

/* 0: go on; else the exit code, and what was wrong stands on stderr (--help: on stdout). */
int options_parse(int argc, char **argv, struct options *out, bool *go_on);

#endif

#ifndef DM_LOOP_OPTIONS_H
#define DM_LOOP_OPTIONS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/slice.h"
#include "wire/http.h"

#include <stdint.h>

/* An HTTP GET or HEAD outside the RPC paths. A header that is absent has no data. */
struct dm_page_request {
    struct dm_slice path, query;
    struct dm_slice if_none_match, accept_encoding;
};

/* The answer to it: 404 at first. Headers come into
 * answer.headers; the body is what is put into `text`, or, if nothing is, answer.body: static
 * bytes that lie in the program (answer.body_lasting). */
struct dm_page {
    struct dm_http_answer answer;
    struct dm_buf text; /* empty at first; freed by the loop */
};

struct dm_loop_options {
    struct dm_clock clock;
    int64_t drain_delay_ms; /* how long calls are served, but /readyz says no, before a shutdown */
    int64_t drain_timeout_ms; /* how long a shutdown waits for open calls */
    uint32_t unix_mode;       /* of unix sockets' files; 0: 0600 */
    uint32_t connections_max; /* 0: DM_CONNECTIONS_MAX; lowered to what descriptors allow */
    int64_t buffers_max;      /* bytes; 0: DM_BUFFERS_MAX */
    /* See struct dm_session_limits. Borrowed. */
    const char *const *hosts, *const *cors_origins;
    /* Fills *page; NULL: every such path is 404. */
    void (*http)(void *context, const struct dm_page_request *request, struct dm_page *page);
    void *http_context;
    void (*hangup)(void); /* at SIGHUP; NULL: nothing. Must not block */
};

#endif

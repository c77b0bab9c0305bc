#ifndef DM_WIRE_H2_BROWSER_H
#define DM_WIRE_H2_BROWSER_H

#include "wire/browser.h"

/* What wire/browser.h judges, of a head that comes over HTTP/2, header by header. A connection
 * needs one: heads do not interleave. What does not fit is no origin that anybody allowed. */

enum { DM_H2_BROWSER_TEXT_MAX = 255 };

struct dm_h2_browser_text {
    uint8_t count; /* how often it came, up to 2 */
    uint8_t size;
    char text[DM_H2_BROWSER_TEXT_MAX];
};

struct dm_h2_browser {
    bool https;
    struct dm_h2_browser_text authority, origin, fetch_site;
};

/* For the next head. */
void dm_h2_browser_reset(struct dm_h2_browser *browser);
void dm_h2_browser_note(struct dm_h2_browser *browser, struct dm_slice name, struct dm_slice value);
/* 0, or the status of a refusal. No rule for the authority: browsers speak no HTTP/2 without
 * TLS, and gRPC clients put there what their resolver calls the server. */
int dm_h2_browser_judge(const struct dm_h2_browser *browser, enum dm_http_class class,
                        const struct dm_session_limits *limits);

#endif

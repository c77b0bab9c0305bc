#ifndef DM_WIRE_BROWSER_H
#define DM_WIRE_BROWSER_H

#include "base/slice.h"
#include "wire/session.h"

#include <stdbool.h>

/* What a page in somebody's browser may do here. Pure.
 *
 * A browser reaches every server that its machine reaches, for every page that its user
 * opens. Two things keep such a page out, and both are told by headers that a page cannot
 * set: Host, for a page whose own name was made to resolve to this server (DNS rebinding),
 * and Origin with Sec-Fetch-Site (fetch.spec.whatwg.org, w3c.github.io/webappsec-fetch-metadata),
 * for a page of another site that sends what needs no preflight. */

/* What a path leads to; the rules differ. */
enum dm_http_class {
    DM_HTTP_CALL, /* a method of a service */
    DM_HTTP_PAGE, /* all else that is read: /metrics, probes, and what is not there */
    DM_HTTP_FILE, /* the program's own files: no data in them, and links lead there from anywhere */
};
enum dm_http_class dm_http_class(struct dm_slice path, bool is_call);

/* A head, as far as the rules look at it. data NULL: absent. */
struct dm_browser_head {
    enum dm_http_class class;
    const char *scheme;        /* "http" or "https", as the request came */
    struct dm_slice authority; /* Host, :authority, or what an absolute target names */
    struct dm_slice origin, fetch_site;
    bool twice; /* origin or fetch_site came more than once */
};

struct dm_browser_verdict {
    int status;              /* 0: go on; else 421 or 403 */
    const char *why;         /* with a status: a sentence */
    const char *cors_origin; /* what access-control-allow-origin is to say; NULL: nothing */
};
/* `host_rule`: HTTP/1.1 over TCP, where no credential is asked for. */
struct dm_browser_verdict dm_browser_judge(const struct dm_browser_head *head, bool host_rule,
                                           const struct dm_session_limits *limits);

/* The host of "host", "host:port" or "[IPv6]:port", with its brackets, maybe empty; false when the
 * authority is none of these (RFC 3986, 3.2.2). */
bool dm_authority_host(struct dm_slice authority, struct dm_slice *host);

#endif

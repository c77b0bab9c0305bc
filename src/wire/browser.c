#include "wire/browser.h"

#include "wire/http.h"

#include <arpa/inet.h>

enum dm_http_class dm_http_class(struct dm_slice path, bool is_call)
{
    static const char *const folders[] = {"/console/", "/embed/", "/assets/"};
    if (is_call) {
        return DM_HTTP_CALL;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t size = strlen(folders[i]);
        if (path.size >= size && memcmp(path.data, folders[i], size) == 0) {
            return DM_HTTP_FILE;
        }
    }
    return DM_HTTP_PAGE;
}

/* ---- Host ----------------------------------------------------------------------------- */

static bool is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~%!$&'()*+,;=", c) != NULL);
}

static size_t host_size(const char *text, size_t size)
{
    size_t at = 0;
    bool literal = size != 0 && text[0] == '[';
    at += literal;
    while (at < size && (is_host_character(text[at]) || (literal && text[at] == ':'))) {
        at++;
    }
    return at + (literal && at < size && text[at] == ']');
}

bool dm_authority_host(struct dm_slice authority, struct dm_slice *host)
{
    enum { PORT_DIGITS_MAX = 5 };
    const char *text = authority.data;
    size_t size = host_size(text, authority.size);
    *host = dm_slice(text, size);
    if (size != 0 && text[0] == '[' && text[size - 1] != ']') {
        return false;
    }
    if (size == authority.size) {
        return true;
    }
    if (text[size++] != ':' || authority.size - size > PORT_DIGITS_MAX) {
        return false;
    }
    while (size < authority.size && text[size] >= '0' && text[size] <= '9') {
        size++;
    }
    return size == authority.size;
}

static bool same_text(struct dm_slice a, struct dm_slice b)
{
    const char *left = a.data;
    const char *right = b.data;
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        bool letter = (left[i] | 0x20) >= 'a' && (left[i] | 0x20) <= 'z';
        if (left[i] != right[i] && (!letter || (left[i] ^ right[i]) != 0x20)) {
            return false;
        }
    }
    return true;
}

static bool is_ip_literal(struct dm_slice host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    bool brackets = host.size > 2 && *(const char *)host.data == '[';
    if (brackets) {
        host = dm_slice((const char *)host.data + 1, host.size - 2);
    }
    if (host.size == 0 || host.size >= sizeof text) {
        return false;
    }
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(brackets ? AF_INET6 : AF_INET, text, &address) == 1;
}

/* A name that no page can have for its own: a page at an IP address was served from there,
 * and no resolver decides about localhost. */
static bool is_known_host(struct dm_slice authority, const struct dm_session_limits *limits)
{
    struct dm_slice host;
    if (!dm_authority_host(authority, &host)) {
        return false;
    }
    if (is_ip_literal(host) || same_text(host, dm_slice_str("localhost"))) {
        return true;
    }
    for (const char *const *at = limits->hosts; at != NULL && *at != NULL; at++) {
        if (same_text(host, dm_slice_str(*at))) {
            return true;
        }
    }
    return false;
}

/* ---- Origin --------------------------------------------------------------------------- */

static const char *allowed_origin(const struct dm_session_limits *limits, struct dm_slice origin)
{
    for (const char *const *at = limits->cors_origins; at != NULL && *at != NULL; at++) {
        if (strcmp(*at, "*") == 0 || dm_slice_equal(origin, dm_slice_str(*at))) {
            return *at;
        }
    }
    return NULL;
}

/* A page that this server sent itself: its scheme and its Host, as the browser knows them. */
static bool is_own_origin(const struct dm_browser_head *head)
{
    const char *text = head->origin.data;
    size_t scheme = strlen(head->scheme);
    size_t skip = scheme + 3;
    return head->authority.data != NULL && head->origin.size > skip &&
           memcmp(text, head->scheme, scheme) == 0 && memcmp(text + scheme, "://", 3) == 0 &&
           same_text(dm_slice(text + skip, head->origin.size - skip), head->authority);
}

static struct dm_browser_verdict refused(int status, const char *why)
{
    return (struct dm_browser_verdict){.status = status, .why = why};
}

struct dm_browser_verdict dm_browser_judge(const struct dm_browser_head *head, bool host_rule,
                                           const struct dm_session_limits *limits)
{
    struct dm_browser_verdict fine = {0};
    if (host_rule && head->authority.data != NULL && !is_known_host(head->authority, limits)) {
        return refused(421, "this host is not served here: use an IP address or localhost, or "
                            "start dormoused with --host NAME");
    }
    if (head->class == DM_HTTP_FILE) {
        return fine;
    }
    if (head->twice) {
        return refused(403, "more than one origin or sec-fetch-site");
    }
    bool has_origin = head->origin.data != NULL;
    const char *allowed = has_origin ? allowed_origin(limits, head->origin) : NULL;
    if (has_origin && allowed == NULL && !is_own_origin(head)) {
        return refused(403, "this origin is not allowed: see --cors-origin of dormoused");
    }
    if (allowed == NULL && dm_text_equal(head->fetch_site, "cross-site")) {
        return refused(403, "pages of other sites may not ask: see --cors-origin of dormoused");
    }
    fine.cors_origin = head->class == DM_HTTP_CALL ? allowed : NULL;
    return fine;
}

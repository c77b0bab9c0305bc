#include "server/web_names.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_SIZE_MAX = 255 }; /* RFC 1035, 2.3.4 */

#define NEVER "would never match: "
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* The size of "[...]" with a valid IPv6 address as browsers write it, or 0. */
static size_t ipv6_size(const char *text)
{
    char literal[INET6_ADDRSTRLEN];
    char shortest[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *end = strchr(text, ']');
    if (end == NULL || (size_t)(end - text) > sizeof literal) {
        return 0;
    }
    size_t size = (size_t)(end - text) - 1;
    memcpy(literal, text + 1, size);
    literal[size] = '\0';
    bool fine = inet_pton(AF_INET6, literal, &address) == 1 &&
                inet_ntop(AF_INET6, &address, shortest, sizeof shortest) != NULL &&
                strcmp(literal, shortest) == 0;
    return fine ? size + 2 : 0;
}

static const char *port_fault(const char *port, bool http, bool https)
{
    size_t size = strspn(port, DIGITS);
    if (size == 0 || size > 5 || port[size] != '\0' || port[0] == '0' ||
        strtol(port, NULL, 10) > 65535) {
        return NEVER "a port is a number from 1 to 65535, with nothing behind it";
    }
    if ((http && strcmp(port, "80") == 0) || (https && strcmp(port, "443") == 0)) {
        return NEVER "browsers leave out the port that is the scheme's own";
    }
    return NULL;
}

const char *dm_origin_fault(const char *origin)
{
    const char *host = strstr(origin, "://");
    if (strcmp(origin, "*") == 0) {
        return NULL;
    }
    if (strcmp(origin, "null") == 0) {
        return "is what every sandboxed page sends: name the origins that may call";
    }
    if (strpbrk(origin, CAPITALS) != NULL) {
        return NEVER "browsers send origins in small letters";
    }
    if (host == NULL || host == origin ||
        strspn(origin, LETTERS DIGITS "+-.") != (size_t)(host - origin)) {
        return NEVER "an origin is a scheme and a host, like https://app.example";
    }
    bool http = strncmp(origin, "http:", 5) == 0;
    bool https = strncmp(origin, "https:", 6) == 0;
    host += 3;
    size_t size = host[0] == '[' ? ipv6_size(host) : strspn(host, LETTERS DIGITS "-._");
    const char *rest = host + size;
    if (strpbrk(host, "/?#") != NULL) {
        return NEVER "browsers send nothing behind host and port, neither a slash nor a path";
    }
    if (strchr(host, '*') != NULL) {
        return NEVER "there are no patterns: give each origin, or * alone for all";
    }
    if (size == 0 || (*rest != '\0' && *rest != ':')) {
        return NEVER "a host is letters, digits, dots and dashes (other scripts as xn--), or an "
                     "IPv6 address in brackets, in its shortest form";
    }
    return *rest == '\0' ? NULL : port_fault(rest + 1, http, https);
}

const char *dm_host_fault(const char *host)
{
    size_t size = strlen(host);
    if (strstr(host, "://") != NULL) {
        return NEVER "give the name alone, without scheme or path";
    }
    if (strchr(host, ':') != NULL) {
        return NEVER "give the name alone: any port matches, and IP addresses are always served";
    }
    if (strchr(host, '*') != NULL) {
        return NEVER "there are no patterns: give each name";
    }
    if (size == 0 || size > HOST_SIZE_MAX) {
        return NEVER "a name has 1 to 255 bytes";
    }
    if (strspn(host, CAPITALS LETTERS DIGITS "-._") != size) {
        return NEVER "a name is letters, digits, dots and dashes";
    }
    return NULL;
}

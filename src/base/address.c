#include "base/address.h"

#include "base/assert.h"

#include <string.h>
#include <sys/un.h>

static bool copy(char *to, size_t room, const char *from, size_t size)
{
    if (size == 0 || size >= room) {
        return false;
    }
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

static bool port_valid(const char *port, enum dm_address_use use)
{
    unsigned long number = 0;
    size_t digits = strlen(port);
    if (digits == 0 || digits > 5 || strspn(port, "0123456789") != digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        number = number * 10 + (unsigned long)(port[i] - '0');
    }
    return number <= 65535 && (number != 0 || use == DM_ADDRESS_LISTEN);
}

const char *dm_address_parse(const char *text, enum dm_address_use use, struct dm_address *out)
{
    *out = (struct dm_address){0};
    if (text == NULL) {
        return "an address is needed: HOST:PORT or unix:PATH";
    }
    if (strncmp(text, "unix:", 5) == 0) {
        out->unix_socket = true;
        size_t room = sizeof((struct sockaddr_un *)0)->sun_path;
        return copy(out->host, room, text + 5, strlen(text + 5))
                   ? NULL
                   : "the path of a unix socket must have 1 to 107 bytes";
    }
    if (strstr(text, "://") != NULL) {
        return "it is not a URL: write HOST:PORT, without http:// in front, or unix:PATH";
    }
    if (strchr(text, '/') != NULL) {
        return "a path needs unix: in front of it; otherwise write HOST:PORT";
    }
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !port_valid(colon + 1, use)) {
        return use == DM_ADDRESS_LISTEN ? "it must end in :PORT, 0 to 65535"
                                        : "it must end in :PORT, 1 to 65535";
    }
    const char *host = text;
    size_t size = (size_t)(colon - text);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (memchr(host, ':', size) != NULL) {
        return "an IPv6 address needs brackets: [::1]:PORT";
    }
    if (!copy(out->host, sizeof out->host, host, size)) {
        return "the host must have 1 to 255 bytes";
    }
    DM_ASSERT(strlen(colon + 1) < sizeof out->port);
    memcpy(out->port, colon + 1, strlen(colon + 1) + 1);
    return NULL;
}

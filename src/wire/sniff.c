#include "wire/session.h"

/* "PRI" needs all three bytes: POST, PUT, PATCH and PROPFIND begin like it. A method is
 * letters, and an empty line may stand before it (RFC 9112, 2.2); a TLS hello (0x16) and
 * everything else is nothing that we speak. */
enum dm_sniff dm_sniff(struct dm_slice first)
{
    static const char preface[] = {'P', 'R', 'I'};
    const uint8_t *bytes = first.data;
    if (first.size == 0) {
        return DM_SNIFF_MORE;
    }
    if (bytes[0] == 0) {
        return DM_SNIFF_TTRPC;
    }
    if (bytes[0] == '\r') {
        return first.size < 2 ? DM_SNIFF_MORE : bytes[1] == '\n' ? DM_SNIFF_HTTP1 : DM_SNIFF_REFUSE;
    }
    uint8_t letter = bytes[0] | 0x20;
    if (letter < 'a' || letter > 'z') {
        return DM_SNIFF_REFUSE;
    }
    size_t shared = first.size < sizeof preface ? first.size : sizeof preface;
    if (memcmp(bytes, preface, shared) != 0) {
        return DM_SNIFF_HTTP1;
    }
    return shared == sizeof preface ? DM_SNIFF_H2 : DM_SNIFF_MORE;
}

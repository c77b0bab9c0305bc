#include "client/foreign.h"

#include "base/limits.h"

#include <string.h>

const char *dm_foreign(const uint8_t *head, const struct dm_ttrpc_header *header)
{
    if (memcmp(head, "HTTP/", 5) == 0 || memcmp(head, "<!DO", 4) == 0 ||
        memcmp(head, "<htm", 4) == 0) {
        return "an HTTP server answers there, not dormoused";
    }
    if (head[3] == 4 && header->stream == 0 && header->type == 0) { /* the head of a SETTINGS */
        return "an HTTP/2 server answers there, not dormoused";
    }
    if (head[0] == 0x15 && head[1] == 3) {
        return "the server there speaks TLS, which this client does not"; /* its alert */
    }
    if (header->size > DM_MESSAGE_SIZE_MAX) {
        return head[0] >= ' ' ? "another kind of server answers there, not dormoused: what it "
                                "sends is no ttrpc"
                              : "a frame over 4 MiB came in";
    }
    bool known = header->type == DM_TTRPC_RESPONSE || header->type == DM_TTRPC_DATA;
    return known ? NULL : "the server there sends frames that are no ttrpc; is it dormoused?";
}

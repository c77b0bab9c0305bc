#include "wire/http1_chunks.h"

#include "base/limits.h"

#include <stdbool.h>

/*  SIZE ──; ──▶ NAME ── = ──▶ VALUE or QUOTED ── ; ──▶ NAME …
 *    └──────────────┴────────────┴── CR LF ──▶ DATA ── CR LF ──▶ SIZE
 *                                       └─ size 0 ──▶ TRAILER lines ── empty line ──▶ end */
enum state {
    SIZE,
    SIZE_GAP, /* white space before a semicolon */
    NAME_FIRST,
    NAME,
    NAME_GAP, /* white space behind a name */
    VALUE_FIRST,
    VALUE,
    QUOTED,
    QUOTED_PAIR,
    QUOTED_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
    BAD,
};

enum { DIGITS_MAX = 16 }; /* of 64 bits */

static bool is_token(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_text(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Behind a size or a value: the next extension, or the end of the line. */
static enum state behind(uint8_t c)
{
    return c == ';' ? NAME_FIRST : is_space(c) ? SIZE_GAP : c == '\r' ? SIZE_LF : BAD;
}

static enum state step_size(struct dm_http1_chunks *c, uint8_t byte)
{
    int digit = hex_digit(byte);
    if (digit < 0) {
        return c->digits == 0 ? BAD : behind(byte);
    }
    if (c->digits++ == DIGITS_MAX) {
        return BAD;
    }
    c->left = c->left << 4 | (uint64_t)digit;
    return SIZE;
}

static enum state step_extension(enum state state, uint8_t byte)
{
    switch (state) {
    case SIZE_GAP:
        return is_space(byte) ? SIZE_GAP : byte == ';' ? NAME_FIRST : BAD;
    case NAME_FIRST:
        return is_space(byte) ? NAME_FIRST : is_token(byte) ? NAME : BAD;
    case NAME:
        return is_token(byte)   ? NAME
               : is_space(byte) ? NAME_GAP
               : byte == '='    ? VALUE_FIRST
                                : behind(byte);
    case NAME_GAP:
        return is_space(byte) ? NAME_GAP
               : byte == '='  ? VALUE_FIRST
               : byte == ';'  ? NAME_FIRST
                              : BAD;
    case VALUE_FIRST:
        return is_space(byte) ? VALUE_FIRST : byte == '"' ? QUOTED : is_token(byte) ? VALUE : BAD;
    case VALUE:
        return is_token(byte) ? VALUE : behind(byte);
    case QUOTED:
        return byte == '"' ? QUOTED_END : byte == '\\' ? QUOTED_PAIR : is_text(byte) ? QUOTED : BAD;
    case QUOTED_PAIR:
        return is_text(byte) ? QUOTED : BAD;
    default:
        return behind(byte); /* QUOTED_END */
    }
}

static enum state step_trailer(enum state state, uint8_t byte)
{
    switch (state) {
    case TRAILER_FIRST:
        return byte == '\r' ? END_LF : is_token(byte) ? TRAILER_NAME : BAD;
    case TRAILER_NAME:
        return byte == ':' ? TRAILER_VALUE : is_token(byte) ? TRAILER_NAME : BAD;
    case TRAILER_VALUE:
        return byte == '\r' ? TRAILER_LF : is_text(byte) ? TRAILER_VALUE : BAD;
    case TRAILER_LF:
        return byte == '\n' ? TRAILER_FIRST : BAD;
    default:
        return byte == '\n' ? END : BAD; /* END_LF */
    }
}

static enum state step(struct dm_http1_chunks *c, uint8_t byte)
{
    switch ((enum state)c->state) {
    case SIZE:
        return step_size(c, byte);
    case SIZE_LF:
        c->digits = 0;
        return byte != '\n' ? BAD : c->left == 0 ? TRAILER_FIRST : DATA;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return byte == '\n' ? SIZE : BAD;
    default:
        break;
    }
    c->extra++;
    return c->state < SIZE_LF ? step_extension(c->state, byte) : step_trailer(c->state, byte);
}

static void take(struct dm_slice *bytes, size_t size)
{
    *bytes = dm_slice((const uint8_t *)bytes->data + size, bytes->size - size);
}

enum dm_http1_chunks_step dm_http1_chunks_next(struct dm_http1_chunks *c, struct dm_slice *bytes,
                                               struct dm_slice *data)
{
    while (bytes->size != 0 && c->state < END) {
        if (c->state == DATA) {
            size_t size = bytes->size < c->left ? bytes->size : (size_t)c->left;
            *data = dm_slice(bytes->data, size);
            take(bytes, size);
            c->left -= size;
            c->state = c->left == 0 ? DATA_CR : DATA;
            return DM_HTTP1_CHUNKS_DATA;
        }
        c->state = (uint8_t)step(c, *(const uint8_t *)bytes->data);
        take(bytes, 1);
        if (c->extra > DM_HTTP1_CHUNK_EXTRA_MAX) {
            c->state = BAD;
            return DM_HTTP1_CHUNKS_LONG;
        }
    }
    return c->state == END   ? DM_HTTP1_CHUNKS_END
           : c->state == BAD ? DM_HTTP1_CHUNKS_BAD
                             : DM_HTTP1_CHUNKS_MORE;
}

#include "wire/h2_guard.h"

#include "base/bytes.h"

#include <stdbool.h>

/* RFC 9113, 4.1, 6 and 7. */
enum { PREFACE_SIZE = 24, HEAD_SIZE = 9, DEPENDENCY_SIZE = 4, PRIORITY_SIZE = 5 };
enum { TYPE_DATA = 0, TYPE_HEADERS = 1, TYPE_PRIORITY = 2, TYPE_RST_STREAM = 3 };
enum { FLAG_END_STREAM = 1 };
enum { PROTOCOL_ERROR = 1, STREAM_CLOSED = 5 };
#define STREAM_BITS 0x7fffffffU
_Static_assert(DM_H2_GUARD_STREAMS == 8 * sizeof(uint64_t), "a bit of `ended` for each stream");
_Static_assert(HEAD_SIZE + DEPENDENCY_SIZE == sizeof((struct dm_h2_guard){0}.head),
               "the head has room for a PRIORITY's dependency");

void dm_h2_guard_init(struct dm_h2_guard *guard)
{
    *guard = (struct dm_h2_guard){.skip = PREFACE_SIZE};
}

static uint32_t size_of(const uint8_t *head)
{
    return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

/* Of a PRIORITY, what it depends on is looked at, too. */
static size_t wanted(const struct dm_h2_guard *g)
{
    bool priority =
        g->got >= HEAD_SIZE && g->head[3] == TYPE_PRIORITY && size_of(g->head) == PRIORITY_SIZE;
    return priority ? HEAD_SIZE + DEPENDENCY_SIZE : HEAD_SIZE;
}

static struct dm_h2_fault judge_stream(struct dm_h2_guard *g, uint32_t id, uint8_t type, bool ends)
{
    struct dm_h2_fault fine = {0};
    uint32_t slot = id / 2 % DM_H2_GUARD_STREAMS;
    uint64_t bit = 1ULL << slot;
    if (id % 2 == 0) {
        return fine; /* not a client's stream: nghttp2 says so */
    }
    if (id > g->highest) {
        if (type != TYPE_HEADERS) {
            return fine; /* an idle stream: nghttp2 says so, too */
        }
        g->highest = g->ids[slot] = id;
        g->ended &= ~bit;
        g->reset &= ~bit;
    }
    if (g->ids[slot] > id) {
        return fine;
    }
    if (g->ids[slot] < id) {
        return (struct dm_h2_fault){.code = PROTOCOL_ERROR};
    }
    if ((g->reset & bit) != 0) {
        return (struct dm_h2_fault){.code = STREAM_CLOSED, .stream = id};
    }
    if ((g->ended & bit) != 0) {
        return (struct dm_h2_fault){.code = STREAM_CLOSED};
    }
    g->ended |= ends ? bit : 0;
    return fine;
}

static struct dm_h2_fault judge(struct dm_h2_guard *g)
{
    struct dm_h2_fault fine = {0};
    uint32_t id = dm_load_be32(g->head + 5) & STREAM_BITS;
    uint32_t slot = id / 2 % DM_H2_GUARD_STREAMS;
    switch (g->head[3]) {
    case TYPE_DATA:
    case TYPE_HEADERS:
        return judge_stream(g, id, g->head[3], (g->head[4] & FLAG_END_STREAM) != 0);
    case TYPE_RST_STREAM:
        g->reset |= g->ids[slot] == id ? 1ULL << slot : 0;
        return fine;
    case TYPE_PRIORITY: {
        bool itself = g->got > HEAD_SIZE && (dm_load_be32(g->head + HEAD_SIZE) & STREAM_BITS) == id;
        return id == 0 || itself ? (struct dm_h2_fault){.code = PROTOCOL_ERROR} : fine;
    }
    default:
        return fine;
    }
}

size_t dm_h2_guard_look(struct dm_h2_guard *g, struct dm_slice bytes, struct dm_h2_fault *fault)
{
    const uint8_t *from = bytes.data;
    size_t begin = 0; /* of the frame at hand, as far as it is in these bytes */
    *fault = (struct dm_h2_fault){0};
    for (size_t at = 0; at < bytes.size;) {
        size_t left = bytes.size - at;
        if (g->skip != 0) {
            size_t size = left < g->skip ? left : g->skip;
            g->skip -= (uint32_t)size;
            at += size;
            continue;
        }
        begin = g->got == 0 ? at : begin;
        size_t missing = wanted(g) - g->got;
        size_t size = left < missing ? left : missing;
        memcpy(g->head + g->got, from + at, size);
        g->got += (uint8_t)size;
        at += size;
        if (g->got < wanted(g)) {
            continue;
        }
        *fault = judge(g);
        g->skip = size_of(g->head) - (g->got - HEAD_SIZE);
        g->got = 0;
        if (fault->code != 0) {
            return fault->stream != 0 ? at : begin;
        }
    }
    return bytes.size;
}

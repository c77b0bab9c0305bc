/* Requests of every method, past the protocols: a script of calls against one server.
 *
 *   method u8, flags u8 (1: JSON, 2: with a deadline, 4: by GET, 8: cancelled, 16: in the
 *   same turn as the next one, 32: an hour passes first), size u16 LE, payload */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/list.h"
#include "faults/house.h"
#include "fuzz/session.h"
#include "rpc/methods.h"
#include "rpc/prefetch.h"

#include <stdlib.h>
#include <string.h>

enum { JSON = 1, DEADLINE = 2, GET = 4, CANCELLED = 8, SAME_TURN = 16, HOUR = 32 };
enum { CALL_HEAD = 4, HOUR_MS = 3600000 };

struct reader {
    struct dm_sink sink;
    uint64_t answers;
};

static void count(struct dm_sink *sink)
{
    DM_CONTAINER_OF(sink, struct reader, sink)->answers++;
}

static void on_reply(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    (void)id, (void)payload;
    count(sink);
}

static void on_fail(struct dm_sink *sink, uint64_t id, enum dm_code code, const char *message)
{
    (void)id;
    DM_ASSERT(code != DM_OK && message != NULL && *message != '\0');
    count(sink);
}

static void on_message(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    (void)sink, (void)id, (void)payload;
}

static void on_end(struct dm_sink *sink, uint64_t id)
{
    (void)id;
    count(sink);
}

static size_t on_room(struct dm_sink *sink, uint64_t id)
{
    (void)sink, (void)id;
    return 65536;
}

static void one_call(struct house *house, struct reader *reader, uint64_t id,
                     const struct dm_method *method, unsigned flags, struct dm_slice payload)
{
    void *copy = malloc(payload.size == 0 ? 1 : payload.size);
    DM_ASSERT(copy != NULL);
    memcpy(copy, payload.data, payload.size);
    const struct dm_rpc_request request = {
        .id = id,
        .service = method->service,
        .method = method->name,
        .payload = dm_slice(copy, payload.size),
        .json = (flags & JSON) != 0,
        .timeout_ns = (flags & DEADLINE) != 0 ? 1 : 0,
        .open = method->client_stream,
        .get = (flags & GET) != 0,
    };
    dm_rpc_prefetch(house->rpc, &request.payload, 1);
    dm_rpc_call(house->rpc, &reader->sink, &request);
    if (method->client_stream) {
        dm_rpc_input(house->rpc, &reader->sink, id, request.payload);
        dm_rpc_input_end(house->rpc, &reader->sink, id);
    }
    if ((flags & CANCELLED) != 0) {
        dm_rpc_cancel(house->rpc, &reader->sink, id);
    }
    free(copy);
}

static void script(struct house *house, struct reader *reader, const uint8_t *data, size_t size)
{
    uint64_t id = 0;
    while (size >= CALL_HEAD) {
        const struct dm_method *method = &dm_methods.items[data[0] % dm_methods.count];
        unsigned flags = data[1];
        size_t length = dm_load_le16(data + 2);
        data += CALL_HEAD;
        size -= CALL_HEAD;
        length = length < size ? length : size;
        if ((flags & HOUR) != 0) {
            virtual_clock_advance(&house->clock, HOUR_MS);
        }
        one_call(house, reader, ++id, method, flags, dm_slice(data, length));
        if ((flags & SAME_TURN) == 0) {
            house_turn(house);
            virtual_clock_advance(&house->clock, 1);
        }
        data += length;
        size -= length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dm_sink_ops ops = {
        .reply = on_reply,
        .fail = on_fail,
        .stream_message = on_message,
        .stream_end = on_end,
        .stream_room = on_room,
    };
    struct house house;
    struct reader reader = {.answers = 0};
    house_open(&house);
    dm_sink_init(&reader.sink, &ops, "fuzz");
    script(&house, &reader, data, size);
    for (int i = 0; i < 4; i++) {
        house_turn(&house);
        virtual_clock_advance(&house.clock, 10000);
    }
    dm_rpc_sink_gone(house.rpc, &reader.sink);
    house_close(&house);
    return 0;
}

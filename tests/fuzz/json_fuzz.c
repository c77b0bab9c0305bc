/* ProtoJSON, both ways, for every message that is called with: the first byte says which
 * one and in which direction. What was read can be written, and read again the same. */
#include "base/assert.h"
#include "fuzz/session.h"
#include "rpc/methods.h"
#include "json/json.h"

static const char *message_type(uint8_t choice)
{
    const struct dm_method *method = &dm_methods.items[choice / 2 % dm_methods.count];
    return choice % 2 == 0 ? method->request : method->response;
}

static void there_and_back(const char *type, struct dm_slice proto)
{
    struct dm_buf text = {0}, again = {0}, text_again = {0};
    struct dm_error error;
    if (dm_proto_to_json(type, proto, &text, &error) == DM_OK) {
        enum dm_code code = dm_json_to_proto(type, dm_buf_slice(&text), &again, &error);
        DM_ASSERT(code == DM_OK);
        code = dm_proto_to_json(type, dm_buf_slice(&again), &text_again, &error);
        DM_ASSERT(code == DM_OK);
        DM_ASSERT(dm_slice_equal(dm_buf_slice(&text), dm_buf_slice(&text_again)));
    }
    dm_buf_finish(&text);
    dm_buf_finish(&again);
    dm_buf_finish(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *type = message_type(data[0] & 0x7F);
    struct dm_slice body = dm_slice(data + 1, size - 1);
    struct dm_buf proto = {0};
    struct dm_error error;
    if ((data[0] & 0x80) != 0) {
        there_and_back(type, body);
    } else if (dm_json_to_proto(type, body, &proto, &error) == DM_OK) {
        struct dm_buf text = {0};
        enum dm_code code = dm_proto_to_json(type, dm_buf_slice(&proto), &text, &error);
        DM_ASSERT(code == DM_OK);
        dm_buf_finish(&text);
        there_and_back(type, dm_buf_slice(&proto));
    }
    dm_buf_finish(&proto);
    return 0;
}

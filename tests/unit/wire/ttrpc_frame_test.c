#include "wire/ttrpc_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_header_is_ten_bytes_in_network_order(void **state)
{
    (void)state;
    const struct dm_ttrpc_header header = {.size = 0x010203, .stream = 7, .type = 1, .flags = 2};
    const uint8_t wanted[DM_TTRPC_HEADER_SIZE] = {0, 1, 2, 3, 0, 0, 0, 7, 1, 2};
    uint8_t bytes[DM_TTRPC_HEADER_SIZE];
    dm_ttrpc_header_store(bytes, &header);
    assert_memory_equal(bytes, wanted, sizeof wanted);
    struct dm_ttrpc_header read;
    dm_ttrpc_header_load(bytes, &read);
    assert_int_equal(read.size, header.size);
    assert_int_equal(read.stream, 7);
    assert_int_equal(read.type, 1);
    assert_int_equal(read.flags, 2);
}

static struct dm_slice body_of(const struct dm_buf *buf, struct dm_ttrpc_header *header)
{
    dm_ttrpc_header_load(dm_buf_head(buf), header);
    assert_int_equal(dm_buf_size(buf), DM_TTRPC_HEADER_SIZE + header->size);
    return dm_slice(dm_buf_head(buf) + DM_TTRPC_HEADER_SIZE, header->size);
}

static void a_request_reads_as_it_was_written(void **state)
{
    (void)state;
    const struct dm_ttrpc_request request = {
        .service = dm_slice_str("a.B"),
        .method = dm_slice_str("Do"),
        .payload = dm_slice_str("hello"),
        .timeout_ns = 5000000000,
    };
    struct dm_buf buf = {0};
    struct dm_ttrpc_header header;
    struct dm_ttrpc_request read;
    assert_true(dm_ttrpc_request_write(&buf, 9, DM_TTRPC_REMOTE_CLOSED, &request));
    assert_true(dm_ttrpc_request_read(body_of(&buf, &header), &read));
    assert_int_equal(header.stream, 9);
    assert_int_equal(header.type, DM_TTRPC_REQUEST);
    assert_int_equal(header.flags, DM_TTRPC_REMOTE_CLOSED);
    assert_true(dm_slice_equal(read.service, request.service));
    assert_true(dm_slice_equal(read.method, request.method));
    assert_true(dm_slice_equal(read.payload, request.payload));
    assert_int_equal(read.timeout_ns, request.timeout_ns);
    dm_buf_finish(&buf);
}

static void a_response_reads_as_it_was_written(void **state)
{
    (void)state;
    static const struct dm_ttrpc_response responses[] = {
        {.payload = {"answer", 6}},
        {.code = 5, .message = {"not found", 9}},
        {.code = -1},
        {.code = 0},
    };
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        struct dm_buf buf = {0};
        struct dm_ttrpc_header header;
        struct dm_ttrpc_response read;
        assert_true(dm_ttrpc_response_write(&buf, 1, &responses[i]));
        assert_true(dm_ttrpc_response_read(body_of(&buf, &header), &read));
        assert_int_equal(header.size, dm_ttrpc_response_size(&responses[i]));
        assert_int_equal(header.type, DM_TTRPC_RESPONSE);
        assert_int_equal(read.code, responses[i].code);
        assert_true(dm_slice_equal(read.message, responses[i].message));
        assert_true(dm_slice_equal(read.payload, responses[i].payload));
        dm_buf_finish(&buf);
    }
}

/* What protoc writes for Request{service:"s" method:"m" payload:"p" timeout_nano:300
 * metadata:{key:"k" value:"v"}} and Response{status:{code:3 message:"no" details:{}}}. */
static void the_bytes_of_other_encoders_are_read(void **state)
{
    (void)state;
    const uint8_t request[] = {0x0a, 1,    's',  0x12, 1,    'm',  0x1a, 1,    'p',  0x20,
                               0xac, 0x02, 0x2a, 0x06, 0x0a, 0x01, 'k',  0x12, 0x01, 'v'};
    struct dm_ttrpc_request asked;
    assert_true(dm_ttrpc_request_read(dm_slice(request, sizeof request), &asked));
    assert_int_equal(asked.timeout_ns, 300);
    assert_true(dm_slice_equal(asked.payload, dm_slice_str("p")));
    const uint8_t response[] = {0x0a, 0x08, 0x08, 0x03, 0x12, 0x02, 'n', 'o', 0x1a, 0x00};
    struct dm_ttrpc_response answered;
    assert_true(dm_ttrpc_response_read(dm_slice(response, sizeof response), &answered));
    assert_int_equal(answered.code, 3);
    assert_true(dm_slice_equal(answered.message, dm_slice_str("no")));
}

static void assert_same(struct dm_slice a, struct dm_slice b)
{
    assert_int_equal(a.size, b.size);
    assert_true(a.size == 0 || a.data == b.data);
}

/* Field `key` with this text. */
static void put(struct dm_buf *buf, uint8_t key, const char *text)
{
    uint8_t head[] = {key, (uint8_t)strlen(text)};
    assert_true(dm_buf_append(buf, head, sizeof head));
    assert_true(dm_buf_append(buf, text, strlen(text)));
}

static void names_known_already_change_nothing_in_what_is_read(void **state)
{
    (void)state;
    enum { SERVICE = 0x0a, METHOD = 0x12, PAYLOAD = 0x1a, OTHER = 0x2a };
    static const struct {
        uint8_t key;
        const char *text;
    } fields[] = {
        {SERVICE, "a.B"},
        {METHOD, "Do"},
        {PAYLOAD, "x"},
        {METHOD, "Due"},
        {SERVICE, "a.Bee"},
        {SERVICE, ""},
        {PAYLOAD, "longer"},
        {OTHER, "unknown"},
        {METHOD, "A method whose name is so long that nobody wants to remember it at all"},
    };
    uint32_t random = 1;
    struct dm_ttrpc_names names = {0};
    for (int round = 0; round < 20000; round++) {
        struct dm_buf buf = {0};
        /* Mostly the usual three fields, then others, in any order. */
        bool usual = random % 3 != 0;
        for (unsigned i = 0; i < (usual ? 2 : 0) + random % 4; i++) {
            random = random * 1664525 + 1013904223;
            size_t which = usual && i < 2 ? i : (random >> 16) % (sizeof fields / sizeof *fields);
            put(&buf, fields[which].key, fields[which].text);
        }
        random = random * 1664525 + 1013904223;
        struct dm_slice body = dm_buf_slice(&buf);
        body.size -= body.size > 0 && (random >> 20) % 16 == 0 ? 1 : 0; /* cut */
        struct dm_ttrpc_request wanted, found;
        bool readable = dm_ttrpc_request_read(body, &wanted);
        assert_int_equal(dm_ttrpc_request_reread(body, &names, &found), readable);
        if (readable) {
            assert_same(found.service, wanted.service);
            assert_same(found.method, wanted.method);
            assert_same(found.payload, wanted.payload);
        }
        dm_buf_finish(&buf);
    }
}

static void damaged_envelopes_are_refused(void **state)
{
    (void)state;
    static const struct dm_slice bad[] = {
        {"\x0a", 1},                                              /* no size */
        {"\x0a\x05xx", 4},                                        /* longer than what is there */
        {"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* a varint of 11 bytes */
        {"\x0b", 1},                                              /* a group */
        {"\x00\x00", 2},                                          /* field 0 */
        {"\x29\x01\x02", 3},                                      /* half a fixed64 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dm_ttrpc_request request;
        struct dm_ttrpc_response response;
        uint8_t *exact = malloc(bad[i].size); /* so that a sanitizer sees the end */
        assert_non_null(exact);
        memcpy(exact, bad[i].data, bad[i].size);
        assert_false(dm_ttrpc_request_read(dm_slice(exact, bad[i].size), &request));
        assert_false(dm_ttrpc_response_read(dm_slice(exact, bad[i].size), &response));
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_ten_bytes_in_network_order),
        cmocka_unit_test(a_request_reads_as_it_was_written),
        cmocka_unit_test(a_response_reads_as_it_was_written),
        cmocka_unit_test(the_bytes_of_other_encoders_are_read),
        cmocka_unit_test(names_known_already_change_nothing_in_what_is_read),
        cmocka_unit_test(damaged_envelopes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

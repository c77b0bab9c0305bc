#include "dormouse/v1/dormouse.pb.h"
#include "every_kind.pb.h"
#include "hot/hot.h"
#include "rpc/hot_codec.h"
#include "rpc/message.h"

#include <pb_common.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The generated hot codec against nanopb: the same bytes are accepted and refused, with the
 * same results and words, and the same messages become the same bytes. */

enum { ROUNDS = 20000, BYTES_MAX = 4096, FIELDS_MAX = 64 };

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)((next_random() >> 11) % limit);
}

static bool one_in(uint32_t chances)
{
    return below(chances) == 0;
}

/* Small numbers, large ones, and those where a length or a type ends. */
static uint64_t random_number(void)
{
    static const uint64_t edges[] = {
        0,          1,          0x7F,       0x80,      0x3FFF,     0x4000,     INT32_MAX,
        0x80000000, UINT32_MAX, 1ULL << 32, INT64_MAX, 1ULL << 63, UINT64_MAX, (uint64_t)INT32_MIN,
    };
    switch (below(4)) {
    case 0:
        return edges[below(sizeof edges / sizeof edges[0])];
    case 1:
        return next_random() >> below(64);
    default:
        return below(20);
    }
}

/* ---- bytes that are nearly always a message ------------------------------------------- */

struct bytes {
    uint8_t data[BYTES_MAX];
    size_t size;
};

static void put(struct bytes *to, const void *data, size_t size)
{
    if (size != 0 && to->size + size <= BYTES_MAX) {
        memcpy(to->data + to->size, data, size);
        to->size += size;
    }
}

static void put_byte(struct bytes *to, unsigned byte)
{
    put(to, &(uint8_t){(uint8_t)byte}, 1);
}

/* Now and then with bytes that need not be there, up to more than are allowed. */
static void put_varint(struct bytes *to, uint64_t value)
{
    unsigned padding = one_in(20) ? below(12) : 0;
    for (; value >= 0x80; value >>= 7) {
        put_byte(to, (unsigned)(value & 0x7F) | 0x80);
    }
    put_byte(to, (unsigned)value | (padding != 0 ? 0x80 : 0));
    for (; padding != 0; padding--) {
        put_byte(to, padding > 1 ? 0x80 : 0);
    }
}

static void put_random(struct bytes *to, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        put_byte(to, below(256));
    }
}

static void put_message(struct bytes *to, const pb_msgdesc_t *fields, unsigned depth);

static void put_sized(struct bytes *to, const pb_msgdesc_t *inner, unsigned depth)
{
    struct bytes *content = calloc(1, sizeof *content);
    if (inner != NULL && depth < 4) {
        put_message(content, inner, depth + 1);
    } else {
        put_random(content, one_in(10) ? 120 + below(20) : below(8));
    }
    put_varint(to, one_in(80) ? random_number() : content->size);
    put(to, content->data, content->size);
    free(content);
}

static void put_packed(struct bytes *to)
{
    struct bytes *content = calloc(1, sizeof *content);
    for (uint32_t numbers = below(4); numbers != 0; numbers--) {
        put_varint(content, random_number());
    }
    put_varint(to, content->size);
    put(to, content->data, content->size);
    free(content);
}

static void put_value(struct bytes *to, unsigned type, const pb_msgdesc_t *inner, unsigned depth)
{
    switch (type) {
    case PB_WT_VARINT:
        put_varint(to, random_number());
        return;
    case PB_WT_64BIT:
        put_random(to, 8);
        return;
    case PB_WT_STRING:
        put_sized(to, inner, depth);
        return;
    case PB_WT_32BIT:
        put_random(to, 4);
        return;
    default:
        return;
    }
}

struct known {
    uint32_t number;
    bool text, repeated;
    const pb_msgdesc_t *inner;
};

/* The message's fields, by nanopb's descriptor; their count. */
static uint32_t fields_of(const pb_msgdesc_t *fields, struct known known[FIELDS_MAX])
{
    static max_align_t nothing[4096 / sizeof(max_align_t)];
    uint32_t count = 0;
    pb_field_iter_t field;
    if (!pb_field_iter_begin(&field, fields, nothing)) {
        return 0;
    }
    do {
        assert_in_range(count, 0, FIELDS_MAX - 1);
        known[count++] = (struct known){
            .number = field.tag,
            .text = PB_LTYPE(field.type) > PB_LTYPE_LAST_PACKABLE,
            .repeated = PB_HTYPE(field.type) == PB_HTYPE_REPEATED,
            .inner = PB_LTYPE_IS_SUBMSG(field.type) ? field.submsg_desc : NULL,
        };
    } while (pb_field_iter_next(&field));
    return count;
}

static void put_unknown_field(struct bytes *to)
{
    static const unsigned types[] = {PB_WT_VARINT, PB_WT_64BIT, PB_WT_STRING, PB_WT_32BIT};
    uint32_t number = one_in(20) ? 0 : one_in(2) ? 64 + below(4) : 1 + below(1U << 28);
    unsigned type = one_in(20) ? below(8) : types[below(4)];
    put_varint(to, (uint64_t)number << 3 | type);
    put_value(to, type, NULL, 0);
}

static void put_field(struct bytes *to, const struct known *field, unsigned depth)
{
    unsigned type = field->text ? PB_WT_STRING : PB_WT_VARINT;
    if (one_in(60)) {
        type = below(8);
    }
    bool packed = field->repeated && !field->text && one_in(2);
    put_varint(to, (uint64_t)field->number << 3 | (packed ? PB_WT_STRING : type));
    if (packed) {
        put_packed(to);
    } else {
        put_value(to, type, field->inner, depth);
    }
}

static void put_message(struct bytes *to, const pb_msgdesc_t *fields, unsigned depth)
{
    struct known known[FIELDS_MAX];
    uint32_t count = fields_of(fields, known);
    for (uint32_t left = below(8); left != 0; left--) {
        if (count == 0 || one_in(8)) {
            put_unknown_field(to);
        } else {
            put_field(to, &known[below(count)], depth);
        }
    }
}

static void mutate(struct bytes *bytes)
{
    if (bytes->size == 0) {
        return;
    }
    size_t at = below((uint32_t)bytes->size);
    switch (below(4)) {
    case 0:
        bytes->size = at;
        return;
    case 1:
        bytes->data[at] ^= (uint8_t)(1U << below(8));
        return;
    case 2:
        bytes->data[at] = (uint8_t)below(256);
        return;
    default:
        memmove(bytes->data + at, bytes->data + at + 1, bytes->size - at - 1);
        bytes->size--;
        return;
    }
}

/* ---- what is read ---------------------------------------------------------------------- */

/* The bytes stand alone in memory, so that a sanitizer sees a step beyond them. */
static bool decodes_alike(const struct hot_decoded *message, const uint8_t *data, size_t size)
{
    uint8_t *alone = malloc(size != 0 ? size : 1);
    if (size != 0) {
        memcpy(alone, data, size);
    }
    bool accepted = hot_decodes_alike(message, dm_slice(alone, size));
    free(alone);
    return accepted;
}

static void read_alike(const struct hot_decoded *message)
{
    uint32_t accepted = 0;
    struct bytes *bytes = calloc(1, sizeof *bytes);
    random_state = 0x9E3779B97F4A7C15;
    for (int i = 0; i < ROUNDS; i++) {
        bytes->size = 0;
        put_message(bytes, message->fields, 0);
        accepted += decodes_alike(message, bytes->data, bytes->size);
        for (uint32_t changes = below(3); changes != 0; changes--) {
            mutate(bytes);
        }
        (void)decodes_alike(message, bytes->data, bytes->size);
    }
    free(bytes);
    assert_in_range(accepted, ROUNDS / 4, ROUNDS - ROUNDS / 20); /* else it shows little */
}

static void requests_are_read_as_nanopb_reads_them(void **state)
{
    (void)state;
    assert_int_equal(hot_decoded_count, 4);
    for (size_t i = 0; i < hot_decoded_count; i++) {
        read_alike(&hot_decoded[i]);
    }
}

static void every_kind_of_field_is_read_as_nanopb_reads_it(void **state)
{
    (void)state;
    read_alike(&hot_every_decoded[0]);
}

static const struct hot_decoded *set_status_request(void)
{
    for (size_t i = 0; i < hot_decoded_count; i++) {
        if (hot_decoded[i].fields == dormouse_v1_SetStatusRequest_fields) {
            return &hot_decoded[i];
        }
    }
    fail_msg("SetStatusRequest is not hot");
    return NULL;
}

/* Every varint of up to 11 bytes whose bytes are at an edge of what is allowed. */
static void varints_end_where_those_of_nanopb_do(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x01, 0x02, 0x07, 0x08, 0x0F, 0x10, 0x70, 0x78, 0x7F};
    uint32_t accepted = 0;
    random_state = 0xD1B54A32D192ED03;
    for (int i = 0; i < ROUNDS; i++) {
        /* change { status, lock }, then if_revision: a uint32, a bool, and a uint64 */
        static const uint8_t keys[] = {0x08, 0x30};
        uint8_t varint[12], bytes[32];
        size_t size = 1 + below(11), at = 0;
        bool filled = one_in(2); /* of ones, as a negative number is */
        for (size_t k = 0; k < size; k++) {
            uint8_t edge = filled && !one_in(6) ? 0x7F : edges[below(sizeof edges)];
            varint[k] = (uint8_t)(edge | (k + 1 < size ? 0x80 : 0));
        }
        if (one_in(3)) {
            bytes[at++] = 0x20;
        } else {
            bytes[at++] = 0x1A;
            bytes[at++] = (uint8_t)(size + 1);
            bytes[at++] = keys[below(sizeof keys)];
        }
        memcpy(bytes + at, varint, size);
        accepted += decodes_alike(set_status_request(), bytes, at + size);
        accepted += decodes_alike(set_status_request(), varint, size); /* as a key */
    }
    assert_in_range(accepted, ROUNDS / 10, 2 * ROUNDS - ROUNDS / 10);
}

static void a_text_of_another_type_is_refused(void **state)
{
    (void)state;
    dormouse_v1_CheckRequest in = {0};
    assert_string_equal(dm_check_request_decode(dm_slice("\x08\x05", 2), &in), "wrong wire type");
    assert_string_equal(dm_check_request_decode(dm_slice("\x15"
                                                         "abcd",
                                                         5),
                                                &in),
                        "wrong wire type");
    assert_null(dm_check_request_decode(dm_slice("\x0A\x01g\x12\x00\xF8\x03\x05", 8), &in));
    assert_true(dm_slice_equal(in.account_id, dm_slice_str("g")));
    assert_non_null(in.contact_id.data); /* present, and empty */
    assert_int_equal(in.contact_id.size, 0);
}

static void a_change_given_twice_is_merged(void **state)
{
    (void)state;
    dormouse_v1_SetStatusRequest in = {0};
    /* change { status: 2, snooze_for { seconds: 5 } }, change { snooze_for { nanos: 7 } } */
    static const char merged[] = "\x1A\x06\x08\x02\x12\x02\x08\x05\x1A\x04\x12\x02\x10\x07";
    assert_null(dm_set_status_request_decode(dm_slice(merged, sizeof merged - 1), &in));
    assert_int_equal(in.change.status, dormouse_v1_Status_STATUS_SNOOZED);
    assert_int_equal(in.change.which_wake, dormouse_v1_StatusChange_snooze_for_tag);
    assert_int_equal(in.change.wake.snooze_for.seconds, 5);
    assert_int_equal(in.change.wake.snooze_for.nanos, 7);
    /* change { snooze_for { seconds: 5 }, snooze_until { nanos: 7 } } */
    static const char last[] = "\x1A\x08\x12\x02\x08\x05\x1A\x02\x10\x07";
    in = (dormouse_v1_SetStatusRequest){0};
    assert_null(dm_set_status_request_decode(dm_slice(last, sizeof last - 1), &in));
    assert_int_equal(in.change.which_wake, dormouse_v1_StatusChange_snooze_until_tag);
    assert_int_equal(in.change.wake.snooze_until.seconds, 0);
    assert_int_equal(in.change.wake.snooze_until.nanos, 7);
}

/* ---- what is written --------------------------------------------------------------------- */

static void write_alike(const struct hot_encoded *message)
{
    uint32_t written = 0;
    struct bytes *bytes = calloc(1, sizeof *bytes);
    random_state = 0x2545F4914F6CDD1D;
    for (int i = 0; i < ROUNDS; i++) {
        bytes->size = 0;
        put_message(bytes, message->fields, 0);
        written += hot_encodes_alike(message, dm_slice(bytes->data, bytes->size));
    }
    free(bytes);
    assert_in_range(written, ROUNDS / 4, ROUNDS);
}

static void answers_are_written_as_nanopb_writes_them(void **state)
{
    (void)state;
    assert_int_equal(hot_encoded_count, 4);
    for (size_t i = 0; i < hot_encoded_count; i++) {
        write_alike(&hot_encoded[i]);
    }
}

static void every_kind_of_field_is_written_as_nanopb_writes_it(void **state)
{
    (void)state;
    write_alike(&hot_every_encoded[0]);
}

static void a_text_with_presence_is_written_though_it_is_empty(void **state)
{
    (void)state;
    uint8_t out[DM_SMALL_MESSAGE];
    const dormouse_test_Everything message = {
        .name = dm_slice_str(""), /* without presence: nothing */
        .maybe_name = dm_slice_str(""),
        .which_choice = dormouse_test_Everything_chosen_name_tag,
    };
    static const char expected[] = "\x9A\x01\x00\xD2\x01\x00";
    struct dm_slice bytes = hot_every_encoded[0].encode(out, &message);
    assert_true(dm_slice_equal(bytes, dm_slice(expected, sizeof expected - 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read_as_nanopb_reads_them),
        cmocka_unit_test(every_kind_of_field_is_read_as_nanopb_reads_it),
        cmocka_unit_test(varints_end_where_those_of_nanopb_do),
        cmocka_unit_test(a_text_of_another_type_is_refused),
        cmocka_unit_test(a_change_given_twice_is_merged),
        cmocka_unit_test(answers_are_written_as_nanopb_writes_them),
        cmocka_unit_test(every_kind_of_field_is_written_as_nanopb_writes_it),
        cmocka_unit_test(a_text_with_presence_is_written_though_it_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

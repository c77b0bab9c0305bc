#include "rpc/hot_codec.h"

#include "fixture.h"

/* The hand-written codec against nanopb with the generated descriptors: the same bytes are
 * accepted and refused, with the same results and words. */

enum { ROUNDS = 40000, BYTES_MAX = 4096 };

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

/* Of each field, by number: a text, a number, or one of the messages below. */
struct shape {
    const char *kinds; /* t, n, m */
    const struct shape *inner;
};
static const struct shape time_shape = {"nn", NULL};
static const struct shape change_shape = {"nmmtnnnt", &time_shape};
static const struct shape check_shape = {"tt", NULL};
static const struct shape commit_reply_shape = {"ttnt", NULL};
static const struct shape record_activity_shape = {"ttntt", NULL};
static const struct shape set_status_shape = {"ttmnt", &change_shape};

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

static void put_message(struct bytes *to, const struct shape *shape);

static void put_sized(struct bytes *to, const struct shape *inner)
{
    struct bytes *content = calloc(1, sizeof *content);
    if (inner != NULL) {
        put_message(content, inner);
    } else {
        put_random(content, one_in(10) ? 120 + below(20) : below(8));
    }
    put_varint(to, one_in(80) ? random_number() : content->size);
    put(to, content->data, content->size);
    free(content);
}

static void put_value(struct bytes *to, unsigned type, const struct shape *inner)
{
    switch (type) {
    case PB_WT_VARINT:
        put_varint(to, random_number());
        return;
    case PB_WT_64BIT:
        put_random(to, 8);
        return;
    case PB_WT_STRING:
        put_sized(to, inner);
        return;
    case PB_WT_32BIT:
        put_random(to, 4);
        return;
    default:
        return;
    }
}

static void put_field(struct bytes *to, const struct shape *shape)
{
    uint32_t known = (uint32_t)strlen(shape->kinds), number = 1 + below(known);
    char kind = shape->kinds[number - 1];
    unsigned type = kind == 'n' ? PB_WT_VARINT : PB_WT_STRING;
    if (one_in(60)) {
        type = below(8);
    }
    if (one_in(8)) {
        static const unsigned types[] = {PB_WT_VARINT, PB_WT_64BIT, PB_WT_STRING, PB_WT_32BIT};
        number = one_in(20) ? 0 : known + 1 + (one_in(2) ? below(4) : below(1U << 28));
        type = one_in(20) ? below(8) : types[below(4)];
        kind = 'u';
    }
    put_varint(to, (uint64_t)number << 3 | type);
    put_value(to, type, kind == 'm' ? shape->inner : NULL);
}

static void put_message(struct bytes *to, const struct shape *shape)
{
    for (uint32_t fields = below(8); fields != 0; fields--) {
        put_field(to, shape);
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

/* ---- what nanopb makes of them ----------------------------------------------------------- */

/* Texts of another wire type come from nanopb's own stack: it does not refuse them. */
static struct dm_slice payload;
static bool foreign;

static bool read_text(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    uintptr_t at = (uintptr_t)stream->state, begin = (uintptr_t)payload.data;
    foreign = foreign || at < begin || at > begin + payload.size;
    *(struct dm_slice *)*arg = dm_slice(stream->state, stream->bytes_left);
    return pb_read(stream, NULL, stream->bytes_left);
}

static pb_callback_t text(struct dm_slice *to)
{
    return (pb_callback_t){.funcs.decode = read_text, .arg = to};
}

static const char *reference(const pb_msgdesc_t *fields, void *message)
{
    pb_istream_t stream = pb_istream_from_buffer(payload.data, payload.size);
    foreign = false;
    return pb_decode_ex(&stream, fields, message, PB_DECODE_NOINIT) ? NULL : PB_GET_ERROR(&stream);
}

static void same_text(struct dm_slice ours, struct dm_slice theirs)
{
    assert_ptr_equal(ours.data, theirs.data);
    assert_int_equal(ours.size, theirs.size);
}

/* Did both accept? Where a text has the wrong type, only ours says so. */
static bool both_accept(const char *ours, const char *theirs)
{
    if (ours != NULL && strcmp(ours, "wrong wire type") == 0) {
        assert_true(foreign || (theirs != NULL && strcmp(theirs, "zero tag") != 0));
        return false;
    }
    assert_false(foreign);
    if (ours == NULL || theirs == NULL) {
        if (ours != theirs) {
            fail_msg("ours: %s; nanopb: %s", ours, theirs);
        }
        return true;
    }
    assert_string_equal(ours, theirs);
    return false;
}

static bool check_agrees(void)
{
    struct dm_check_in ours, theirs = {0};
    dormouse_v1_CheckRequest message = {
        .account_id = text(&theirs.account_id),
        .contact_id = text(&theirs.contact_id),
    };
    const char *wrong = dm_check_decode(payload, &ours);
    if (!both_accept(wrong, reference(dormouse_v1_CheckRequest_fields, &message))) {
        return false;
    }
    same_text(ours.account_id, theirs.account_id);
    same_text(ours.contact_id, theirs.contact_id);
    return true;
}

static bool commit_reply_agrees(void)
{
    struct dm_commit_reply_in ours, theirs = {0};
    dormouse_v1_CommitReplyRequest message = {
        .account_id = text(&theirs.account_id),
        .contact_id = text(&theirs.contact_id),
        .request_id = text(&theirs.request_id),
    };
    const char *wrong = dm_commit_reply_decode(payload, &ours);
    if (!both_accept(wrong, reference(dormouse_v1_CommitReplyRequest_fields, &message))) {
        return false;
    }
    same_text(ours.account_id, theirs.account_id);
    same_text(ours.contact_id, theirs.contact_id);
    same_text(ours.request_id, theirs.request_id);
    assert_int_equal(ours.fence, message.fence);
    return true;
}

static bool record_activity_agrees(void)
{
    struct dm_record_activity_in ours, theirs = {0};
    dormouse_v1_RecordActivityRequest message = {
        .account_id = text(&theirs.account_id),
        .contact_id = text(&theirs.contact_id),
        .actor = text(&theirs.actor),
        .request_id = text(&theirs.request_id),
    };
    const char *wrong = dm_record_activity_decode(payload, &ours);
    if (!both_accept(wrong, reference(dormouse_v1_RecordActivityRequest_fields, &message))) {
        return false;
    }
    same_text(ours.account_id, theirs.account_id);
    same_text(ours.contact_id, theirs.contact_id);
    same_text(ours.actor, theirs.actor);
    same_text(ours.request_id, theirs.request_id);
    assert_int_equal(ours.activity, message.activity);
    return true;
}

static void same_change(const dormouse_v1_StatusChange *ours,
                        const dormouse_v1_StatusChange *theirs)
{
    assert_int_equal(ours->status, theirs->status);
    assert_int_equal(ours->reason, theirs->reason);
    assert_int_equal(ours->lock, theirs->lock);
    assert_int_equal(ours->unlock, theirs->unlock);
    assert_int_equal(ours->which_wake, theirs->which_wake);
    if (ours->which_wake == dormouse_v1_StatusChange_snooze_for_tag) {
        assert_int_equal(ours->wake.snooze_for.seconds, theirs->wake.snooze_for.seconds);
        assert_int_equal(ours->wake.snooze_for.nanos, theirs->wake.snooze_for.nanos);
    } else {
        assert_int_equal(ours->wake.snooze_until.seconds, theirs->wake.snooze_until.seconds);
        assert_int_equal(ours->wake.snooze_until.nanos, theirs->wake.snooze_until.nanos);
    }
}

static bool set_status_agrees(void)
{
    struct dm_set_status_in ours, theirs = {0};
    dormouse_v1_SetStatusRequest message = {
        .account_id = text(&theirs.account_id),
        .contact_id = text(&theirs.contact_id),
        .change = {.actor = text(&theirs.texts.actor), .bot_id = text(&theirs.texts.bot_id)},
        .request_id = text(&theirs.request_id),
    };
    const char *wrong = dm_set_status_decode(payload, &ours);
    if (!both_accept(wrong, reference(dormouse_v1_SetStatusRequest_fields, &message))) {
        return false;
    }
    same_text(ours.account_id, theirs.account_id);
    same_text(ours.contact_id, theirs.contact_id);
    same_text(ours.request_id, theirs.request_id);
    same_text(ours.texts.actor, theirs.texts.actor);
    same_text(ours.texts.bot_id, theirs.texts.bot_id);
    assert_int_equal(ours.has_change, message.has_change);
    assert_int_equal(ours.has_if_revision, message.has_if_revision);
    assert_int_equal(ours.if_revision, message.if_revision);
    same_change(&ours.change, &message.change);
    return true;
}

/* ---- requests --------------------------------------------------------------------------- */

/* The bytes stand alone in memory, so that a sanitizer sees a step beyond them. */
static bool agrees_on(bool (*agrees)(void), const uint8_t *data, size_t size)
{
    uint8_t *alone = malloc(size != 0 ? size : 1);
    if (size != 0) {
        memcpy(alone, data, size);
    }
    payload = dm_slice(alone, size);
    bool accepted = agrees();
    free(alone);
    return accepted;
}

static void agrees_on_random_bytes(bool (*agrees)(void), const struct shape *shape)
{
    uint32_t accepted = 0;
    struct bytes *bytes = calloc(1, sizeof *bytes);
    random_state = 0x9E3779B97F4A7C15;
    for (int i = 0; i < ROUNDS; i++) {
        bytes->size = 0;
        put_message(bytes, shape);
        accepted += agrees_on(agrees, bytes->data, bytes->size);
        for (uint32_t changes = below(3); changes != 0; changes--) {
            mutate(bytes);
        }
        (void)agrees_on(agrees, bytes->data, bytes->size);
    }
    free(bytes);
    assert_in_range(accepted, ROUNDS / 4, ROUNDS - ROUNDS / 20); /* else it shows little */
}

static void check_requests_are_read_as_nanopb_reads_them(void **state)
{
    (void)state;
    agrees_on_random_bytes(check_agrees, &check_shape);
}

static void commit_reply_requests_are_read_as_nanopb_reads_them(void **state)
{
    (void)state;
    agrees_on_random_bytes(commit_reply_agrees, &commit_reply_shape);
}

static void record_activity_requests_are_read_as_nanopb_reads_them(void **state)
{
    (void)state;
    agrees_on_random_bytes(record_activity_agrees, &record_activity_shape);
}

static void set_status_requests_are_read_as_nanopb_reads_them(void **state)
{
    (void)state;
    agrees_on_random_bytes(set_status_agrees, &set_status_shape);
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
        accepted += agrees_on(set_status_agrees, bytes, at + size);
        accepted += agrees_on(set_status_agrees, varint, size); /* as a key */
    }
    assert_in_range(accepted, ROUNDS / 10, 2 * ROUNDS - ROUNDS / 10);
}

static void a_text_of_another_type_is_refused(void **state)
{
    (void)state;
    struct dm_check_in in;
    assert_string_equal(dm_check_decode(dm_slice("\x08\x05", 2), &in), "wrong wire type");
    assert_string_equal(dm_check_decode(dm_slice("\x15"
                                                 "abcd",
                                                 5),
                                        &in),
                        "wrong wire type");
    assert_null(dm_check_decode(dm_slice("\x0A\x01g\x12\x00\x18\x05", 7), &in));
    assert_text(in.account_id, "g");
    assert_non_null(in.contact_id.data); /* present, and empty */
    assert_int_equal(in.contact_id.size, 0);
}

static void a_change_given_twice_is_merged(void **state)
{
    (void)state;
    struct dm_set_status_in in;
    /* change { status: 2, snooze_for { seconds: 5 } }, change { snooze_for { nanos: 7 } } */
    static const char merged[] = "\x1A\x06\x08\x02\x12\x02\x08\x05\x1A\x04\x12\x02\x10\x07";
    assert_null(dm_set_status_decode(dm_slice(merged, sizeof merged - 1), &in));
    assert_int_equal(in.change.status, SNOOZED);
    assert_int_equal(in.change.which_wake, dormouse_v1_StatusChange_snooze_for_tag);
    assert_int_equal(in.change.wake.snooze_for.seconds, 5);
    assert_int_equal(in.change.wake.snooze_for.nanos, 7);
    /* change { snooze_for { seconds: 5 }, snooze_until { nanos: 7 } } */
    static const char last[] = "\x1A\x08\x12\x02\x08\x05\x1A\x02\x10\x07";
    assert_null(dm_set_status_decode(dm_slice(last, sizeof last - 1), &in));
    assert_int_equal(in.change.which_wake, dormouse_v1_StatusChange_snooze_until_tag);
    assert_int_equal(in.change.wake.snooze_until.seconds, 0);
    assert_int_equal(in.change.wake.snooze_until.nanos, 7);
}

/* ---- answers ------------------------------------------------------------------------------ */

static uint8_t letters[DM_ID_SIZE_MAX];

static struct dm_slice random_text(void)
{
    return dm_slice(letters, one_in(4) ? 0 : one_in(4) ? DM_ID_SIZE_MAX : below(DM_ID_SIZE_MAX));
}

static int64_t random_time(void)
{
    int64_t ms = (int64_t)(next_random() >> (10 + below(54)));
    return one_in(6) ? 0 : one_in(6) ? -ms : ms;
}

static struct dm_outcome random_outcome(void)
{
    return (struct dm_outcome){
        .contact =
            {
                .account_id = random_text(),
                .contact_id = random_text(),
                .bot_id = random_text(),
                .actor = random_text(),
                .status = (uint8_t)below(256),
                .reason = (uint8_t)below(20),
                .mode = (uint8_t)below(4),
                .locked = one_in(2),
                .bot_messages = (uint32_t)random_number(),
                .missed_inbound = (uint32_t)random_number(),
                .since_ms = random_time(),
                .until_ms = random_time(),
                .fence = random_number(),
                .revision = random_number(),
                .last_seq = random_number(),
            },
        .decision = (uint8_t)below(4),
        .granted = one_in(2),
        .changed = one_in(2),
    };
}

static void same_bytes(struct dm_slice ours, const pb_msgdesc_t *fields, const void *message)
{
    uint8_t bytes[DM_SMALL_MESSAGE];
    struct dm_slice theirs = dm_encode(bytes, fields, message);
    assert_int_equal(ours.size, theirs.size);
    assert_memory_equal(ours.data, theirs.data, theirs.size);
}

static void answers_are_written_as_nanopb_writes_them(void **state)
{
    (void)state;
    memset(letters, 'x', sizeof letters);
    random_state = 0x2545F4914F6CDD1D;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t out[DM_SMALL_MESSAGE];
        const struct dm_outcome outcome = random_outcome();
        dormouse_v1_Contact contact;
        dm_contact_message(&contact, &outcome.contact);
        const dormouse_v1_Decision decision = (dormouse_v1_Decision)outcome.decision;
        const dormouse_v1_CommitReplyResponse commit = {.granted = outcome.granted,
                                                        .decision = decision,
                                                        .has_contact = true,
                                                        .contact = contact};
        same_bytes(dm_commit_reply_encode(out, &outcome), dormouse_v1_CommitReplyResponse_fields,
                   &commit);
        const dormouse_v1_RecordActivityResponse activity = {.has_contact = true,
                                                             .contact = contact,
                                                             .decision = decision,
                                                             .changed = outcome.changed};
        same_bytes(dm_record_activity_encode(out, &outcome),
                   dormouse_v1_RecordActivityResponse_fields, &activity);
        const dormouse_v1_SetStatusResponse set = {
            .has_contact = true, .contact = contact, .changed = outcome.changed};
        same_bytes(dm_set_status_encode(out, &outcome), dormouse_v1_SetStatusResponse_fields, &set);
    }
}

static void check_answers_are_written_as_nanopb_writes_them(void **state)
{
    (void)state;
    random_state = 0x632BE59BD9B4E019;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t out[DM_SMALL_MESSAGE];
        const struct dm_effective effective = {
            .decision = (uint8_t)below(4),
            .status = (uint8_t)below(256),
            .decision_reason = (uint8_t)below(20),
            .fence = random_number(),
            .until_ms = random_time(),
            .limited = one_in(2),
            .messages_left = (uint32_t)random_number(),
        };
        const dormouse_v1_CheckResponse response = {
            .decision = (dormouse_v1_Decision)effective.decision,
            .status = (dormouse_v1_Status)effective.status,
            .reason = (dormouse_v1_Reason)effective.decision_reason,
            .fence = effective.fence,
            .has_valid_until = effective.until_ms != 0,
            .valid_until = dm_timestamp(effective.until_ms),
            .has_messages_left = effective.limited,
            .messages_left = effective.messages_left,
        };
        same_bytes(dm_check_encode(out, &effective), dormouse_v1_CheckResponse_fields, &response);
    }
}

/* A field that is added to the proto must be added to the codec: then come here. */
static void the_codec_knows_all_fields(void **state)
{
    (void)state;
    static const struct {
        const pb_msgdesc_t *message;
        pb_size_t fields, last;
    } known[] = {
        {dormouse_v1_CheckRequest_fields, 2, 2},
        {dormouse_v1_CheckResponse_fields, 6, 6},
        {dormouse_v1_CommitReplyRequest_fields, 4, 4},
        {dormouse_v1_CommitReplyResponse_fields, 3, 3},
        {dormouse_v1_RecordActivityRequest_fields, 5, 5},
        {dormouse_v1_RecordActivityResponse_fields, 3, 3},
        {dormouse_v1_SetStatusRequest_fields, 5, 5},
        {dormouse_v1_SetStatusResponse_fields, 2, 2},
        {dormouse_v1_StatusChange_fields, 8, 8},
        {dormouse_v1_Contact_fields, 15, 15},
        {google_protobuf_Timestamp_fields, 2, 2},
        {google_protobuf_Duration_fields, 2, 2},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(known[i].message->field_count, known[i].fields);
        assert_int_equal(known[i].message->largest_tag, known[i].last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_requests_are_read_as_nanopb_reads_them),
        cmocka_unit_test(commit_reply_requests_are_read_as_nanopb_reads_them),
        cmocka_unit_test(record_activity_requests_are_read_as_nanopb_reads_them),
        cmocka_unit_test(set_status_requests_are_read_as_nanopb_reads_them),
        cmocka_unit_test(varints_end_where_those_of_nanopb_do),
        cmocka_unit_test(a_text_of_another_type_is_refused),
        cmocka_unit_test(a_change_given_twice_is_merged),
        cmocka_unit_test(answers_are_written_as_nanopb_writes_them),
        cmocka_unit_test(check_answers_are_written_as_nanopb_writes_them),
        cmocka_unit_test(the_codec_knows_all_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

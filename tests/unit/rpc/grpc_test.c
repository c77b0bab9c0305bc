#include "fixture.h"

#include "dm_descriptors.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"

/* Health and reflection. */

#define HEALTH "grpc.health.v1.Health"
#define SERVING grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING
#define NOT_SERVING grpc_health_v1_HealthCheckResponse_ServingStatus_NOT_SERVING
#define SERVICE_UNKNOWN grpc_health_v1_HealthCheckResponse_ServingStatus_SERVICE_UNKNOWN

static uint64_t health(struct fixture *f, const char *method, const char *service)
{
    uint8_t bytes[128];
    grpc_health_v1_HealthCheckRequest request = {.service = dm_slice_str(service)};
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&stream, grpc_health_v1_HealthCheckRequest_fields, &request));
    uint64_t id = call_bytes(f, HEALTH, method, bytes, stream.bytes_written);
    (void)settle(f);
    return id;
}

static void expect_health(struct fixture *f, enum said_kind kind, uint64_t id, int status)
{
    grpc_health_v1_HealthCheckResponse response = {0};
    decode(expect(&f->one, kind, id), grpc_health_v1_HealthCheckResponse_fields, &response);
    assert_int_equal(response.status, status);
}

static void health_is_known_of_each_service(void **state)
{
    struct fixture *f = *state;
    expect_health(f, SAID_REPLY, health(f, "Check", ""), SERVING);
    expect_health(f, SAID_REPLY, health(f, "Check", BOT_STATUS), SERVING);
    expect_fail(&f->one, health(f, "Check", "no.Such"), DM_NOT_FOUND, "service");
    uint64_t id = health(f, "Watch", "no.Such");
    expect_health(f, SAID_MESSAGE, id, SERVICE_UNKNOWN);
    expect_nothing(&f->one);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 1); /* the stream stays */
}

static void a_drain_is_not_serving(void **state)
{
    struct fixture *f = *state;
    uint64_t id = health(f, "Watch", "");
    expect_health(f, SAID_MESSAGE, id, SERVING);
    assert_int_equal(settle(f), -1);
    dm_rpc_drain(f->rpc);
    (void)settle(f);
    expect_health(f, SAID_MESSAGE, id, NOT_SERVING);
    expect_fail(&f->one, id, DM_UNAVAILABLE, "stopping");
    expect_health(f, SAID_REPLY, health(f, "Check", BOT_STATUS), NOT_SERVING);
}

static void a_failed_journal_is_not_serving(void **state)
{
    struct fixture *f = *state;
    uint64_t id = health(f, "Watch", BOT_STATUS);
    expect_health(f, SAID_MESSAGE, id, SERVING);
    dm_journal_memory_fail(f->journal, DM_ORDER_FAILED);
    (void)settle(f);
    expect_health(f, SAID_MESSAGE, id, NOT_SERVING);
    expect_health(f, SAID_REPLY, health(f, "Check", ""), NOT_SERVING);
}

/* What /readyz asks is what health says. */
static void a_full_disk_is_not_serving_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct dm_error error;
    uint64_t id = health(f, "Watch", "");
    expect_health(f, SAID_MESSAGE, id, SERVING);
    assert_int_equal(dm_rpc_ready(f->rpc, NULL), DM_OK);
    dm_journal_memory_fail(f->journal, DM_ORDER_FULL);
    (void)settle(f);
    assert_int_equal(dm_rpc_ready(f->rpc, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "cannot be written"));
    expect_health(f, SAID_MESSAGE, id, NOT_SERVING);
    expect_health(f, SAID_REPLY, health(f, "Check", BOT_STATUS), NOT_SERVING);
    dm_journal_memory_fail(f->journal, DM_ORDER_OK);
    (void)settle(f);
    expect_health(f, SAID_MESSAGE, id, SERVING);
}

static void who_leaves_is_not_serving_and_serves(void **state)
{
    struct fixture *f = *state;
    uint64_t id = health(f, "Watch", "");
    expect_health(f, SAID_MESSAGE, id, SERVING);
    assert_int_equal(settle(f), -1);
    dm_rpc_leave(f->rpc);
    (void)settle(f);
    expect_health(f, SAID_MESSAGE, id, NOT_SERVING);
    expect_nothing(&f->one); /* the stream stays */
    assert_int_equal(dm_rpc_ready(f->rpc, NULL), DM_UNAVAILABLE);
    expect_health(f, SAID_REPLY, health(f, "Check", ""), NOT_SERVING);
    expect_fail(&f->one, health(f, "Check", "no.Such"), DM_NOT_FOUND, "service");
    id = health(f, "Watch", "no.Such"); /* new calls are taken */
    expect_health(f, SAID_MESSAGE, id, SERVICE_UNKNOWN);
}

/* ---- reflection ------------------------------------------------------------------------ */

struct answer {
    bool has_request, has_error, has_extensions;
    struct dm_slice request;
    int files, services;
    struct dm_slice file[16];
    struct dm_slice service[16];
    int32_t error_code;
};

static bool take(pb_istream_t *stream, struct dm_slice *text)
{
    uint32_t size;
    if (!pb_decode_varint32(stream, &size)) {
        return false;
    }
    *text = dm_slice(stream->state, size);
    return pb_read(stream, NULL, size);
}

/* The texts that are field 1 of `message`. */
static int texts(struct dm_slice message, struct dm_slice *out)
{
    pb_istream_t stream = pb_istream_from_buffer(message.data, message.size);
    int count = 0;
    while (stream.bytes_left != 0) {
        uint64_t key;
        assert_true(pb_decode_varint(&stream, &key));
        assert_int_equal(key, 1 << 3 | PB_WT_STRING);
        assert_true(take(&stream, &out[count++]));
    }
    return count;
}

static void decode_answer(const struct said *said, struct answer *answer)
{
    pb_istream_t stream = pb_istream_from_buffer(said->payload, said->size);
    memset(answer, 0, sizeof *answer);
    while (stream.bytes_left != 0) {
        uint64_t key;
        struct dm_slice text = {0};
        assert_true(pb_decode_varint(&stream, &key));
        assert_true(take(&stream, &text));
        struct dm_slice one[16] = {{0}};
        grpc_reflection_v1_ErrorResponse error = {0};
        switch (key >> 3) {
        case grpc_reflection_v1_ServerReflectionResponse_original_request_tag:
            answer->has_request = true;
            answer->request = text;
            break;
        case grpc_reflection_v1_ServerReflectionResponse_file_descriptor_response_tag:
            answer->files = texts(text, answer->file);
            break;
        case grpc_reflection_v1_ServerReflectionResponse_list_services_response_tag:
            answer->services = texts(text, one);
            for (int i = 0; i < answer->services; i++) {
                assert_int_equal(texts(one[i], &answer->service[i]), 1);
            }
            break;
        case grpc_reflection_v1_ServerReflectionResponse_all_extension_numbers_response_tag:
            answer->has_extensions = true;
            break;
        case grpc_reflection_v1_ServerReflectionResponse_error_response_tag: {
            pb_istream_t inner = dm_istream(text);
            assert_true(pb_decode(&inner, grpc_reflection_v1_ErrorResponse_fields, &error));
            answer->has_error = true;
            answer->error_code = error.error_code;
            break;
        }
        default:
            fail_msg("an unknown field");
        }
    }
}

static size_t question(uint8_t *bytes, uint32_t tag, const char *text)
{
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, 256);
    assert_true(pb_encode_tag(&stream, PB_WT_STRING, tag));
    assert_true(pb_encode_string(&stream, (const pb_byte_t *)text, strlen(text)));
    return stream.bytes_written;
}

static void reflect_open(struct fixture *f, const char *version, uint64_t id)
{
    char service[64];
    (void)snprintf(service, sizeof service, "grpc.reflection.%s.ServerReflection", version);
    const struct dm_rpc_request request = {
        .id = id,
        .service = dm_slice_str(service),
        .method = dm_slice_str("ServerReflectionInfo"),
        .open = true,
        .awaiting = true,
    };
    dm_rpc_call(f->rpc, &f->one.sink, &request);
}

static void ask(struct fixture *f, uint64_t id, uint32_t tag, const char *text,
                struct answer *answer)
{
    uint8_t bytes[256];
    size_t size = question(bytes, tag, text);
    dm_rpc_input(f->rpc, &f->one.sink, id, dm_slice(bytes, size));
    decode_answer(expect(&f->one, SAID_MESSAGE, id), answer);
    assert_true(answer->has_request);
    assert_int_equal(answer->request.size, size);
    assert_memory_equal(answer->request.data, bytes, size);
}

/* A FileDescriptorProto begins with its name. */
static void assert_file(struct dm_slice file, const char *name)
{
    struct dm_slice first = {0};
    pb_istream_t stream = pb_istream_from_buffer(file.data, file.size);
    uint64_t key;
    assert_true(pb_decode_varint(&stream, &key));
    assert_int_equal(key, 1 << 3 | PB_WT_STRING);
    assert_true(take(&stream, &first));
    assert_text(first, name);
}

#define BY_NAME grpc_reflection_v1_ServerReflectionRequest_file_by_filename_tag
#define BY_SYMBOL grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol_tag
#define EXTENSIONS grpc_reflection_v1_ServerReflectionRequest_all_extension_numbers_of_type_tag
#define LIST grpc_reflection_v1_ServerReflectionRequest_list_services_tag

static void reflection_answers_each_question(void **state)
{
    struct fixture *f = *state;
    static const char *const versions[] = {"v1", "v1alpha"};
    struct answer answer;
    for (uint64_t id = 0; id < 2; id++) {
        reflect_open(f, versions[id], id);
        (void)settle(f);
        ask(f, id, LIST, "*", &answer);
        assert_int_equal(answer.services, 4);
        assert_text(answer.service[0], BOT_STATUS);
        assert_text(answer.service[1], HEALTH);
        ask(f, id, BY_SYMBOL, BOT_STATUS, &answer);
        assert_int_equal(answer.files, 3); /* with duration and timestamp */
        assert_file(answer.file[0], "dormouse/v1/dormouse.proto");
        ask(f, id, BY_SYMBOL, "dormouse.v1.BotStatus.Check", &answer);
        assert_int_equal(answer.files, 3);
        ask(f, id, BY_SYMBOL, "dormouse.v1.STATUS_ACTIVE", &answer);
        assert_int_equal(answer.files, 3);
        ask(f, id, BY_SYMBOL, "dormouse.v1.Nothing", &answer);
        assert_int_equal(answer.error_code, DM_NOT_FOUND);
        ask(f, id, BY_NAME, "google/protobuf/duration.proto", &answer);
        assert_int_equal(answer.files, 1);
        assert_file(answer.file[0], "google/protobuf/duration.proto");
        ask(f, id, BY_NAME, "none.proto", &answer);
        assert_int_equal(answer.error_code, DM_NOT_FOUND);
        ask(f, id, EXTENSIONS, "dormouse.v1.Contact", &answer);
        assert_true(answer.has_extensions);
        dm_rpc_input_end(f->rpc, &f->one.sink, id);
        (void)expect(&f->one, SAID_END, id);
    }
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static void one_question_without_a_stream_is_answered_and_ended(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[256];
    struct answer answer;
    size_t size = question(bytes, LIST, "");
    uint64_t id =
        call_bytes(f, "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", bytes, size);
    decode_answer(expect(&f->one, SAID_MESSAGE, id), &answer);
    assert_int_equal(answer.services, 4);
    (void)expect(&f->one, SAID_END, id);
    id = call_bytes(f, "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", "\x1a\x09x",
                    3);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "ServerReflectionRequest");
}

static void input_to_a_unary_call_fails_it(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t id = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    dm_rpc_input(f->rpc, &f->one.sink, id, dm_slice("", 0));
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "one message");
    dm_rpc_input(f->rpc, &f->one.sink, id, dm_slice("", 0)); /* gone: no effect */
    dm_rpc_input_end(f->rpc, &f->one.sink, id);
    expect_nothing(&f->one);
}

static void the_symbols_are_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < dm_descriptor_symbol_count; i++) {
        assert_true(strcmp(dm_descriptor_symbols[i - 1].name, dm_descriptor_symbols[i].name) < 0);
    }
    for (size_t i = 0; i < dm_descriptor_file_count; i++) {
        const struct dm_descriptor_file *file = &dm_descriptor_files[i];
        assert_true(file->offset + file->size <= dm_descriptor_set_size);
        assert_file(dm_slice(dm_descriptor_set + file->offset, file->size), file->name);
        for (uint16_t j = 0; j < file->import_count; j++) {
            assert_true(file->imports[j] < i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(health_is_known_of_each_service),
        T(a_drain_is_not_serving),
        T(a_failed_journal_is_not_serving),
        T(a_full_disk_is_not_serving_until_there_is_room),
        T(who_leaves_is_not_serving_and_serves),
        T(reflection_answers_each_question),
        T(one_question_without_a_stream_is_answered_and_ended),
        T(input_to_a_unary_call_fails_it),
        T(the_symbols_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

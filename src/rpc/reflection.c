#include "rpc/handlers.h"

#include "base/assert.h"
#include "dm_descriptors.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "rpc/call.h"
#include "rpc/message.h"
#include "rpc/task.h"

#include <stdlib.h>

/* grpc.reflection, v1 and v1alpha: the same messages under two names. Answers come from the
 * embedded descriptors. They are written field by field, because they consist of bytes that
 * exist already: the request and the descriptor files. */

/* Which question it is: the field's number in ServerReflectionRequest. */
struct question {
    uint32_t tag; /* 0: none */
    struct dm_slice text;
};

static bool read_field(pb_istream_t *stream, uint32_t tag, pb_wire_type_t type,
                       struct question *question)
{
    bool asks = tag >= grpc_reflection_v1_ServerReflectionRequest_file_by_filename_tag &&
                tag <= grpc_reflection_v1_ServerReflectionRequest_list_services_tag;
    if (!asks || type != PB_WT_STRING) {
        return pb_skip_field(stream, type);
    }
    uint32_t size;
    if (!pb_decode_varint32(stream, &size) || size > stream->bytes_left) {
        return false;
    }
    *question = (struct question){.tag = tag, .text = dm_slice(stream->state, size)};
    return pb_read(stream, NULL, size);
}

static bool read_question(struct dm_slice payload, struct question *question)
{
    pb_istream_t stream = pb_istream_from_buffer(payload.data, payload.size);
    *question = (struct question){0};
    while (stream.bytes_left != 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool end;
        if (!pb_decode_tag(&stream, &type, &tag, &end)) {
            return end;
        }
        if (!read_field(&stream, tag, type, question)) {
            return false;
        }
    }
    return true;
}

/* ---- finding ------------------------------------------------------------------------------- */

static int file_by_name(struct dm_slice name)
{
    for (size_t i = 0; i < dm_descriptor_file_count; i++) {
        if (dm_slice_equal(dm_slice_str(dm_descriptor_files[i].name), name)) {
            return (int)i;
        }
    }
    return -1;
}

static int file_by_symbol(struct dm_slice symbol)
{
    size_t low = 0, high = dm_descriptor_symbol_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = dm_slice_compare(dm_slice_str(dm_descriptor_symbols[middle].name), symbol);
        if (order == 0) {
            return dm_descriptor_symbols[middle].file;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

static bool is_message(const struct dm_method_list *methods, struct dm_slice symbol)
{
    for (uint32_t i = 0; i < methods->count; i++) {
        if (dm_slice_equal(dm_slice_str(methods->items[i].request), symbol) ||
            dm_slice_equal(dm_slice_str(methods->items[i].response), symbol)) {
            return true;
        }
    }
    return file_by_symbol(symbol) >= 0;
}

/* ---- answering ----------------------------------------------------------------------------- */

/* `file` first, then all that it needs: imports come before their users in the table. */
static bool put_files(struct dm_buf *out, int file)
{
    DM_ASSERT(file >= 0 && file < 64 && (size_t)file < dm_descriptor_file_count);
    uint64_t wanted = 1ULL << file;
    for (int i = file; i >= 0; i--) {
        const struct dm_descriptor_file *at = &dm_descriptor_files[i];
        if ((wanted >> i & 1) == 0) {
            continue;
        }
        for (uint16_t j = 0; j < at->import_count; j++) {
            DM_ASSERT(at->imports[j] < i); /* imports come before their users */
            wanted |= 1ULL << at->imports[j];
        }
        if (!dm_append_text(out,
                            grpc_reflection_v1_FileDescriptorResponse_file_descriptor_proto_tag,
                            dm_slice(dm_descriptor_set + at->offset, at->size))) {
            return false;
        }
    }
    return true;
}

static bool put_services(struct dm_buf *out, const struct dm_method_list *methods)
{
    for (uint32_t i = 0; i < methods->count; i++) {
        if (i > 0 && dm_slice_equal(methods->items[i].service, methods->items[i - 1].service)) {
            continue;
        }
        grpc_reflection_v1_ServiceResponse service = {.name = methods->items[i].service};
        if (!dm_append_message(out, grpc_reflection_v1_ListServiceResponse_service_tag,
                               grpc_reflection_v1_ServiceResponse_fields, &service)) {
            return false;
        }
    }
    return true;
}

static bool put_error(struct dm_buf *out, enum dm_code code, const char *sentence)
{
    uint8_t scratch[DM_SMALL_MESSAGE];
    grpc_reflection_v1_ErrorResponse message = {.error_code = (int32_t)code,
                                                .error_message = dm_slice_str(sentence)};
    struct dm_slice bytes = dm_encode(scratch, grpc_reflection_v1_ErrorResponse_fields, &message);
    return dm_buf_append(out, bytes.data, bytes.size);
}

/* The answer's inner message into `out`; returns the field of the response that it is,
 * 0 when there is no memory. */
static uint32_t put_answer(struct dm_buf *out, const struct dm_method_list *methods,
                           const struct question *question)
{
    enum {
        FILES = grpc_reflection_v1_ServerReflectionResponse_file_descriptor_response_tag,
        EXTENSIONS = grpc_reflection_v1_ServerReflectionResponse_all_extension_numbers_response_tag,
        SERVICES = grpc_reflection_v1_ServerReflectionResponse_list_services_response_tag,
        ERROR = grpc_reflection_v1_ServerReflectionResponse_error_response_tag,
    };
    int file = -1;
    switch (question->tag) {
    case grpc_reflection_v1_ServerReflectionRequest_list_services_tag:
        return put_services(out, methods) ? SERVICES : 0;
    case grpc_reflection_v1_ServerReflectionRequest_file_by_filename_tag:
        file = file_by_name(question->text);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol_tag:
        file = file_by_symbol(question->text);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_all_extension_numbers_of_type_tag:
        if (is_message(methods, question->text)) {
            /* ours have none */
            return dm_append_text(out,
                                  grpc_reflection_v1_ExtensionNumberResponse_base_type_name_tag,
                                  question->text)
                       ? EXTENSIONS
                       : 0;
        }
        break;
    case grpc_reflection_v1_ServerReflectionRequest_file_containing_extension_tag:
        break;
    default:
        return put_error(out, DM_INVALID_ARGUMENT, "message_request: is missing; ask something")
                   ? ERROR
                   : 0;
    }
    if (file >= 0) {
        return put_files(out, file) ? FILES : 0;
    }
    return put_error(out, DM_NOT_FOUND, "there is nothing of this name here") ? ERROR : 0;
}

/* The request is given back as it came. */
static bool put_response(struct dm_buf *out, const struct dm_method_list *methods,
                         struct dm_slice request, const struct question *question)
{
    struct dm_buf inner = {0};
    uint32_t tag = put_answer(&inner, methods, question);
    bool good =
        tag != 0 &&
        dm_append_text(out, grpc_reflection_v1_ServerReflectionResponse_original_request_tag,
                       request) &&
        dm_append_text(out, tag, dm_buf_slice(&inner));
    dm_buf_finish(&inner);
    return good;
}

/* ---- the method ---------------------------------------------------------------------------- */

/* An answer is up to a thousand times its question, so none is made before the client has room
 * for it: the question waits here. One is enough, because sessions show the next input of a
 * call only when there is room for its answer. */
struct reflection {
    struct dm_sink *sink;
    struct dm_buf question;
    size_t memory; /* reserved for it; 0: none waits */
    bool ended;    /* no more will come */
};

/* false: the call has failed and is gone. */
static bool answer(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload)
{
    struct question question;
    struct dm_error error;
    struct dm_buf response = {0};
    bool good = false;
    if (!read_question(payload, &question)) {
        (void)dm_fail(&error, DM_INVALID_ARGUMENT, "the request is not a valid %s message",
                      call->method->request);
        dm_call_fail(rpc, call, &error);
    } else if (!put_response(&response, rpc->methods.all, payload, &question)) {
        (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED, "no memory for the answer");
        dm_call_fail(rpc, call, &error);
    } else {
        good = dm_call_message(rpc, call, dm_buf_slice(&response));
    }
    dm_buf_finish(&response);
    return good;
}

static void forget_question(struct dm_rpc *rpc, struct reflection *reflection)
{
    dm_task_release(rpc, reflection->sink, reflection->memory);
    dm_buf_finish(&reflection->question);
    reflection->memory = 0;
}

/* false: the call has failed and is gone. */
static bool keep_question(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload)
{
    struct reflection *reflection = call->task;
    struct dm_error error;
    size_t memory = payload.size + 1;
    if (reflection->memory != 0) {
        (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED,
                      "questions come faster than their answers are read; ask fewer at once");
        dm_call_fail(rpc, call, &error);
        return false;
    }
    if (dm_task_reserve(rpc, reflection->sink, memory, &error) != DM_OK) {
        dm_call_fail(rpc, call, &error);
        return false;
    }
    DM_ASSERT(dm_buf_size(&reflection->question) == 0);
    reflection->memory = memory;
    if (!dm_buf_append(&reflection->question, payload.data, payload.size)) {
        (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED, "no memory for the question");
        dm_call_fail(rpc, call, &error);
        return false;
    }
    dm_list_remove(&call->run);
    dm_list_push_back(&rpc->runnable, &call->run);
    return true;
}

static bool ask(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload)
{
    const struct reflection *reflection = call->task;
    return reflection->memory != 0 || dm_call_room(call) == 0 ? keep_question(rpc, call, payload)
                                                              : answer(rpc, call, payload);
}

static void input(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload)
{
    (void)ask(rpc, call, payload);
}

static void input_end(struct dm_rpc *rpc, struct dm_call *call)
{
    struct reflection *reflection = call->task;
    reflection->ended = true;
    if (reflection->memory == 0) {
        dm_call_end(rpc, call);
    }
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    struct reflection *reflection = call->task;
    (void)budget;
    if (reflection->memory != 0) {
        if (dm_call_room(call) == 0) {
            return DM_TASK_ROOM;
        }
        if (!answer(rpc, call, dm_buf_slice(&reflection->question))) {
            return DM_TASK_DONE;
        }
        forget_question(rpc, reflection);
    }
    if (rpc->draining || reflection->ended) {
        dm_call_end(rpc, call);
        return DM_TASK_DONE;
    }
    return DM_TASK_QUIET;
}

static void destroy(struct dm_rpc *rpc, void *task)
{
    forget_question(rpc, task);
    free(task);
}

static const struct dm_task_ops reflection_ops = {
    .step = step,
    .destroy = destroy,
    .input = input,
    .input_end = input_end,
};

void dm_handle_server_reflection_server_reflection_info(struct dm_rpc *rpc,
                                                        const struct dm_inbound *in)
{
    struct reflection *reflection = dm_xcalloc(1, sizeof *reflection);
    reflection->sink = in->sink;
    struct dm_call *call = dm_call_begin(rpc, in, &reflection_ops, reflection);
    bool open = in->awaiting || ask(rpc, call, in->payload);
    if (open && !in->open) {
        input_end(rpc, call);
    }
}

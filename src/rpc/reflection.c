#include "rpc/message.h"

#include "base/assert.h"
#include "dm_descriptors.h"
#include "grpc/reflection/v1/reflection.pb.h"

/* grpc.reflection, v1 and v1alpha: the same messages under two names. Answers come
 * from the embedded descriptors. They are written field by field: they are made of
 * bytes that exist already, the request and the descriptor files. */

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

static bool is_message(struct dm_slice symbol)
{
    for (uint32_t i = 0; i < dm_method_count; i++) {
        if (dm_slice_equal(dm_slice_str(dm_methods[i].request), symbol) ||
            dm_slice_equal(dm_slice_str(dm_methods[i].response), symbol)) {
            return true;
        }
    }
    return file_by_symbol(symbol) >= 0;
}

/* ---- answering ----------------------------------------------------------------------------- */

/* `file` first, then all that it needs: imports come before their users in the table. */
static bool put_files(struct dm_buf *out, int file)
{
    DM_ASSERT(file < 64);
    uint64_t wanted = 1ULL << file;
    for (int i = file; i >= 0; i--) {
        const struct dm_descriptor_file *at = &dm_descriptor_files[i];
        if ((wanted >> i & 1) == 0) {
            continue;
        }
        for (uint16_t j = 0; j < at->import_count; j++) {
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

static bool put_services(struct dm_buf *out)
{
    for (uint32_t i = 0; i < dm_method_count; i++) {
        if (i > 0 && dm_slice_equal(dm_methods[i].service, dm_methods[i - 1].service)) {
            continue;
        }
        grpc_reflection_v1_ServiceResponse service = {.name = dm_text_out(&dm_methods[i].service)};
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
    struct dm_slice text = dm_slice_str(sentence);
    grpc_reflection_v1_ErrorResponse message = {.error_code = (int32_t)code,
                                                .error_message = dm_text_out(&text)};
    struct dm_slice bytes = dm_encode(scratch, grpc_reflection_v1_ErrorResponse_fields, &message);
    return dm_buf_append(out, bytes.data, bytes.size);
}

/* The answer's inner message into `out`; returns the field of the response that it is,
 * 0 when there is no memory. */
static uint32_t put_answer(struct dm_buf *out, const struct question *question)
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
        return put_services(out) ? SERVICES : 0;
    case grpc_reflection_v1_ServerReflectionRequest_file_by_filename_tag:
        file = file_by_name(question->text);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_file_containing_symbol_tag:
        file = file_by_symbol(question->text);
        break;
    case grpc_reflection_v1_ServerReflectionRequest_all_extension_numbers_of_type_tag:
        if (is_message(question->text)) {
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

/* valid_host is the request's, and the request is given back as it came. */
static bool put_response(struct dm_buf *out, struct dm_slice request,
                         const struct question *question)
{
    struct dm_buf inner = {0};
    uint32_t tag = put_answer(&inner, question);
    bool good =
        tag != 0 &&
        dm_append_text(out, grpc_reflection_v1_ServerReflectionResponse_original_request_tag,
                       request) &&
        dm_append_text(out, tag, dm_buf_slice(&inner));
    dm_buf_finish(&inner);
    return good;
}

/* ---- the method ---------------------------------------------------------------------------- */

static void input(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload)
{
    struct question question;
    struct dm_error error;
    struct dm_buf response = {0};
    if (!read_question(payload, &question)) {
        (void)dm_fail(&error, DM_INVALID_ARGUMENT, "the request is not a valid %s message",
                      call->method->request);
        dm_call_fail(rpc, call, &error);
    } else if (!put_response(&response, payload, &question)) {
        (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED, "no memory for the answer");
        dm_call_fail(rpc, call, &error);
    } else {
        (void)dm_call_message(rpc, call, dm_buf_slice(&response), 0);
    }
    dm_buf_finish(&response);
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    (void)budget;
    if (rpc->draining) {
        dm_call_end(rpc, call);
        return DM_TASK_DONE;
    }
    return DM_TASK_QUIET;
}

static void destroy(struct dm_rpc *rpc, void *task)
{
    (void)rpc;
    (void)task;
}

static const struct dm_task_ops reflection_ops = {
    .step = step,
    .destroy = destroy,
    .input = input,
    .input_end = dm_call_end,
};

void dm_handle_server_reflection_server_reflection_info(struct dm_rpc *rpc,
                                                        const struct dm_inbound *in)
{
    struct dm_call *call = dm_call_begin(rpc, in, &reflection_ops, NULL);
    uint64_t id = in->id;
    /* an open call may begin without a message */
    if (!in->open || in->payload.size != 0) {
        input(rpc, call, in->payload);
    }
    if (!in->open && dm_call_find(in->sink, id) != NULL) {
        dm_call_end(rpc, call);
    }
}

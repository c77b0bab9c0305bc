#include "wire/h2_answer.h"

#include "base/assert.h"
#include "base/limits.h"

enum {
    FRAME_HEAD = 9,
    QUEUED_OUTPUT_FACTOR = 16, /* output_high times this may wait for the client's windows */
};
_Static_assert(DM_OUTPUT_LOW < DM_OUTPUT_HIGH, "reading begins again at less than stops it");

/* ---- heads ---------------------------------------------------------------------------- */

static nghttp2_nv nv_of(const struct dm_http_header *header)
{
    return (nghttp2_nv){(uint8_t *)header->name.data, (uint8_t *)header->value.data,
                        header->name.size, header->value.size,
                        (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME |
                                  (header->lasting ? NGHTTP2_NV_FLAG_NO_COPY_VALUE : 0))};
}

static nghttp2_nv status_of(int status, char digits[3])
{
    static const struct dm_http_header fine = DM_HTTP_HEADER_INIT(":status", "200");
    DM_ASSERT(status >= 100 && status <= 999);
    nghttp2_nv nv = nv_of(&fine);
    if (status != 200) {
        digits[0] = (char)('0' + status / 100);
        digits[1] = (char)('0' + status / 10 % 10);
        digits[2] = (char)('0' + status % 10);
        nv.value = (uint8_t *)digits;
        nv.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
    }
    return nv;
}

/* ---- bodies --------------------------------------------------------------------------- */

static struct dm_slice waiting(const struct dm_h2_stream *st)
{
    return st->asset.size != 0 ? st->asset : dm_buf_slice(&st->output);
}

static int submit_trailers(nghttp2_session *ng, struct dm_h2_stream *st)
{
    struct dm_http_header list[DM_CALL_TRAILERS_MAX];
    nghttp2_nv trailers[DM_CALL_TRAILERS_MAX];
    size_t count = st->x.route.protocol->trailers(&st->x, list);
    for (size_t i = 0; i < count; i++) {
        trailers[i] = nv_of(&list[i]);
    }
    return nghttp2_submit_trailer(ng, st->id, trailers, count);
}

static ssize_t read_output(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)id;
    (void)room;
    (void)user;
    struct dm_h2_stream *st = source->ptr;
    size_t size = waiting(st).size;
    if (size == 0 && !st->ended) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size != 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    }
    if (size > length) {
        return (ssize_t)length;
    }
    if (!st->ended) {
        return (ssize_t)size;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    const struct dm_call_protocol *protocol = st->x.route.protocol;
    if (protocol != NULL && protocol->trailers != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(ng, st) != 0) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)size;
}

int dm_h2_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t length,
                    nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)frame;
    struct dm_h2 *h = user;
    struct dm_h2_stream *st = source->ptr;
    struct dm_slice bytes = waiting(st);
    DM_ASSERT(bytes.size >= length);
    if (dm_buf_size(&h->base.out) >= h->output_high) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    uint8_t *room = dm_buf_reserve(&h->base.out, FRAME_HEAD + length);
    if (room == NULL) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memcpy(room, head, FRAME_HEAD);
    if (length != 0) {
        memcpy(room + FRAME_HEAD, bytes.data, length);
    }
    dm_buf_commit(&h->base.out, FRAME_HEAD + length);
    if (st->asset.size != 0) {
        st->asset = dm_slice((const char *)bytes.data + length, bytes.size - length);
    } else {
        dm_h2_stream_drop_output(h, st, length);
    }
    return 0;
}

/* ---- the transport -------------------------------------------------------------------- */

static void submit_head(struct dm_h2 *h, struct dm_h2_stream *st, int status,
                        const struct dm_http_headers *headers, bool body_follows)
{
    char digits[3];
    nghttp2_nv list[DM_HTTP_HEADERS_ANSWERED_MAX + 1];
    list[0] = status_of(status, digits);
    for (size_t i = 0; i < headers->count; i++) {
        list[i + 1] = nv_of(&headers->list[i]);
    }
    nghttp2_data_provider provider = {.source.ptr = st, .read_callback = read_output};
    st->submitted = true;
    if (nghttp2_submit_response(h->ng, st->id, list, headers->count + 1,
                                body_follows ? &provider : NULL) != 0) {
        h->broken = true;
    }
}

/* Nothing more of its request is looked at. */
static void settle(struct dm_h2 *h, struct dm_h2_stream *st)
{
    st->ended = true;
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    if (h->lent != st) {
        dm_h2_stream_drop_input(h, st, dm_buf_size(&st->x.input));
    }
    if (dm_buf_size(&st->x.tail) != 0) {
        dm_h2_stream_recount(h, st);
    }
}

static bool put(struct dm_h2 *h, struct dm_h2_stream *st, struct dm_slice head,
                struct dm_slice rest)
{
    size_t size = head.size + rest.size;
    uint8_t *room = dm_buf_reserve(&st->output, size);
    if (room == NULL) {
        return false;
    }
    if (head.size != 0) {
        memcpy(room, head.data, head.size);
    }
    if (rest.size != 0) {
        memcpy(room + head.size, rest.data, rest.size);
    }
    dm_buf_commit(&st->output, size);
    h->queued += size;
    h->fresh += size;
    dm_h2_stream_recount(h, st);
    return true;
}

static void resume(struct dm_h2 *h, struct dm_h2_stream *st)
{
    if (st->deferred) {
        st->deferred = false;
        (void)nghttp2_session_resume_data(h->ng, st->id);
    }
}

static void answer(struct dm_exchange *x, const struct dm_http_answer *answer)
{
    struct dm_h2 *h = dm_h2_of(x->session);
    struct dm_h2_stream *st = dm_h2_stream_of(x);
    settle(h, st);
    if (answer->body_lasting) {
        st->asset = answer->body;
        h->fresh += answer->body.size;
    } else if (answer->body.size != 0 && !put(h, st, answer->body, dm_slice(NULL, 0))) {
        h->broken = true;
    }
    submit_head(h, st, answer->status, &answer->headers, answer->body.size != 0);
}

static void begin(struct dm_exchange *x, const struct dm_http_headers *headers)
{
    submit_head(dm_h2_of(x->session), dm_h2_stream_of(x), 200, headers, true);
}

static bool data(struct dm_exchange *x, struct dm_slice head, struct dm_slice rest)
{
    struct dm_h2 *h = dm_h2_of(x->session);
    struct dm_h2_stream *st = dm_h2_stream_of(x);
    if (!put(h, st, head, rest)) {
        return false;
    }
    resume(h, st);
    return true;
}

static void end(struct dm_exchange *x)
{
    struct dm_h2 *h = dm_h2_of(x->session);
    struct dm_h2_stream *st = dm_h2_stream_of(x);
    settle(h, st);
    resume(h, st);
}

const struct dm_http_transport dm_h2_transport = {
    .answer = answer, .begin = begin, .data = data, .end = end};

/* ---- room ----------------------------------------------------------------------------- */

bool dm_h2_output_is_full(const struct dm_h2 *h)
{
    return dm_session_unsent(&h->base) >= h->output_high ||
           h->queued >= (size_t)h->output_high * QUEUED_OUTPUT_FACTOR;
}

size_t dm_h2_room(const struct dm_h2 *h, const struct dm_h2_stream *st)
{
    size_t room = h->output_high / 4;
    size_t size = dm_buf_size(&st->output);
    return h->base.unsent != 0 || dm_h2_output_is_full(h) || size >= room ? 0 : room - size;
}

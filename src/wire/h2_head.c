#include "wire/h2_head.h"

#include "base/assert.h"

_Static_assert(DM_H2_HELD <= 32, "a bit for each value that is held");

static struct dm_slice slice_of(nghttp2_rcbuf *buffer)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
    return dm_slice(bytes.base, bytes.len);
}

static void hold(struct dm_h2_head *head, uint32_t index, nghttp2_rcbuf *value)
{
    if ((head->held & 1U << index) != 0) {
        nghttp2_rcbuf_decref(head->values[index]);
    }
    nghttp2_rcbuf_incref(value);
    head->values[index] = value;
    head->held |= 1U << index;
}

nghttp2_rcbuf *dm_h2_head_take(struct dm_h2_head *head, uint32_t index)
{
    if ((head->held & 1U << index) == 0) {
        return NULL;
    }
    head->held &= ~(1U << index);
    if (index < DM_HTTP_NAMES) {
        head->request.headers[index] = dm_slice(NULL, 0);
        head->request.counts[index] = 0;
    }
    return head->values[index];
}

void dm_h2_head_reset(struct dm_h2_head *head)
{
    struct dm_http_request *request = &head->request;
    while (head->held != 0) {
        nghttp2_rcbuf_decref(dm_h2_head_take(head, (uint32_t)__builtin_ctz(head->held)));
    }
    request->version = DM_HTTP_2;
    request->verb = DM_HTTP_VERB_OTHER;
    request->https = false;
    request->path = request->query = request->authority = dm_slice(NULL, 0);
    request->refusal = 0;
    head->size = head->count = 0;
}

static enum dm_http_verb verb_of(struct dm_slice text)
{
    return dm_slice_equal(text, dm_slice_str("POST"))      ? DM_HTTP_VERB_POST
           : dm_slice_equal(text, dm_slice_str("GET"))     ? DM_HTTP_VERB_GET
           : dm_slice_equal(text, dm_slice_str("HEAD"))    ? DM_HTTP_VERB_HEAD
           : dm_slice_equal(text, dm_slice_str("OPTIONS")) ? DM_HTTP_VERB_OPTIONS
                                                           : DM_HTTP_VERB_OTHER;
}

/* nghttp2 lets none pass but these, each once. */
static void note_pseudo(struct dm_h2_head *head, const char *name, nghttp2_rcbuf *value)
{
    struct dm_http_request *request = &head->request;
    switch (name[1]) {
    case 'p':
        hold(head, DM_H2_HELD_PATH, value);
        dm_http_split_target(request, slice_of(value));
        break;
    case 'm':
        request->verb = verb_of(slice_of(value));
        break;
    case 's':
        request->https = dm_slice_equal(slice_of(value), dm_slice_str("https"));
        break;
    case 'a':
        hold(head, DM_H2_HELD_AUTHORITY, value);
        request->authority = slice_of(value);
        break;
    default:
        break;
    }
}

bool dm_h2_head_note(struct dm_h2_head *head, nghttp2_rcbuf *name_buffer, nghttp2_rcbuf *value)
{
    enum { FIELD_OVERHEAD = 32, BOMB_FACTOR = 8 }; /* the overhead: RFC 9113, 6.5.2 */
    struct dm_slice name = slice_of(name_buffer);
    struct dm_slice text = slice_of(value);
    head->size += (uint32_t)(name.size + text.size + FIELD_OVERHEAD);
    head->count++;
    if (head->size > DM_HTTP_HEAD_MAX) { /* refused, so nothing of it is kept */
        return head->size <= DM_HTTP_HEAD_MAX * BOMB_FACTOR;
    }
    if (name.size > 1 && *(const char *)name.data == ':') {
        note_pseudo(head, name.data, value);
        return true;
    }
    enum dm_http_name known = dm_http_name(name);
    if (known != DM_HTTP_NAMES) {
        hold(head, known, value);
        dm_http_note(&head->request, known, text);
    }
    return true;
}

static void refuse(struct dm_h2_head *head, int status, const char *why)
{
    head->request.refusal = status;
    head->request.refusal_why = why;
}

void dm_h2_head_end(struct dm_h2_head *head)
{
    const struct dm_http_request *request = &head->request;
    const char *path = request->path.data;
    bool options =
        request->verb == DM_HTTP_VERB_OPTIONS && dm_slice_equal(request->path, dm_slice_str("*"));
    if (head->size > DM_HTTP_HEAD_MAX) {
        refuse(head, 431, "the headers are too large");
    } else if (head->count > DM_HTTP_HEADERS_MAX) {
        refuse(head, 431, "too many headers");
    } else if (request->path.size + request->query.size > DM_HTTP_URL_MAX) {
        refuse(head, 414, "the URL is too long");
    } else if (!options && (request->path.size == 0 || path[0] != '/')) {
        refuse(head, 400, "the request target is not a path");
    }
}

#ifndef DM_TESTS_UNIT_RPC_FIXTURE_H
#define DM_TESTS_UNIT_RPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "lib/virtual_clock.h"
#include "rpc/convert.h"
#include "rpc/message.h"
#include "rpc/methods.h"
#include "rpc/metrics.h"
#include "rpc/ready.h"
#include "rpc/rpc.h"
#include "rpc/watch.h"

/* The real engine over memory, a virtual clock, and a sink that writes down what it is
 * told. Calls are made with encoded messages, as a protocol would. */

#define START_MS INT64_C(1800000000000)
#define HOUR_MS INT64_C(3600000)
#define BOT_STATUS "dormouse.v1.BotStatus"

enum said_kind { SAID_REPLY, SAID_FAIL, SAID_MESSAGE, SAID_END };
struct said {
    enum said_kind kind;
    uint64_t id;
    enum dm_code code;
    char message[256];
    uint8_t *payload;
    size_t size;
};

enum { SAID_MAX = 20000, REQUEST_MAX = 128 * 1024 };
struct notebook {
    struct dm_sink sink;
    struct said *said;
    size_t count, read; /* noted; already looked at by next_said */
    size_t room;
};

struct fixture {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    struct dm_rpc *rpc;
    struct notebook one, two;
    uint64_t last_id;
};

/* ---- the sink -------------------------------------------------------------------- */

static inline struct said *note(struct dm_sink *sink, enum said_kind kind, uint64_t id,
                                struct dm_slice payload)
{
    struct notebook *book = DM_CONTAINER_OF(sink, struct notebook, sink);
    assert_true(book->count < SAID_MAX);
    struct said *said = &book->said[book->count++];
    *said = (struct said){.kind = kind, .id = id, .size = payload.size};
    said->payload = malloc(payload.size + 1);
    if (payload.size != 0) {
        memcpy(said->payload, payload.data, payload.size);
    }
    return said;
}

static inline void note_reply(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    note(sink, SAID_REPLY, id, payload);
}

static inline void note_fail(struct dm_sink *sink, uint64_t id, enum dm_code code,
                             const char *message)
{
    struct said *said = note(sink, SAID_FAIL, id, dm_slice(NULL, 0));
    said->code = code;
    (void)snprintf(said->message, sizeof said->message, "%s", message);
}

static inline void note_message(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    note(sink, SAID_MESSAGE, id, payload);
}

static inline void note_end(struct dm_sink *sink, uint64_t id)
{
    note(sink, SAID_END, id, dm_slice(NULL, 0));
}

static inline size_t note_room(struct dm_sink *sink, uint64_t id)
{
    (void)id;
    return DM_CONTAINER_OF(sink, struct notebook, sink)->room;
}

static const struct dm_sink_ops notebook_ops = {
    .reply = note_reply,
    .fail = note_fail,
    .stream_message = note_message,
    .stream_end = note_end,
    .stream_room = note_room,
};

static inline void notebook_open(struct notebook *book)
{
    *book = (struct notebook){.said = calloc(SAID_MAX, sizeof(struct said)), .room = 65536};
    dm_sink_init(&book->sink, &notebook_ops, "test");
}

static inline void notebook_clear(struct notebook *book)
{
    for (size_t i = 0; i < book->count; i++) {
        free(book->said[i].payload);
    }
    book->count = book->read = 0;
}

static inline void notebook_close(struct notebook *book)
{
    notebook_clear(book);
    free(book->said);
}

/* ---- set up ------------------------------------------------------------------------ */

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct dm_error error;
    f->clock = (struct virtual_clock){.wall_ms = START_MS, .monotonic_ns = 1000000000};
    f->journal = dm_journal_open_memory();
    f->store = dm_store_open_memory();
    const struct dm_engine_options options = {
        .order = f->journal->order,
        .journal = f->journal,
        .store = f->store,
        .clock = virtual_clock_port(&f->clock),
        .manual_applier = true,
    };
    assert_int_equal(dm_engine_open(&f->engine, &options, &error), DM_OK);
    f->rpc = dm_rpc_create(f->engine, virtual_clock_port(&f->clock));
    assert_non_null(f->rpc);
    notebook_open(&f->one);
    notebook_open(&f->two);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    dm_rpc_sink_gone(f->rpc, &f->one.sink);
    dm_rpc_sink_gone(f->rpc, &f->two.sink);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
    dm_rpc_destroy(f->rpc);
    dm_engine_close(f->engine);
    dm_journal_close(f->journal);
    dm_store_close(f->store);
    notebook_close(&f->one);
    notebook_close(&f->two);
    free(f);
    return 0;
}

/* ---- calling ----------------------------------------------------------------------- */

/* Calls a method of BotStatus from `book`; returns the call's id. */
static inline uint64_t call_with(struct fixture *f, struct notebook *book, const char *method,
                                 const pb_msgdesc_t *fields, const void *message,
                                 int64_t timeout_ns)
{
    uint8_t *bytes = malloc(REQUEST_MAX);
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, REQUEST_MAX);
    assert_true(pb_encode(&stream, fields, message));
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str(BOT_STATUS),
        .method = dm_slice_str(method),
        .payload = dm_slice(bytes, stream.bytes_written),
        .timeout_ns = timeout_ns,
    };
    dm_rpc_call(f->rpc, &book->sink, &request);
    memset(bytes, 0xEE, REQUEST_MAX); /* nobody may have kept a slice of it */
    free(bytes);
    return f->last_id;
}

static inline uint64_t call(struct fixture *f, const char *method, const pb_msgdesc_t *fields,
                            const void *message)
{
    return call_with(f, &f->one, method, fields, message, 0);
}

static inline uint64_t call_bytes(struct fixture *f, const char *service, const char *method,
                                  const void *bytes, size_t size)
{
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str(service),
        .method = dm_slice_str(method),
        .payload = dm_slice(bytes, size),
    };
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    return f->last_id;
}

/* Turns until nothing more is to be done at once; returns the last turn's wish. */
static inline int settle(struct fixture *f)
{
    int next = 0;
    for (int i = 0; i < 10000; i++) {
        dm_engine_flush(f->engine);
        next = dm_rpc_turn(f->rpc);
        if (next != 0) {
            return next;
        }
    }
    fail_msg("turns without end");
    return next;
}

/* The next thing that was said, in order; NULL: nothing more. */
static inline const struct said *next_said(struct notebook *book)
{
    return book->read < book->count ? &book->said[book->read++] : NULL;
}

static inline const struct said *expect(struct notebook *book, enum said_kind kind, uint64_t id)
{
    const struct said *said = next_said(book);
    assert_non_null(said);
    if (said->kind == SAID_FAIL && kind != SAID_FAIL) {
        fail_msg("%s: %s", dm_code_name((int)said->code), said->message);
    }
    assert_int_equal(said->kind, kind);
    assert_int_equal(said->id, id);
    return said;
}

static inline void expect_nothing(struct notebook *book)
{
    assert_null(next_said(book));
}

static inline void expect_fail(struct notebook *book, uint64_t id, enum dm_code code,
                               const char *part)
{
    const struct said *said = expect(book, SAID_FAIL, id);
    assert_string_equal(dm_code_name((int)said->code), dm_code_name((int)code));
    if (strstr(said->message, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, said->message);
    }
}

static inline void decode(const struct said *said, const pb_msgdesc_t *fields, void *message)
{
    pb_istream_t stream = dm_istream(dm_slice(said->payload, said->size));
    if (!pb_decode_ex(&stream, fields, message, PB_DECODE_NOINIT)) {
        fail_msg("no such message: %s", PB_GET_ERROR(&stream));
    }
}

/* ---- texts ------------------------------------------------------------------------- */

static inline void assert_text(struct dm_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

/* ---- the commonest calls -------------------------------------------------------------- */

static inline void get_contact(struct fixture *f, const char *contact,
                               dormouse_v1_Contact *response)
{
    dormouse_v1_GetContactRequest request = {.account_id = dm_slice_str("acme"),
                                             .contact_id = dm_slice_str(contact)};
    uint64_t id = call(f, "GetContact", dormouse_v1_GetContactRequest_fields, &request);
    (void)settle(f);
    *response = (dormouse_v1_Contact){0};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_Contact_fields, response);
}

/* Sets a contact of "acme"; snooze_s is for SNOOZED. */
static inline uint64_t set_status(struct fixture *f, struct notebook *book, const char *contact,
                                  dormouse_v1_Status status, int64_t snooze_s, int64_t timeout_ns)
{
    dormouse_v1_SetStatusRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str(contact),
        .has_change = true,
        .change = {.status = status, .actor = dm_slice_str("ann")},
    };
    if (snooze_s != 0) {
        request.change.which_wake = dormouse_v1_StatusChange_snooze_for_tag;
        request.change.wake.snooze_for.seconds = snooze_s;
    }
    return call_with(f, book, "SetStatus", dormouse_v1_SetStatusRequest_fields, &request,
                     timeout_ns);
}

static inline void set_and_settle(struct fixture *f, const char *contact, dormouse_v1_Status status,
                                  int64_t snooze_s)
{
    uint64_t id = set_status(f, &f->one, contact, status, snooze_s, 0);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
}

#define ACTIVE dormouse_v1_Status_STATUS_ACTIVE
#define SNOOZED dormouse_v1_Status_STATUS_SNOOZED
#define INACTIVE dormouse_v1_Status_STATUS_INACTIVE

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

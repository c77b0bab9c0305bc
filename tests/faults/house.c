#include "faults/house.h"

#include "base/assert.h"
#include "base/list.h"
#include "rpc/prefetch.h"

#define START_MS INT64_C(1800000000000)

static const char *const hosts[] = {"a", NULL};
static const char *const origins[] = {"http://a.example", NULL};

struct dm_crowd house_crowd;

const struct dm_session_limits house_limits = {
    .crowd = &house_crowd,
    .hosts = hosts,
    .cors_origins = origins,
    .known_service = dm_rpc_known_service,
    .client_streaming = dm_rpc_client_streaming,
};

void house_open(struct house *house)
{
    *house = (struct house){.clock = {.wall_ms = START_MS, .monotonic_ns = 1000000000}};
    house->journal = dm_journal_open_memory();
    house->store = dm_store_open_memory();
    const struct dm_engine_options options = {
        .order = house->journal->order,
        .journal = house->journal,
        .store = house->store,
        .clock = virtual_clock_port(&house->clock),
        .cache_bytes = 65536,
        .contacts_per_txn = 64,
        .manual_applier = true,
    };
    struct dm_error error;
    enum dm_code code = dm_engine_open(&house->engine, &options, &error);
    DM_ASSERT(code == DM_OK);
    house->rpc = dm_rpc_create(house->engine, options.clock);
    DM_ASSERT(house->rpc != NULL);
}

void house_close(struct house *house)
{
    DM_ASSERT(dm_rpc_open_calls(house->rpc) == 0);
    dm_rpc_destroy(house->rpc);
    dm_engine_close(house->engine);
    dm_journal_close(house->journal);
    dm_store_close(house->store);
}

void house_turn(struct house *house)
{
    (void)dm_engine_turn(house->engine);
    (void)dm_engine_apply_work(house->engine);
    dm_engine_flush(house->engine);
    (void)dm_rpc_turn(house->rpc);
}

static struct dm_session *session_of(struct dm_sink *sink)
{
    return DM_CONTAINER_OF(sink, struct house_conn, sink)->session;
}

static void sink_reply(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    dm_session_reply(session_of(sink), id, payload);
}

static void sink_fail(struct dm_sink *sink, uint64_t id, enum dm_code code, const char *message)
{
    dm_session_fail(session_of(sink), id, code, message);
}

static void sink_message(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    dm_session_stream_message(session_of(sink), id, payload);
}

static void sink_end(struct dm_sink *sink, uint64_t id)
{
    dm_session_stream_end(session_of(sink), id);
}

static size_t sink_room(struct dm_sink *sink, uint64_t id)
{
    return dm_session_stream_room(session_of(sink), id);
}

void house_connect(struct house *house, struct house_conn *conn, struct dm_session *session)
{
    static const struct dm_sink_ops ops = {
        .reply = sink_reply,
        .fail = sink_fail,
        .stream_message = sink_message,
        .stream_end = sink_end,
        .stream_room = sink_room,
    };
    *conn = (struct house_conn){.house = house, .session = session};
    dm_sink_init(&conn->sink, &ops, session->protocol);
}

static void begin_call(struct house_conn *conn, const struct dm_session_event *event)
{
    const struct dm_rpc_request request = {
        .id = event->id,
        .service = event->service,
        .method = event->method,
        .payload = event->payload,
        .json = event->codec == DM_CODEC_JSON,
        .timeout_ns = event->timeout_ns,
        .open = event->open,
        .awaiting = event->awaiting,
        .unary_only = event->unary && !event->streaming,
        .stream_only = event->streaming && !event->unary,
        .get = event->get,
    };
    dm_rpc_call(conn->house->rpc, &conn->sink, &request);
}

static void prefetch(struct house_conn *conn)
{
    struct dm_slice payloads[DM_PREFETCH_MAX];
    size_t count = dm_session_peek(conn->session, payloads, DM_PREFETCH_MAX);
    if (count > 1) {
        dm_rpc_prefetch(conn->house->rpc, payloads, count);
    }
}

static void pull(struct house_conn *conn)
{
    struct dm_rpc *rpc = conn->house->rpc;
    struct dm_session_event event;
    conn->session->now_ns = conn->house->clock.monotonic_ns;
    prefetch(conn);
    while (dm_session_next(conn->session, &event)) {
        switch (event.kind) {
        case DM_EVENT_CALL:
            begin_call(conn, &event);
            break;
        case DM_EVENT_CANCEL:
            dm_rpc_cancel(rpc, &conn->sink, event.id);
            break;
        case DM_EVENT_HTTP:
            dm_session_http_reply(conn->session, event.id, 200, "text/plain", event.method);
            break;
        case DM_EVENT_INPUT:
            dm_rpc_input(rpc, &conn->sink, event.id, event.payload);
            break;
        case DM_EVENT_INPUT_END:
            dm_rpc_input_end(rpc, &conn->sink, event.id);
            break;
        }
    }
}

void house_receive(struct house_conn *conn, struct dm_slice bytes)
{
    if (!conn->session->closing) {
        conn->session->now_ns = conn->house->clock.monotonic_ns;
        dm_session_feed(conn->session, bytes);
        pull(conn);
    }
}

void house_settle(struct house_conn *conn)
{
    house_turn(conn->house);
    pull(conn);
    dm_session_flush(conn->session);
}

void house_hang_up(struct house_conn *conn)
{
    dm_rpc_sink_gone(conn->house->rpc, &conn->sink);
    dm_session_destroy(conn->session);
}

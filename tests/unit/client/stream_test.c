#include "client/state.h"

#include "unit/client/peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* One loop with a client, its server, and one stream. */
struct scene {
    uv_loop_t loop;
    struct peer peer;
    struct dormouse_client *client;
    struct dormouse_stream *stream;
    int messages, ended, code;
    uint64_t seqs[64];
    int pause_at, close_at; /* in the callback of this message */
    struct dormouse_watch asked[8];
    int watches;
    int64_t timeout_ns;
};

static void scene_start(struct scene *scene, peer_handler handler)
{
    *scene = (struct scene){.code = -1};
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    peer_start(&scene->peer, &scene->loop, handler, scene);
    struct dormouse_options options =
        DORMOUSE_OPTIONS(.address = scene->peer.address, .backoff_min_ms = 2, .backoff_max_ms = 20);
    scene->client = dormouse_client_create(&scene->loop, &options, NULL);
    assert_non_null(scene->client);
}

static void scene_finish(struct scene *scene)
{
    (void)dormouse_client_close(scene->client, NULL, NULL);
    peer_stop(&scene->peer);
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
}

static void run_until(struct scene *scene, const int *value, int wanted)
{
    while (*value < wanted) {
        (void)uv_run(&scene->loop, UV_RUN_ONCE);
    }
    assert_int_equal(*value, wanted);
}

static void on_end(void *context, const struct dormouse_result *result)
{
    struct scene *scene = context;
    scene->ended++;
    scene->code = result->code;
    scene->stream = NULL;
}

static void count_message(struct scene *scene)
{
    scene->messages++;
    if (scene->messages == scene->pause_at) {
        dormouse_stream_pause(scene->stream);
    }
    if (scene->messages == scene->close_at) {
        dormouse_stream_close(scene->stream);
    }
}

static void on_message(void *context, struct dormouse_text message)
{
    struct scene *scene = context;
    assert_int_equal(message.size, 1000);
    assert_int_equal((uint8_t)message.data[999], scene->messages % 256);
    count_message(scene);
}

static void open_raw(struct scene *scene, uint32_t timeout_ms)
{
    scene->stream =
        dormouse_stream_open(scene->client, dormouse_text("test.Tick"), dormouse_text("Tock"),
                             dormouse_text("go"), timeout_ms, on_message, on_end, scene);
    assert_non_null(scene->stream);
}

static void send_ticks(struct peer_connection *connection, uint32_t stream, int count)
{
    uint8_t bytes[1000] = {0};
    for (int i = 0; i < count; i++) {
        bytes[999] = (uint8_t)i;
        peer_data(connection, stream, 0, dm_slice(bytes, sizeof bytes));
    }
}

static void tick_20_and_end(struct peer_connection *connection, uint32_t stream,
                            const struct dm_ttrpc_request *request)
{
    struct scene *scene = connection->peer->test;
    scene->timeout_ns = request->timeout_ns;
    assert_true(dm_slice_equal(request->payload, dm_slice_str("go")));
    send_ticks(connection, stream, 20);
    peer_data(connection, stream, DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA, dm_slice(NULL, 0));
}

static void messages_come_in_order_and_then_the_end(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, tick_20_and_end);
    open_raw(&scene, 0);
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.messages, 20);
    assert_int_equal(scene.code, DORMOUSE_OK);
    assert_int_equal(scene.timeout_ns, 0);
    scene_finish(&scene);
}

static void tick_3_and_fail(struct peer_connection *connection, uint32_t stream,
                            const struct dm_ttrpc_request *request)
{
    (void)request;
    send_ticks(connection, stream, 3);
    peer_fail(connection, stream, DORMOUSE_OUT_OF_RANGE, "kept from 9");
}

static void an_error_ends_a_stream_with_its_code(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, tick_3_and_fail);
    open_raw(&scene, 0);
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.messages, 3);
    assert_int_equal(scene.code, DORMOUSE_OUT_OF_RANGE);
    scene_finish(&scene);
}

enum { MANY = 40000 }; /* 40 MB: far more than what sockets hold */

static void tick_many(struct peer_connection *connection, uint32_t stream,
                      const struct dm_ttrpc_request *request)
{
    (void)request;
    send_ticks(connection, stream, MANY);
    peer_data(connection, stream, DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA, dm_slice(NULL, 0));
}

static void a_paused_stream_holds_its_sender_back_and_loses_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, tick_many);
    scene.pause_at = 5;
    open_raw(&scene, 0);
    run_until(&scene, &scene.messages, 5);
    size_t unsent = 0;
    while (unsent != scene.peer.unsent) { /* until the sockets are full */
        unsent = scene.peer.unsent;
        (void)uv_run(&scene.loop, UV_RUN_NOWAIT);
    }
    assert_true(unsent > 0);
    assert_int_equal(scene.messages, 5);
    dormouse_stream_resume(scene.stream);
    assert_int_equal(scene.messages, 5); /* what was kept comes later, on the loop */
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.messages, MANY);
    assert_int_equal(scene.code, DORMOUSE_OK);
    scene_finish(&scene);
}

static void closing_a_stream_ends_it_at_the_server_without_a_word(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, tick_many);
    scene.close_at = 2;
    open_raw(&scene, 0);
    run_until(&scene, &scene.peer.closed, 1);
    assert_int_equal(scene.messages, 2);
    assert_int_equal(scene.ended, 0);
    scene_finish(&scene);
}

static void silent(struct peer_connection *connection, uint32_t stream,
                   const struct dm_ttrpc_request *request)
{
    (void)stream;
    struct scene *scene = connection->peer->test;
    scene->timeout_ns = request->timeout_ns;
}

static void a_stream_with_a_timeout_ends_by_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, silent);
    open_raw(&scene, 20);
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.code, DORMOUSE_DEADLINE_EXCEEDED);
    scene_finish(&scene);
}

static void closing_the_client_cancels_its_streams(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, silent);
    open_raw(&scene, 0);
    run_until(&scene, &scene.peer.requests, 1);
    scene_finish(&scene);
    assert_int_equal(scene.ended, 1);
    assert_int_equal(scene.code, DORMOUSE_CANCELLED);
}

/* ---- watch and bulk ---------------------------------------------------------- */

static void send_event(struct peer_connection *connection, uint32_t stream, uint64_t seq)
{
    struct dm_buf buf = {0};
    const struct dormouse_event event = {
        .seq = seq, .account_id = dormouse_text("a"), .contact_id = dormouse_text("c")};
    struct dormouse_watch_message message = {
        .event = &event,
    };
    assert_true(dm_message_encode(&buf, &dm_watch_message_message, &message));
    peer_data(connection, stream, 0, dm_buf_slice(&buf));
    dm_buf_finish(&buf);
}

/* Progress 0 must be on the wire: it is the kind that was chosen. */
static void send_progress(struct peer_connection *connection, uint32_t stream, uint8_t seq)
{
    const uint8_t bytes[] = {0x10, seq};
    peer_data(connection, stream, 0, dm_slice(bytes, sizeof bytes));
}

static struct dormouse_watch *note_watch(struct peer_connection *connection,
                                         const struct dm_ttrpc_request *request)
{
    struct scene *scene = connection->peer->test;
    struct dormouse_watch *asked = &scene->asked[++scene->watches];
    struct dm_arena arena = {0};
    assert_true(dm_slice_equal(request->method, dm_slice_str("Watch")));
    assert_true(dm_message_decode(request->payload, &dm_watch_message, asked, &arena));
    dm_arena_finish(&arena);
    return asked;
}

static void on_event(void *context, const struct dormouse_watch_message *message)
{
    struct scene *scene = context;
    if (message->event != NULL) {
        scene->seqs[scene->messages] = message->event->seq;
        count_message(scene);
    }
}

static void watch(struct scene *scene, uint64_t after_seq, bool resume)
{
    struct dormouse_watch request =
        DORMOUSE(watch, .account_id = dormouse_text("a"), .after_seq = after_seq);
    scene->stream = dormouse_watch(scene->client, &request, resume, on_event, on_end, scene);
    assert_non_null(scene->stream);
}

static void on_shut_down(uv_shutdown_t *shutdown, int error)
{
    (void)error;
    free(shutdown);
}

/* Breaks three times; begins each time with an event that was sent before. */
static void events_with_breaks(struct peer_connection *connection, uint32_t stream,
                               const struct dm_ttrpc_request *request)
{
    uint64_t after = note_watch(connection, request)->after_seq;
    for (uint64_t seq = after; seq <= after + 2; seq++) {
        send_event(connection, stream, seq);
    }
    struct scene *scene = connection->peer->test;
    if (scene->watches == 2) {
        peer_fail(connection, stream, DORMOUSE_UNAVAILABLE, "draining");
    } else if (scene->watches == 4) {
        peer_fail(connection, stream, DORMOUSE_OUT_OF_RANGE, "kept from 99");
    } else {
        uv_shutdown_t *shutdown = calloc(1, sizeof *shutdown);
        assert_non_null(shutdown);
        (void)uv_shutdown(shutdown, (uv_stream_t *)&connection->tcp, on_shut_down);
    }
}

static void a_resumed_watch_brings_each_event_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, events_with_breaks);
    watch(&scene, 10, true);
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.code, DORMOUSE_OUT_OF_RANGE);
    assert_int_equal(scene.messages, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(scene.seqs[i], 11 + i);
    }
    assert_int_equal(scene.asked[1].after_seq, 10);
    assert_int_equal(scene.asked[2].after_seq, 12);
    assert_int_equal(scene.asked[3].after_seq, 14);
    assert_int_equal(scene.asked[4].after_seq, 16);
    scene_finish(&scene);
}

static void progress_0_then_break(struct peer_connection *connection, uint32_t stream,
                                  const struct dm_ttrpc_request *request)
{
    (void)note_watch(connection, request);
    struct scene *scene = connection->peer->test;
    if (scene->watches == 1) {
        send_progress(connection, stream, 0);
        peer_fail(connection, stream, DORMOUSE_UNAVAILABLE, "draining");
    } else {
        send_event(connection, stream, 1);
    }
}

static void a_watch_at_the_very_beginning_resumes_from_the_start(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, progress_0_then_break);
    watch(&scene, 0, true);
    run_until(&scene, &scene.messages, 1);
    assert_false(scene.asked[1].from_start);
    assert_true(scene.asked[2].from_start);
    scene_finish(&scene);
}

static void a_watch_that_does_not_resume_ends_when_its_connection_breaks(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, events_with_breaks);
    watch(&scene, 0, false);
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.code, DORMOUSE_UNAVAILABLE);
    assert_int_equal(scene.messages, 3);
    assert_int_equal(scene.peer.accepted, 2); /* the stream's and the client's own */
    scene_finish(&scene);
}

static void bulk(struct peer_connection *connection, uint32_t stream,
                 const struct dm_ttrpc_request *request)
{
    struct dormouse_bulk_set_status asked;
    struct dm_arena arena = {0};
    assert_true(dm_message_decode(request->payload, &dm_bulk_set_status_message, &asked, &arena));
    assert_int_equal(asked.change->status, DORMOUSE_INACTIVE);
    dm_arena_finish(&arena);
    for (uint64_t i = 1; i <= 3; i++) {
        struct dm_buf buf = {0};
        struct dormouse_bulk_progress progress = {.scanned = i * 100, .done = i == 3};
        assert_true(dm_message_encode(&buf, &dm_bulk_progress_message, &progress));
        peer_data(connection, stream, 0, dm_buf_slice(&buf));
        dm_buf_finish(&buf);
    }
    peer_data(connection, stream, DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA, dm_slice(NULL, 0));
}

static void on_progress(void *context, const struct dormouse_bulk_progress *progress)
{
    struct scene *scene = context;
    scene->seqs[scene->messages++] = progress->scanned + progress->done;
}

static void a_bulk_change_streams_its_progress(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene, bulk);
    struct dormouse_change change = DORMOUSE(change, .status = DORMOUSE_INACTIVE);
    const struct dormouse_bulk_set_status unsized = {.change = &change};
    assert_null(dormouse_bulk_set_status(scene.client, &unsized, 0, on_progress, on_end, &scene));
    assert_non_null(strstr(dormouse_client_last_refusal(scene.client).data, "struct_size"));
    struct dormouse_bulk_set_status request =
        DORMOUSE(bulk_set_status, .account_id = dormouse_text("a"), .change = &change);
    assert_non_null(
        dormouse_bulk_set_status(scene.client, &request, 0, on_progress, on_end, &scene));
    run_until(&scene, &scene.ended, 1);
    assert_int_equal(scene.code, DORMOUSE_OK);
    assert_int_equal(scene.messages, 3);
    assert_int_equal(scene.seqs[2], 301);
    scene_finish(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_in_order_and_then_the_end),
        cmocka_unit_test(an_error_ends_a_stream_with_its_code),
        cmocka_unit_test(a_paused_stream_holds_its_sender_back_and_loses_nothing),
        cmocka_unit_test(closing_a_stream_ends_it_at_the_server_without_a_word),
        cmocka_unit_test(a_stream_with_a_timeout_ends_by_it),
        cmocka_unit_test(closing_the_client_cancels_its_streams),
        cmocka_unit_test(a_resumed_watch_brings_each_event_once),
        cmocka_unit_test(a_watch_at_the_very_beginning_resumes_from_the_start),
        cmocka_unit_test(a_watch_that_does_not_resume_ends_when_its_connection_breaks),
        cmocka_unit_test(a_bulk_change_streams_its_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "client/state.h"

#include "unit/client/peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CALLS_MAX = 200, TEXT_MAX = 128 };

struct scene;
struct ending {
    struct scene *scene;
    int code;
    bool ended;
    char message[TEXT_MAX];
    char answer[TEXT_MAX];
    size_t answer_size;
};

/* One loop with a client and its server, and what became of each call. */
struct scene {
    uv_loop_t loop;
    struct peer peer;
    struct dormouse_client *client;
    struct ending endings[CALLS_MAX];
    int begun, ended;
    uint32_t streams[CALLS_MAX]; /* what the server was asked, in order */
    char asked[CALLS_MAX][TEXT_MAX];
    int64_t timeout_ns;
    uint32_t pause_ms; /* the next pause before connecting, as the last request came */
    bool closed;
};

static void keep_text(char *to, struct dormouse_text text)
{
    size_t size = text.size < TEXT_MAX - 1 ? text.size : TEXT_MAX - 1;
    if (size != 0) {
        memcpy(to, text.data, size);
    }
    to[size] = '\0';
}

static void on_done(void *context, const struct dormouse_result *result,
                    struct dormouse_text answer)
{
    struct ending *ending = context;
    assert_false(ending->ended);
    ending->ended = true;
    ending->code = result->code;
    ending->answer_size = answer.size;
    keep_text(ending->message, result->message);
    keep_text(ending->answer, answer);
    ending->scene->ended++;
}

static int begin(struct scene *scene, const char *payload, uint32_t timeout_ms)
{
    struct ending *ending = &scene->endings[scene->begun];
    ending->scene = scene;
    int code = dormouse_call(scene->client, dormouse_text("test.Echo"), dormouse_text("Say"),
                             dormouse_text(payload), timeout_ms, on_done, ending);
    scene->begun += code == DORMOUSE_OK;
    return code;
}

static void run_until(struct scene *scene, const int *value, int wanted)
{
    while (*value < wanted) {
        (void)uv_run(&scene->loop, UV_RUN_ONCE);
    }
    assert_int_equal(*value, wanted);
}

static void note(struct peer_connection *connection, uint32_t stream,
                 const struct dm_ttrpc_request *request)
{
    struct scene *scene = connection->peer->test;
    int i = connection->peer->requests - 1;
    assert_true(dm_slice_equal(request->service, dm_slice_str("test.Echo")));
    assert_true(dm_slice_equal(request->method, dm_slice_str("Say")));
    scene->streams[i] = stream;
    scene->timeout_ns = request->timeout_ns;
    keep_text(scene->asked[i], dm_text_of(request->payload));
}

static void echo(struct peer_connection *connection, uint32_t stream,
                 const struct dm_ttrpc_request *request)
{
    note(connection, stream, request);
    peer_reply(connection, stream, request->payload);
}

static void create_client(struct scene *scene, uint32_t calls_max)
{
    struct dormouse_options options =
        DORMOUSE_OPTIONS(.address = scene->peer.address, .timeout_ms = 30000,
                         .calls_max = calls_max, .backoff_min_ms = 2, .backoff_max_ms = 20);
    scene->client = dormouse_client_create(&scene->loop, &options, NULL);
    assert_non_null(scene->client);
}

static struct scene *scene_new(peer_handler handler)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    peer_start(&scene->peer, &scene->loop, handler, scene);
    create_client(scene, 0);
    return scene;
}

static void on_closed(void *context)
{
    ((struct scene *)context)->closed = true;
}

static void scene_free(struct scene *scene)
{
    if (scene->client != NULL) {
        (void)dormouse_client_close(scene->client, on_closed, scene);
    }
    peer_stop(&scene->peer);
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_true(scene->closed);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    free(scene);
}

static void begin_many(struct scene *scene, int count)
{
    for (int i = 0; i < count; i++) {
        char payload[16];
        (void)snprintf(payload, sizeof payload, "%d", i);
        assert_int_equal(begin(scene, payload, 0), DORMOUSE_OK);
    }
}

static void assert_many(const struct scene *scene, int count)
{
    for (int i = 0; i < count; i++) {
        char payload[16];
        (void)snprintf(payload, sizeof payload, "%d", i);
        assert_int_equal(scene->endings[i].code, DORMOUSE_OK);
        assert_string_equal(scene->endings[i].answer, payload);
    }
}

static void assert_refused(const struct scene *scene, const char *why)
{
    assert_string_equal(dormouse_client_last_refusal(scene->client).data, why);
}

/* ---- answers ---------------------------------------------------------------- */

static void calls_before_the_connection_wait_for_it(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    assert_false(dormouse_client_connected(scene->client));
    begin_many(scene, 100);
    assert_int_equal(dormouse_client_calls(scene->client), 100);
    run_until(scene, &scene->ended, 100);
    assert_many(scene, 100);
    assert_true(dormouse_client_connected(scene->client));
    assert_int_equal(scene->peer.accepted, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(scene->streams[i], 2 * i + 1);
    }
    scene_free(scene);
}

/* Answers a batch of 50 backwards when it is complete. */
static void echo_backwards(struct peer_connection *connection, uint32_t stream,
                           const struct dm_ttrpc_request *request)
{
    struct scene *scene = connection->peer->test;
    note(connection, stream, request);
    if (connection->peer->requests == 50) {
        for (int i = 49; i >= 0; i--) {
            peer_reply(connection, scene->streams[i], dm_slice_str(scene->asked[i]));
        }
    }
}

static void answers_in_any_order_find_their_calls(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo_backwards);
    begin_many(scene, 50);
    run_until(scene, &scene->ended, 50);
    assert_many(scene, 50);
    scene_free(scene);
}

static void refuse(struct peer_connection *connection, uint32_t stream,
                   const struct dm_ttrpc_request *request)
{
    note(connection, stream, request);
    peer_fail(connection, stream, DORMOUSE_ABORTED, "the revision is 7");
}

static void an_error_brings_its_code_and_message(void **state)
{
    (void)state;
    struct scene *scene = scene_new(refuse);
    (void)begin(scene, "x", 0);
    run_until(scene, &scene->ended, 1);
    assert_int_equal(scene->endings[0].code, DORMOUSE_ABORTED);
    assert_string_equal(scene->endings[0].message, "the revision is 7");
    assert_int_equal(scene->endings[0].answer_size, 0);
    scene_free(scene);
}

struct drip {
    uv_idle_t idle;
    struct peer_connection *connection;
    struct dm_buf bytes;
};

/* One byte a loop turn: the client reads each by itself. */
static void on_drip(uv_idle_t *idle)
{
    struct drip *drip = idle->data;
    if (dm_buf_size(&drip->bytes) == 0) {
        (void)uv_idle_stop(idle);
        return;
    }
    peer_send(drip->connection, dm_buf_head(&drip->bytes), 1);
    dm_buf_consume(&drip->bytes, 1);
}

static struct drip drip;

static void echo_in_drips(struct peer_connection *connection, uint32_t stream,
                          const struct dm_ttrpc_request *request)
{
    note(connection, stream, request);
    drip.connection = connection;
    (void)dm_ttrpc_response_write(&drip.bytes, stream,
                                  &(struct dm_ttrpc_response){.payload = request->payload});
    (void)uv_idle_start(&drip.idle, on_drip);
}

static void frames_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo_in_drips);
    (void)uv_idle_init(&scene->loop, &drip.idle);
    drip.idle.data = &drip;
    begin_many(scene, 5);
    run_until(scene, &scene->ended, 5);
    assert_many(scene, 5);
    uv_close((uv_handle_t *)&drip.idle, NULL);
    dm_buf_finish(&drip.bytes);
    scene_free(scene);
}

static void large_messages_pass_in_both_directions(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    size_t size = (size_t)3 * 1024 * 1024;
    char *large = malloc(size + 1);
    assert_non_null(large);
    memset(large, 'a', size);
    large[size] = '\0';
    for (int i = 0; i < 3; i++) {
        assert_int_equal(begin(scene, large, 0), DORMOUSE_OK);
    }
    run_until(scene, &scene->ended, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scene->endings[i].code, DORMOUSE_OK);
        assert_int_equal(scene->endings[i].answer_size, size);
    }
    free(large);
    scene_free(scene);
}

/* ---- deadlines -------------------------------------------------------------- */

/* Answers nothing until the second request, then both. */
static void answer_late(struct peer_connection *connection, uint32_t stream,
                        const struct dm_ttrpc_request *request)
{
    struct scene *scene = connection->peer->test;
    note(connection, stream, request);
    if (connection->peer->requests == 2) {
        peer_reply(connection, scene->streams[0], dm_slice_str("late"));
        peer_reply(connection, scene->streams[1], dm_slice_str("in time"));
    }
}

static void an_answer_after_the_deadline_is_dropped(void **state)
{
    (void)state;
    struct scene *scene = scene_new(answer_late);
    while (!dormouse_client_connected(scene->client)) {
        (void)uv_run(&scene->loop, UV_RUN_ONCE);
    }
    (void)begin(scene, "one", 5);
    run_until(scene, &scene->ended, 1);
    run_until(scene, &scene->peer.requests, 1);
    assert_int_equal(scene->endings[0].code, DORMOUSE_DEADLINE_EXCEEDED);
    (void)begin(scene, "two", 0);
    run_until(scene, &scene->ended, 2);
    assert_int_equal(scene->endings[1].code, DORMOUSE_OK);
    assert_string_equal(scene->endings[1].answer, "in time");
    assert_string_equal(scene->endings[0].answer, "");
    scene_free(scene);
}

static void the_timeout_is_sent_along(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    (void)begin(scene, "x", 7000);
    run_until(scene, &scene->ended, 1);
    assert_in_range(scene->timeout_ns, 1, 7000LL * 1000000);
    assert_true(scene->timeout_ns > 1000LL * 1000000);
    (void)begin(scene, "x", 0);
    run_until(scene, &scene->ended, 2);
    assert_true(scene->timeout_ns > 10000LL * 1000000);
    scene_free(scene);
}

static void without_a_server_a_call_waits_until_its_deadline(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    uv_close((uv_handle_t *)&scene->peer.listener, NULL);
    (void)begin(scene, "x", 40);
    run_until(scene, &scene->ended, 1);
    assert_int_equal(scene->endings[0].code, DORMOUSE_DEADLINE_EXCEEDED);
    assert_non_null(strstr(scene->endings[0].message, "not connected"));
    (void)dormouse_client_close(scene->client, on_closed, scene);
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    free(scene);
}

/* ---- connections ------------------------------------------------------------ */

/* The first connection breaks on its third request, later ones echo. */
static void break_first(struct peer_connection *connection, uint32_t stream,
                        const struct dm_ttrpc_request *request)
{
    if (connection->number > 1) {
        echo(connection, stream, request);
    } else if (connection->peer->requests == 3) {
        peer_drop(connection);
    }
}

static void on_done_begin_again(void *context, const struct dormouse_result *result,
                                struct dormouse_text answer)
{
    struct ending *ending = context;
    on_done(context, result, answer);
    (void)begin(ending->scene, "again", 0);
}

static void calls_under_way_end_when_the_connection_breaks_and_new_ones_wait(void **state)
{
    (void)state;
    struct scene *scene = scene_new(break_first);
    (void)begin(scene, "a", 0);
    (void)begin(scene, "b", 0);
    scene->endings[2].scene = scene;
    scene->begun++;
    assert_int_equal(dormouse_call(scene->client, dormouse_text("test.Echo"), dormouse_text("Say"),
                                   dormouse_text("c"), 0, on_done_begin_again, &scene->endings[2]),
                     DORMOUSE_OK);
    run_until(scene, &scene->ended, 4);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scene->endings[i].code, DORMOUSE_UNAVAILABLE);
        assert_non_null(strstr(scene->endings[i].message, "connection lost"));
    }
    assert_int_equal(scene->endings[3].code, DORMOUSE_OK);
    assert_string_equal(scene->endings[3].answer, "again");
    assert_int_equal(scene->peer.accepted, 2);
    scene_free(scene);
}

/* What other kinds of servers answer to a request of ttrpc, and what is said of it. */
static const struct garbage {
    const char *bytes;
    size_t size;
    const char *told;
} garbage[] = {
    {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, "an HTTP server answers there, not dormoused"},
    {"<!DOCTYPE HTML>\n", 16, "an HTTP server"},
    {"<html><head>", 12, "an HTTP server"},
    {"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80", 15, "an HTTP/2 server answers there"},
    {"\x15\3\1\0\2\2\x46\0\0\0", 10, "speaks TLS"},
    {"-ERR unknown command\r\n", 22, "another kind of server answers there"},
    {"SSH-2.0-OpenSSH_9.2\r\n", 21, "another kind of server"},
    {"\1\0\0\0\0\0\0\1\2\0", 10, "a frame over 4 MiB"},
    {"\0\0\0\4\0\0\0\1\7\0abcd", 14, "frames that are no ttrpc"},
};
static const struct garbage *sent_garbage;

static void send_garbage(struct peer_connection *connection, uint32_t stream,
                         const struct dm_ttrpc_request *request)
{
    if (connection->number == 1) {
        peer_send(connection, sent_garbage->bytes, sent_garbage->size);
    } else {
        echo(connection, stream, request);
    }
}

static void a_peer_that_is_no_ttrpc_server_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        sent_garbage = &garbage[i];
        struct scene *scene = scene_new(send_garbage);
        (void)begin(scene, "x", 0);
        run_until(scene, &scene->ended, 1);
        assert_int_equal(scene->endings[0].code, DORMOUSE_UNAVAILABLE);
        assert_non_null(strstr(scene->endings[0].message, garbage[i].told));
        struct dormouse_text why = dormouse_client_last_failure(scene->client);
        assert_non_null(strstr(why.data, garbage[i].told));
        (void)begin(scene, "y", 0);
        run_until(scene, &scene->ended, 2);
        assert_int_equal(scene->endings[1].code, DORMOUSE_OK);
        scene_free(scene);
    }
}

static void send_bad_envelope(struct peer_connection *connection, uint32_t stream,
                              const struct dm_ttrpc_request *request)
{
    note(connection, stream, request);
    if (connection->peer->requests > 1) {
        peer_reply(connection, stream, request->payload);
        return;
    }
    uint8_t frame[DM_TTRPC_HEADER_SIZE + 2] = {0};
    dm_ttrpc_header_store(
        frame, &(struct dm_ttrpc_header){.size = 2, .stream = stream, .type = DM_TTRPC_RESPONSE});
    frame[DM_TTRPC_HEADER_SIZE] = 0x12; /* a payload, longer than the frame */
    frame[DM_TTRPC_HEADER_SIZE + 1] = 9;
    peer_send(connection, frame, sizeof frame);
}

static void a_bad_envelope_fails_its_call_alone(void **state)
{
    (void)state;
    struct scene *scene = scene_new(send_bad_envelope);
    (void)begin(scene, "x", 0);
    (void)begin(scene, "y", 0);
    run_until(scene, &scene->ended, 2);
    assert_int_equal(scene->endings[0].code, DORMOUSE_INTERNAL);
    assert_int_equal(scene->endings[1].code, DORMOUSE_OK);
    assert_int_equal(scene->peer.accepted, 1);
    scene_free(scene);
}

static void used_up_stream_ids_bring_a_new_connection(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    (void)begin(scene, "0", 0);
    run_until(scene, &scene->ended, 1);
    scene->client->next_stream = DM_CLIENT_STREAM_LAST;
    (void)begin(scene, "1", 0);
    (void)begin(scene, "2", 0);
    run_until(scene, &scene->ended, 3);
    assert_many(scene, 3);
    assert_int_equal(scene->peer.accepted, 2);
    assert_int_equal(scene->streams[1], DM_CLIENT_STREAM_LAST);
    assert_int_equal(scene->streams[2], 1);
    scene_free(scene);
}

static void on_shut_down(uv_shutdown_t *shutdown, int error)
{
    (void)error;
    free(shutdown);
}

static void answer_and_drop(struct peer_connection *connection, uint32_t stream,
                            const struct dm_ttrpc_request *request)
{
    (void)request;
    struct scene *scene = connection->peer->test;
    uint32_t pause_ms = scene->client->channel->backoff.now_ms;
    assert_true(pause_ms >= scene->pause_ms);
    scene->pause_ms = pause_ms;
    peer_fail(connection, stream, DORMOUSE_UNAVAILABLE, "draining");
    uv_shutdown_t *shutdown = calloc(1, sizeof *shutdown);
    assert_non_null(shutdown);
    (void)uv_shutdown(shutdown, (uv_stream_t *)&connection->tcp, on_shut_down);
}

/* Each connection is accepted, answers one call, and is closed. */
static void a_server_that_only_answers_and_closes_is_asked_less_and_less_often(void **state)
{
    (void)state;
    struct scene *scene = scene_new(answer_and_drop);
    scene->client->channel->backoff.max_ms = 64; /* no connection of the test lasts so long */
    for (int i = 1; i <= 5; i++) {
        (void)begin(scene, "x", 0);
        run_until(scene, &scene->ended, i);
        run_until(scene, &scene->peer.closed, i);
    }
    assert_int_equal(scene->pause_ms, 32);
    scene_free(scene);
}

/* ---- bounds and life --------------------------------------------------------- */

static void open_calls_and_sizes_are_bounded(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    (void)dormouse_client_close(scene->client, NULL, NULL);
    create_client(scene, 3);
    begin_many(scene, 3);
    assert_refused(scene, "");
    assert_int_equal(begin(scene, "4", 0), DORMOUSE_RESOURCE_EXHAUSTED);
    assert_refused(scene, "3 calls are open, and calls_max of the options is that; wait for some "
                          "of them");
    run_until(scene, &scene->ended, 3);
    size_t size = (size_t)4 * 1024 * 1024;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, 'a', size);
    struct dormouse_text request = {.data = large, .size = size};
    assert_int_equal(dormouse_call(scene->client, dormouse_text("s"), dormouse_text("m"), request,
                                   0, on_done, NULL),
                     DORMOUSE_RESOURCE_EXHAUSTED);
    assert_refused(scene, "a request of 4194306 bytes is too large: with its envelope it may have "
                          "4194304");
    free(large);
    scene_free(scene);
}

static void silent(struct peer_connection *connection, uint32_t stream,
                   const struct dm_ttrpc_request *request)
{
    note(connection, stream, request);
}

static void closing_cancels_what_is_open(void **state)
{
    (void)state;
    struct scene *scene = scene_new(silent);
    (void)begin(scene, "under way", 0);
    run_until(scene, &scene->peer.requests, 1);
    (void)begin(scene, "not yet sent", 0);
    (void)dormouse_client_close(scene->client, on_closed, scene);
    assert_int_equal(scene->ended, 0); /* always later */
    assert_int_equal(begin(scene, "too late", 0), DORMOUSE_CANCELLED);
    assert_refused(scene, "the client was closed");
    scene->client = NULL;
    run_until(scene, &scene->ended, 2);
    assert_int_equal(scene->endings[0].code, DORMOUSE_CANCELLED);
    assert_int_equal(scene->endings[1].code, DORMOUSE_CANCELLED);
    scene_free(scene);
}

static void on_done_close(void *context, const struct dormouse_result *result,
                          struct dormouse_text answer)
{
    struct ending *ending = context;
    on_done(context, result, answer);
    (void)dormouse_client_close(ending->scene->client, on_closed, ending->scene);
    ending->scene->client = NULL;
}

static void a_callback_may_close_the_client(void **state)
{
    (void)state;
    struct scene *scene = scene_new(echo);
    scene->endings[0].scene = scene;
    scene->begun = 1;
    (void)dormouse_call(scene->client, dormouse_text("test.Echo"), dormouse_text("Say"),
                        dormouse_text("x"), 0, on_done_close, &scene->endings[0]);
    (void)begin(scene, "y", 0);
    run_until(scene, &scene->ended, 2);
    assert_int_equal(scene->endings[0].code, DORMOUSE_OK);
    assert_int_equal(scene->endings[1].code, DORMOUSE_CANCELLED);
    scene_free(scene);
}

static void a_bad_address_is_refused(void **state)
{
    (void)state;
    struct dormouse_result result;
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = "nowhere");
    assert_null(dormouse_client_create(NULL, &options, &result));
    assert_int_equal(result.code, DORMOUSE_INVALID_ARGUMENT);
    assert_true(result.message.size > 0);
}

/* ---- the typed level --------------------------------------------------------- */

static void answer_check(struct peer_connection *connection, uint32_t stream,
                         const struct dm_ttrpc_request *request)
{
    struct dormouse_check key;
    struct dm_arena arena = {0};
    struct dm_buf answer = {0};
    assert_true(dm_slice_equal(request->service, dm_slice_str("dormouse.v1.BotStatus")));
    assert_true(dm_slice_equal(request->method, dm_slice_str("Check")));
    assert_true(dm_message_decode(request->payload, &dm_check_message, &key, &arena));
    if (dm_slice_equal(dm_slice_of(key.contact_id), dm_slice_str("broken"))) {
        peer_reply(connection, stream, dm_slice_str("\x0a"));
        return;
    }
    assert_true(dm_slice_equal(dm_slice_of(key.account_id), dm_slice_str("acme")));
    assert_true(dm_message_encode(&answer, &dm_check_answer_message,
                                  &(struct dormouse_check_answer){
                                      .decision = DORMOUSE_REPLY,
                                      .fence = 77,
                                      .has_messages_left = true,
                                  }));
    peer_reply(connection, stream, dm_buf_slice(&answer));
    dm_buf_finish(&answer);
}

struct checked {
    int ended, code;
    bool has_answer;
    struct dormouse_check_answer answer;
};

static void on_checked(void *context, const struct dormouse_result *result,
                       const struct dormouse_check_answer *answer)
{
    struct checked *checked = context;
    checked->ended++;
    checked->code = result->code;
    checked->has_answer = answer != NULL;
    if (answer != NULL) {
        checked->answer = *answer;
    }
}

static void a_typed_call_brings_a_struct(void **state)
{
    (void)state;
    struct scene *scene = scene_new(answer_check);
    struct dormouse_check key =
        DORMOUSE(check, .account_id = dormouse_text("acme"), .contact_id = dormouse_text("c1"));
    struct checked checked = {0};
    assert_int_equal(dormouse_check(scene->client, &key, 0, on_checked, &checked), DORMOUSE_OK);
    run_until(scene, &checked.ended, 1);
    assert_int_equal(checked.code, DORMOUSE_OK);
    assert_int_equal(checked.answer.decision, DORMOUSE_REPLY);
    assert_int_equal(checked.answer.fence, 77);
    assert_true(checked.answer.has_messages_left);
    key.contact_id = dormouse_text("broken");
    assert_int_equal(dormouse_check(scene->client, &key, 0, on_checked, &checked), DORMOUSE_OK);
    run_until(scene, &checked.ended, 2);
    assert_int_equal(checked.code, DORMOUSE_INTERNAL);
    assert_false(checked.has_answer);
    scene_free(scene);
}

static void on_set(void *context, const struct dormouse_result *result,
                   const struct dormouse_set_status_answer *answer)
{
    (void)context;
    (void)result;
    (void)answer;
    fail_msg("nothing was begun");
}

static int begin_set(struct scene *scene, const struct dormouse_change *change)
{
    struct dormouse_set_status request =
        DORMOUSE(set_status, .account_id = dormouse_text("acme"), .contact_id = dormouse_text("c1"),
                 .change = change);
    return dormouse_set_status(scene->client, &request, 0, on_set, NULL);
}

static void a_change_with_two_times_is_not_begun(void **state)
{
    (void)state;
    struct scene *scene = scene_new(silent);
    struct dormouse_change change =
        DORMOUSE(change, .status = DORMOUSE_SNOOZED, .snooze_for_ms = 5000, .snooze_until_ms = 1);
    assert_int_equal(begin_set(scene, &change), DORMOUSE_INVALID_ARGUMENT);
    assert_refused(scene, "snooze_for_ms and snooze_until_ms of a struct dormouse_change are both "
                          "set; the server takes one of them");
    scene_free(scene);
}

static void a_struct_of_no_known_size_is_not_begun(void **state)
{
    (void)state;
    struct scene *scene = scene_new(silent);
    struct dormouse_change change = DORMOUSE(change, .status = DORMOUSE_ACTIVE);
    static const size_t wrong[] = {0, 1, sizeof change - 1, sizeof change + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        change.struct_size = wrong[i];
        assert_int_equal(begin_set(scene, &change), DORMOUSE_INVALID_ARGUMENT);
        struct dormouse_text why = dormouse_client_last_refusal(scene->client);
        assert_non_null(strstr(why.data, "struct_size of a struct dormouse_change"));
    }
    struct dormouse_check key = {.struct_size = 0};
    assert_int_equal(dormouse_check(scene->client, &key, 0, NULL, NULL), DORMOUSE_INVALID_ARGUMENT);
    scene_free(scene);
}

static void options_of_another_version_are_refused(void **state)
{
    (void)state;
    struct dormouse_options good = DORMOUSE_OPTIONS(.address = "unix:no-such-socket"), bad[5];
    for (size_t i = 0; i < 5; i++) {
        bad[i] = good;
    }
    bad[0].struct_size = 0;
    bad[1].struct_size = sizeof good + 8;
    bad[2].level = 0;
    bad[3].level = DORMOUSE_LEVEL + 1;
    bad[4].address = NULL;
    for (size_t i = 0; i < 5; i++) {
        struct dormouse_result result = {.code = DORMOUSE_OK};
        assert_null(dormouse_client_create(NULL, &bad[i], &result));
        assert_int_equal(result.code, DORMOUSE_INVALID_ARGUMENT);
        assert_non_null(strstr(result.message.data, i == 1 || i == 3 ? "newer" : "no "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_before_the_connection_wait_for_it),
        cmocka_unit_test(answers_in_any_order_find_their_calls),
        cmocka_unit_test(an_error_brings_its_code_and_message),
        cmocka_unit_test(frames_may_come_byte_by_byte),
        cmocka_unit_test(large_messages_pass_in_both_directions),
        cmocka_unit_test(an_answer_after_the_deadline_is_dropped),
        cmocka_unit_test(the_timeout_is_sent_along),
        cmocka_unit_test(without_a_server_a_call_waits_until_its_deadline),
        cmocka_unit_test(calls_under_way_end_when_the_connection_breaks_and_new_ones_wait),
        cmocka_unit_test(a_peer_that_is_no_ttrpc_server_is_left),
        cmocka_unit_test(a_bad_envelope_fails_its_call_alone),
        cmocka_unit_test(used_up_stream_ids_bring_a_new_connection),
        cmocka_unit_test(a_server_that_only_answers_and_closes_is_asked_less_and_less_often),
        cmocka_unit_test(open_calls_and_sizes_are_bounded),
        cmocka_unit_test(closing_cancels_what_is_open),
        cmocka_unit_test(a_callback_may_close_the_client),
        cmocka_unit_test(a_bad_address_is_refused),
        cmocka_unit_test(a_typed_call_brings_a_struct),
        cmocka_unit_test(a_change_with_two_times_is_not_begun),
        cmocka_unit_test(a_struct_of_no_known_size_is_not_begun),
        cmocka_unit_test(options_of_another_version_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "client/state.h"

#include "unit/client/peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The blocking client wants a server in a thread of its own. */
struct server {
    uv_loop_t loop;
    uv_async_t stop;
    struct peer peer;
    pthread_t thread;
};

static void on_stop(uv_async_t *async)
{
    struct server *server = async->data;
    peer_stop(&server->peer);
    uv_close((uv_handle_t *)async, NULL);
}

static void *serve(void *context)
{
    struct server *server = context;
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void answer(struct peer_connection *connection, uint32_t stream,
                   const struct dm_ttrpc_request *request)
{
    struct dormouse_list list;
    struct dm_arena arena = {0};
    struct dm_buf buf = {0};
    const struct dormouse_contact first = {.contact_id = dormouse_text("c1")};
    const struct dormouse_contact second = {.contact_id = dormouse_text("c2")};
    const struct dormouse_contact *const contacts[2] = {&first, &second};
    struct dormouse_list_answer page = {.contacts = contacts, .contacts_count = 2};
    if (!dm_slice_equal(request->method, dm_slice_str("ListContacts"))) {
        peer_fail(connection, stream, DORMOUSE_NOT_FOUND, "not here");
        return;
    }
    if (!dm_message_decode(request->payload, &dm_list_message, &list, &arena) ||
        !dm_message_encode(&buf, &dm_list_answer_message, &page)) {
        abort();
    }
    peer_reply(connection, stream, dm_buf_slice(&buf));
    dm_buf_finish(&buf);
}

static void server_start(struct server *server)
{
    assert_int_equal(uv_loop_init(&server->loop), 0);
    assert_int_equal(uv_async_init(&server->loop, &server->stop, on_stop), 0);
    server->stop.data = server;
    peer_start(&server->peer, &server->loop, answer, NULL);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    assert_int_equal(uv_async_send(&server->stop), 0);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(uv_loop_close(&server->loop), 0);
}

static void a_blocking_call_brings_its_answer(void **state)
{
    (void)state;
    struct server server;
    server_start(&server);
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = server.peer.address);
    struct dormouse_result result;
    struct dormouse_client *client = dormouse_client_open(&options, &result);
    assert_non_null(client);
    struct dormouse_list request = DORMOUSE(list, .account_id = dormouse_text("a"));
    const struct dormouse_list_answer *page;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dormouse_list_contacts_wait(client, &request, 0, &result, &page),
                         DORMOUSE_OK);
        assert_int_equal(page->contacts_count, 2);
        assert_memory_equal(page->contacts[1]->contact_id.data, "c2", 2);
    }
    struct dormouse_get_contact key = DORMOUSE(get_contact, .account_id = dormouse_text("a"));
    const struct dormouse_contact *contact;
    assert_int_equal(dormouse_get_contact_wait(client, &key, 0, &result, &contact),
                     DORMOUSE_NOT_FOUND);
    assert_null(contact);
    assert_int_equal(result.message.size, 8);
    assert_memory_equal(result.message.data, "not here", 8);
    key.struct_size = 0;
    assert_int_equal(dormouse_get_contact_wait(client, &key, 0, &result, &contact),
                     DORMOUSE_INVALID_ARGUMENT);
    assert_non_null(strstr(result.message.data, "struct_size"));
    (void)dormouse_client_free(client);
    server_stop(&server);
}

static void opening_without_a_server_fails_in_time(void **state)
{
    (void)state;
    struct dormouse_options options =
        DORMOUSE_OPTIONS(.address = "unix:no-such-socket", .timeout_ms = 30);
    struct dormouse_result result = {0};
    assert_null(dormouse_client_open(&options, &result));
    assert_int_equal(result.code, DORMOUSE_UNAVAILABLE);
    assert_string_equal(result.message.data, "connecting: no such file or directory");
    assert_null(dormouse_client_open(&options, NULL));
    (void)dormouse_client_free(NULL);
}

static void opening_says_why_it_failed(void **state)
{
    (void)state;
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = "127.0.0.1:1", .timeout_ms = 30);
    struct dormouse_result refused = {0}, unknown = {0};
    assert_null(dormouse_client_open(&options, &refused));
    assert_int_equal(refused.code, DORMOUSE_UNAVAILABLE);
    assert_string_equal(refused.message.data, "connecting: connection refused");
    /* A name with a part of more than 63 bytes: nobody on a network is asked for it. However long
     * it takes to find that out. */
    static const char name[] = "0123456789012345678901234567890123456789012345678901234567890123:1";
    options = DORMOUSE_OPTIONS(.address = name, .timeout_ms = 100);
    do {
        assert_null(dormouse_client_open(&options, &unknown));
        options.timeout_ms *= 2;
    } while (strcmp(unknown.message.data, "no answer in time") == 0 && options.timeout_ms < 60000);
    assert_non_null(strstr(unknown.message.data, "has no address: "));
}

static void opening_a_bad_address_says_what_is_wrong(void **state)
{
    (void)state;
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = "unix:");
    struct dormouse_result result = {0};
    assert_null(dormouse_client_open(&options, &result));
    assert_int_equal(result.code, DORMOUSE_INVALID_ARGUMENT);
}

struct refusals {
    struct dormouse_client *client;
    int called, code, wait, typed_wait, run, free;
    char words[64];
};

static void on_done_wait(void *context, const struct dormouse_result *result,
                         struct dormouse_text bytes)
{
    (void)bytes;
    struct refusals *refusals = context;
    struct dormouse_result inner;
    struct dormouse_text text = dormouse_text("x"), nothing;
    struct dormouse_list list = DORMOUSE(list, .account_id = dormouse_text("a"));
    const struct dormouse_list_answer *page;
    refusals->called++;
    refusals->code = result->code;
    refusals->wait = dormouse_call_wait(refusals->client, text, text, text, 0, &inner, &nothing);
    assert_int_equal(nothing.size, 0);
    (void)snprintf(refusals->words, sizeof refusals->words, "%.*s", (int)inner.message.size,
                   inner.message.data);
    refusals->typed_wait = dormouse_list_contacts_wait(refusals->client, &list, 0, &inner, &page);
    refusals->run = dormouse_client_run(refusals->client);
    refusals->free = dormouse_client_free(refusals->client);
}

static void assert_refused(const struct refusals *refusals)
{
    assert_int_equal(refusals->called, 1);
    assert_int_equal(refusals->wait, DORMOUSE_FAILED_PRECONDITION);
    assert_int_equal(refusals->typed_wait, DORMOUSE_FAILED_PRECONDITION);
    assert_int_equal(refusals->run, DORMOUSE_FAILED_PRECONDITION);
    assert_int_equal(refusals->free, DORMOUSE_FAILED_PRECONDITION);
}

static void blocking_calls_in_a_callback_are_refused(void **state)
{
    (void)state;
    struct server server;
    server_start(&server);
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = server.peer.address);
    struct refusals refusals = {.client = dormouse_client_open(&options, NULL)};
    assert_non_null(refusals.client);
    struct dormouse_text text = dormouse_text("x"), nothing;
    assert_int_equal(dormouse_call(refusals.client, text, text, text, 0, on_done_wait, &refusals),
                     DORMOUSE_OK);
    assert_int_equal(dormouse_client_run(refusals.client), DORMOUSE_OK);
    assert_refused(&refusals);
    assert_int_equal(refusals.code, DORMOUSE_NOT_FOUND);
    assert_string_equal(refusals.words, "a blocking function was called from within a callback");
    /* Outside of it all is well. */
    assert_int_equal(dormouse_call_wait(refusals.client, text, text, text, 0, NULL, &nothing),
                     DORMOUSE_NOT_FOUND);
    assert_int_equal(dormouse_client_close(refusals.client, NULL, NULL),
                     DORMOUSE_FAILED_PRECONDITION);
    assert_int_equal(dormouse_client_free(refusals.client), DORMOUSE_OK);
    server_stop(&server);
}

static void a_client_on_the_callers_loop_does_not_wait(void **state)
{
    (void)state;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = "unix:no-such-socket");
    struct dormouse_client *client = dormouse_client_create(&loop, &options, NULL);
    struct dormouse_text text = dormouse_text("x"), nothing;
    struct dormouse_result result;
    assert_int_equal(dormouse_call_wait(client, text, text, text, 0, &result, &nothing),
                     DORMOUSE_FAILED_PRECONDITION);
    assert_non_null(strstr(result.message.data, "dormouse_client_open"));
    assert_int_equal(dormouse_client_run(client), DORMOUSE_FAILED_PRECONDITION);
    assert_int_equal(dormouse_client_free(client), DORMOUSE_FAILED_PRECONDITION);
    assert_int_equal(dormouse_client_close(client, NULL, NULL), DORMOUSE_OK);
    assert_int_equal(dormouse_client_close(client, NULL, NULL), DORMOUSE_CANCELLED);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* The last callbacks come while the client is freed. */
static void freeing_a_client_cancels_its_calls(void **state)
{
    (void)state;
    struct server server;
    server_start(&server);
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = server.peer.address);
    struct refusals refusals = {.client = dormouse_client_open(&options, NULL)};
    struct dormouse_text text = dormouse_text("x");
    assert_int_equal(dormouse_call(refusals.client, text, text, text, 0, on_done_wait, &refusals),
                     DORMOUSE_OK);
    assert_int_equal(dormouse_client_free(refusals.client), DORMOUSE_OK);
    assert_refused(&refusals);
    assert_int_equal(refusals.code, DORMOUSE_CANCELLED);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocking_call_brings_its_answer),
        cmocka_unit_test(opening_without_a_server_fails_in_time),
        cmocka_unit_test(opening_says_why_it_failed),
        cmocka_unit_test(opening_a_bad_address_says_what_is_wrong),
        cmocka_unit_test(blocking_calls_in_a_callback_are_refused),
        cmocka_unit_test(a_client_on_the_callers_loop_does_not_wait),
        cmocka_unit_test(freeing_a_client_cancels_its_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

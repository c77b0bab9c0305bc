#include "client/state.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A server that goes away while the client writes. SIGPIPE ends a process, unless it was told
 * otherwise: here nobody tells it anything. The server is a unix socket, whose end is there as soon
 * as close() returns. */

struct scene {
    uv_loop_t loop;
    char path[64], address[80];
    int listener, accepted;
    struct dormouse_client *client;
    int ended, code;
};

static void scene_start(struct scene *scene)
{
    *scene = (struct scene){.code = -1};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(scene->path, sizeof scene->path, "/tmp/dormouse-signal-%d", (int)getpid());
    (void)snprintf(scene->address, sizeof scene->address, "unix:%s", scene->path);
    memcpy(name.sun_path, scene->path, strlen(scene->path) + 1);
    (void)unlink(scene->path);
    scene->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(scene->listener >= 0);
    assert_int_equal(bind(scene->listener, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(scene->listener, 8), 0);
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    struct dormouse_options options =
        DORMOUSE_OPTIONS(.address = scene->address, .timeout_ms = 60000);
    scene->client = dormouse_client_create(&scene->loop, &options, NULL);
    assert_non_null(scene->client);
    while (!dormouse_client_connected(scene->client)) {
        (void)uv_run(&scene->loop, UV_RUN_ONCE);
    }
    scene->accepted = accept(scene->listener, NULL, NULL);
    assert_true(scene->accepted >= 0);
}

static void scene_finish(struct scene *scene)
{
    (void)dormouse_client_close(scene->client, NULL, NULL);
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    (void)close(scene->listener);
    (void)unlink(scene->path);
}

static void on_done(void *context, const struct dormouse_result *result,
                    struct dormouse_text answer)
{
    (void)answer;
    struct scene *scene = context;
    scene->ended++;
    scene->code = result->code;
}

static void assert_sigpipe_is_as_it_was(void)
{
    struct sigaction action;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    sigset_t blocked, pending;
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &blocked), 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&blocked, SIGPIPE));
    assert_false(sigismember(&pending, SIGPIPE));
}

static void run_to_the_end(struct scene *scene)
{
    while (scene->ended == 0) {
        (void)uv_run(&scene->loop, UV_RUN_ONCE);
    }
    assert_int_equal(scene->code, DORMOUSE_UNAVAILABLE);
    assert_sigpipe_is_as_it_was();
}

static void begin(struct scene *scene, struct dormouse_text request)
{
    assert_int_equal(dormouse_call(scene->client, dormouse_text("test.Echo"), dormouse_text("Say"),
                                   request, 0, on_done, scene),
                     DORMOUSE_OK);
}

static void writing_to_a_server_that_has_closed_raises_no_signal(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene);
    (void)close(scene.accepted);
    begin(&scene, dormouse_text("x")); /* written before the end is read */
    run_to_the_end(&scene);
    scene_finish(&scene);
}

static void neither_does_what_a_full_socket_left_over(void **state)
{
    (void)state;
    struct scene scene;
    scene_start(&scene);
    size_t size = (size_t)3 * 1024 * 1024; /* more than a socket takes */
    char *large = calloc(1, size);
    assert_non_null(large);
    begin(&scene, (struct dormouse_text){.data = large, .size = size});
    while (!scene.client->channel->blocked) {
        (void)uv_run(&scene.loop, UV_RUN_NOWAIT);
    }
    (void)close(scene.accepted);
    run_to_the_end(&scene);
    free(large);
    scene_finish(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_to_a_server_that_has_closed_raises_no_signal),
        cmocka_unit_test(neither_does_what_a_full_socket_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "integration/support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The server's log and its descriptors 0 to 2: nothing about them stops or harms it. */

static int setup(void **state)
{
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server_folder(server);
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    server_remove(*state);
    free(*state);
    return 0;
}

static void await_log(struct server *server, const char *text)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; !server_logged(server, text);) {
        assert_true(peer_now_ms() < end);
        (void)usleep(2000);
    }
}

/* The log goes to the file that support.c reads anyway; stderr is the test's. */
static void log_to_file(const struct server *server, const char **arguments, char *path,
                        size_t size)
{
    (void)snprintf(path, size, "%s/log%d", server->folder, server->starts + 1);
    arguments[0] = "--log-file";
    arguments[1] = path;
    arguments[2] = NULL;
}

/* stderr becomes a pipe that is full and never read. */
static void stall_stderr(void *context)
{
    const int *ends = context;
    static const char filler[4096];
    (void)fcntl(ends[1], F_SETPIPE_SZ, (int)sizeof filler);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], filler, sizeof filler) > 0) {
    }
    (void)fcntl(ends[1], F_SETFL, 0);
    (void)dup2(ends[1], STDERR_FILENO);
}

/* It is found by its socket, for its log says nothing. */
static void a_log_that_nobody_reads_stops_neither_calls_nor_the_end(void **state)
{
    struct server *server = *state;
    int ends[2];
    char path[160], address[170];
    struct peer peer = {0};
    assert_int_equal(pipe(ends), 0);
    (void)snprintf(path, sizeof path, "%s/socket", server->folder);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    const char *const arguments[] = {"--log-level", "debug", "--listen", address, NULL};
    server_spawn(server, arguments, stall_stderr, ends);
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; access(path, F_OK) != 0;) {
        assert_true(peer_now_ms() < end);
        (void)usleep(2000);
    }
    peer_open_unix(&peer, path);
    assert_int_equal(set_status(&peer, "ann", STATUS_INACTIVE), 0);
    for (int i = 0; i < 4000; i++) {
        (void)kill(server->pid, SIGHUP);
        assert_int_equal(check(&peer, "ann"), DECISION_SILENT);
    }
    peer_close(&peer);
    assert_int_equal(server_stop(server), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void close_streams(void *context)
{
    (void)context;
    for (int fd = 0; fd < 3; fd++) {
        (void)close(fd);
    }
}

static void closed_streams_are_no_place_for_its_files(void **state)
{
    struct server *server = *state;
    const char *arguments[3];
    char path[160], lock[64] = "", wanted[64];
    struct peer peer;
    log_to_file(server, arguments, path, sizeof path);
    assert_int_equal(server_start_prepared(server, arguments, close_streams, NULL), 0);
    peer_open_tcp(&peer, server->port);
    assert_int_equal(set_status(&peer, "ann", STATUS_INACTIVE), 0);
    (void)snprintf(path, sizeof path, "%s/data/lock", server->folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, lock, sizeof lock - 1) > 0);
    (void)close(fd);
    (void)snprintf(wanted, sizeof wanted, "%d\n", (int)server->pid);
    assert_string_equal(lock, wanted);
    peer_close(&peer);
    assert_int_equal(server_stop(server), 0);
}

static void a_hangup_begins_a_new_file_and_ends_nothing(void **state)
{
    struct server *server = *state;
    const char *arguments[3];
    char path[160], old[170];
    struct peer peer;
    log_to_file(server, arguments, path, sizeof path);
    assert_int_equal(server_start(server, arguments), 0);
    peer_open_tcp(&peer, server->port);
    assert_int_equal(check(&peer, "ann"), DECISION_REPLY);
    (void)snprintf(old, sizeof old, "%s.old", path);
    assert_int_equal(rename(path, old), 0);
    (void)kill(server->pid, SIGHUP);
    await_log(server, "event=\"log file opened\"");
    assert_false(server_logged(server, "event=ready"));
    assert_int_equal(check(&peer, "ann"), DECISION_REPLY);
    peer_close(&peer);
    assert_int_equal(server_stop(server), 0);
    assert_true(server_logged(server, "event=stopped"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_log_that_nobody_reads_stops_neither_calls_nor_the_end),
        WITH(closed_streams_are_no_place_for_its_files),
        WITH(a_hangup_begins_a_new_file_and_ends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

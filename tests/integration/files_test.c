#include "base/limits.h"
#include "integration/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The files of a server: whose they may be, what they may be, who may use them. */

enum { PATH_SIZE = 240 };

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

static const char *path_in(const struct server *server, const char *name)
{
    static char paths[4][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATH_SIZE, "%s/%s", server->folder, name);
    return path;
}

static mode_t mode_of(const char *path)
{
    struct stat entry;
    assert_int_equal(lstat(path, &entry), 0);
    return entry.st_mode & 07777;
}

static void make_folders(const struct server *server, const char *const *names)
{
    for (; *names != NULL; names++) {
        assert_int_equal(mkdir(path_in(server, *names), 0700), 0);
    }
}

/* A file with one line. */
static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "untouched\n", 10), 10);
    (void)close(fd);
}

static void assert_untouched(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof text), 10);
    assert_string_equal(text, "untouched\n");
    (void)close(fd);
}

static void assert_refused(struct server *server, const char *sentence)
{
    assert_int_equal(server_start(server, NULL), 1);
    assert_true(server_logged(server, "cannot start"));
    assert_true(server_logged(server, sentence));
}

static const char *const inner_files[] = {"data/lock", "data/journal/0000000000000001.seg",
                                          "data/journal/spare-1", "data/view/data.mdb",
                                          "data/view/lock.mdb"};
enum { INNER_COUNT = sizeof inner_files / sizeof inner_files[0] };
static const char *const all_folders[] = {"data", "data/journal", "data/view", NULL};

static void a_link_in_place_of_a_file_is_not_followed(void **state)
{
    struct server *server = *state;
    make_folders(server, all_folders);
    make_file(path_in(server, "target"));
    for (size_t i = 0; i < INNER_COUNT; i++) {
        const char *up = i == 0 ? "../target" : "../../target";
        assert_int_equal(symlink(up, path_in(server, inner_files[i])), 0);
        assert_refused(server, "is not a plain file but a symbolic link");
        assert_true(server_logged(server, inner_files[i]));
        assert_untouched(path_in(server, "target"));
        assert_int_equal(unlink(path_in(server, inner_files[i])), 0);
    }
    assert_int_equal(server_start(server, NULL), 0);
}

static void nor_is_one_in_place_of_a_folder(void **state)
{
    struct server *server = *state;
    static const char *const target[] = {"target", "data", NULL};
    make_folders(server, target);
    assert_int_equal(symlink("../target", path_in(server, "data/journal")), 0);
    assert_refused(server, "is a symbolic link, which is not followed");
    assert_int_equal(unlink(path_in(server, "data/journal")), 0);
    assert_int_equal(symlink("../target", path_in(server, "data/view")), 0);
    assert_refused(server, "is a symbolic link, which is not followed");
    assert_int_equal(symlink("data", path_in(server, "link")), 0);
    const char *const slash[] = {"--data", path_in(server, "link/"), NULL};
    assert_int_equal(server_start(server, slash), 1);
    assert_true(server_logged(server, "is a symbolic link"));
    assert_int_equal(rmdir(path_in(server, "target")), 0); /* nothing was put there */
}

static void what_has_another_name_or_is_a_pipe_is_not_written(void **state)
{
    struct server *server = *state;
    make_folders(server, all_folders);
    make_file(path_in(server, "target"));
    for (size_t i = 0; i < INNER_COUNT; i++) {
        assert_int_equal(link(path_in(server, "target"), path_in(server, inner_files[i])), 0);
        assert_refused(server, "has 2 names (hard links)");
        assert_untouched(path_in(server, "target"));
        assert_int_equal(unlink(path_in(server, inner_files[i])), 0);
        assert_int_equal(mkfifo(path_in(server, inner_files[i]), 0600), 0);
        assert_refused(server, "a pipe, socket or device");
        assert_int_equal(unlink(path_in(server, inner_files[i])), 0);
    }
}

static void what_others_can_write_is_not_used(void **state)
{
    struct server *server = *state;
    make_folders(server, all_folders);
    for (size_t i = 0; all_folders[i] != NULL; i++) {
        assert_int_equal(chmod(path_in(server, all_folders[i]), 0770), 0);
        assert_refused(server, "can be written by others (mode 0770)");
        assert_int_equal(chmod(path_in(server, all_folders[i]), 0755), 0); /* as others have it */
    }
    make_file(path_in(server, "data/journal/spare-1"));
    assert_int_equal(chmod(path_in(server, "data/journal/spare-1"), 0666), 0);
    assert_refused(server, "can be written by others (mode 0666)");
    assert_int_equal(unlink(path_in(server, "data/journal/spare-1")), 0);
    assert_int_equal(server_start(server, NULL), 0);
}

static void what_is_another_users_is_not_used(void **state)
{
    struct server *server = *state;
    if (geteuid() != 0) {
        skip();
        return;
    }
    make_folders(server, all_folders);
    assert_int_equal(chown(path_in(server, "data/view"), 12345, 12345), 0);
    assert_refused(server, "belongs to user 12345, and this process is user 0");
}

static void assert_private(const struct server *server, const char *folder)
{
    DIR *entries = opendir(path_in(server, folder));
    assert_non_null(entries);
    assert_int_equal(mode_of(path_in(server, folder)), 0700);
    const struct dirent *entry = NULL;
    while ((entry = readdir(entries)) != NULL) {
        struct stat file;
        if (entry->d_type == DT_REG &&
            fstatat(dirfd(entries), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0) {
            assert_int_equal(file.st_mode & 07777, 0600);
        }
    }
    (void)closedir(entries);
}

static void open_to_all(void *context)
{
    (void)context;
    (void)umask(0);
}

static void what_it_makes_is_for_its_user_alone(void **state)
{
    struct server *server = *state;
    char address[PATH_SIZE];
    (void)snprintf(address, sizeof address, "unix:%s/socket", server->folder);
    const char *arguments[] = {"--listen", address, NULL, "0660", NULL};
    assert_int_equal(server_start_prepared(server, arguments, open_to_all, NULL), 0);
    for (size_t i = 0; all_folders[i] != NULL; i++) {
        assert_private(server, all_folders[i]);
    }
    assert_int_equal(mode_of(path_in(server, "socket")), 0600);
    assert_int_equal(server_stop(server), 0);
    /* As an older version left it. */
    assert_int_equal(chmod(path_in(server, "data/view/data.mdb"), 0640), 0);
    arguments[2] = "--unix-mode";
    assert_int_equal(server_start_prepared(server, arguments, open_to_all, NULL), 0);
    assert_int_equal(mode_of(path_in(server, "socket")), 0660);
    assert_private(server, "data/view");
}

static void a_socket_in_a_missing_folder_is_told_as_that(void **state)
{
    struct server *server = *state;
    char address[PATH_SIZE];
    (void)snprintf(address, sizeof address, "unix:%s/nowhere/socket", server->folder);
    const char *const arguments[] = {"--listen", address, NULL};
    assert_int_equal(server_start(server, arguments), 1);
    assert_true(server_logged(server, "no such file or directory"));
}

/* ---- a limit on the size of files ------------------------------------------------------------ */

static void limit_sizes(const struct server *server, rlim_t size)
{
    const struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};
    assert_int_equal(prlimit(server->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

/* Until the code is another one; the journal is tried again once a second. */
static int set_until_it_changes(struct peer *peer, int code)
{
    int now = code;
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; now == code;) {
        assert_true(peer_now_ms() < end);
        now = set_status(peer, "ann", STATUS_INACTIVE);
        if (now == code) {
            now = set_status(peer, "ann", STATUS_ACTIVE);
        }
        (void)usleep(2000);
    }
    return now;
}

static void a_limit_on_files_is_like_a_full_disk(void **state)
{
    enum { UNAVAILABLE = 14 };
    struct server *server = *state;
    struct peer peer;
    assert_int_equal(server_start(server, NULL), 0);
    peer_open_tcp(&peer, server->port);
    assert_int_equal(set_status(&peer, "ann", STATUS_INACTIVE), 0);
    limit_sizes(server, 4096);
    (void)send_set_status(&peer, "bob", STATUS_INACTIVE); /* waits, for as long as it is so */
    struct peer other;
    peer_open_tcp(&other, server->port);
    while (!server_logged(server, "journal full")) {
        (void)usleep(2000);
    }
    assert_int_equal(set_until_it_changes(&other, 0), UNAVAILABLE);
    assert_int_equal(check(&other, "ann"), DECISION_SILENT);
    assert_true(server_logged(server, "ulimit -f"));
    limit_sizes(server, RLIM_INFINITY);
    assert_int_equal(set_until_it_changes(&other, UNAVAILABLE), 0);
    assert_int_equal(check(&other, "bob"), DECISION_SILENT);
    peer_close(&other);
    peer_close(&peer);
    assert_int_equal(server_stop(server), 0);
}

/* ---- descriptors -------------------------------------------------------------------------- */

static uint64_t logged_number(const struct server *server, const char *before)
{
    static char text[65536];
    int fd = open(server->log, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[size < 0 ? 0 : size] = '\0';
    const char *at = strstr(text, before);
    assert_non_null(at);
    return strtoull(at + strlen(before), NULL, 10);
}

static uint64_t descriptors_of(const struct server *server)
{
    char path[64];
    uint64_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)server->pid);
    DIR *entries = opendir(path);
    assert_non_null(entries);
    while (readdir(entries) != NULL) {
        count++;
    }
    (void)closedir(entries);
    return count - 2;
}

/* What is kept back from connections is enough for all that the server may hold itself: with
 * as many connections as it takes, there is room for every segment that may be open. */
static void connections_leave_enough_descriptors(void **state)
{
    enum { LIMIT = 400 };
    struct server *server = *state;
    static struct peer peers[LIMIT];
    struct rlimit files = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
    char log[PATH_SIZE];
    (void)snprintf(log, sizeof log, "%s/log1", server->folder);
    const char *const arguments[] = {"--log-file", log, NULL};
    assert_int_equal(server_start_limited(server, arguments, &files), 0);
    uint64_t max = logged_number(server, "connections_max=");
    assert_in_range(max, LIMIT / 2, LIMIT);
    for (uint64_t i = 0; i < max; i++) {
        peer_open_tcp(&peers[i], server->port);
        assert_int_equal(check(&peers[i], "ann"), DECISION_REPLY);
    }
    assert_int_equal(set_status(&peers[0], "ann", STATUS_INACTIVE), 0);
    uint64_t held = descriptors_of(server);
    assert_true(held >= max);
    /* One listener of those that may be is here already, and so is one segment. */
    assert_true(held + (DM_LISTENERS_MAX - 1) + (DM_SEGMENT_FILES_MAX - 1) <= LIMIT);
    for (uint64_t i = 0; i < max; i++) {
        peer_close(&peers[i]);
    }
}

/* ---- a limit on address space ------------------------------------------------------------ */

static void limit_space(void *context)
{
    (void)setrlimit(RLIMIT_AS, context);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { OWN_ADDRESS_SPACE = 0 };
#else
enum { OWN_ADDRESS_SPACE = 1 };
#endif

/* Whether it started; if not, with the sentence. */
static bool starts_within(struct server *server, uint64_t gib)
{
    struct rlimit limit = {.rlim_cur = gib << 30, .rlim_max = gib << 30};
    /* More than half of what the view's map would like to have. */
    const char *const arguments[] = {"--overlay-max", "9000000", NULL};
    if (server_start_prepared(server, arguments, limit_space, &limit) != 0) {
        assert_true(server_logged(server, ": ulimit -v leaves this process"));
        assert_false(server_logged(server, ", :")); /* one sentence, not two halves */
        return false;
    }
    struct peer peer;
    peer_open_tcp(&peer, server->port);
    assert_int_equal(set_status(&peer, "ann", STATUS_INACTIVE), 0);
    peer_close(&peer);
    assert_int_equal(server_stop(server), 0);
    return true;
}

static void what_starts_with_a_limit_starts_with_every_larger_one(void **state)
{
    enum { FIRST_GIB = 1, LAST_GIB = 80, STEP_GIB = 3 };
    bool started = false;
    if (!OWN_ADDRESS_SPACE) {
        skip(); /* the sanitizers take terabytes */
        return;
    }
    for (uint64_t gib = FIRST_GIB; gib <= LAST_GIB; gib += STEP_GIB) {
        bool starts = starts_within(*state, gib);
        assert_true(starts || !started);
        started = starts;
    }
    assert_true(started);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_link_in_place_of_a_file_is_not_followed),
        WITH(nor_is_one_in_place_of_a_folder),
        WITH(what_has_another_name_or_is_a_pipe_is_not_written),
        WITH(what_others_can_write_is_not_used),
        WITH(what_is_another_users_is_not_used),
        WITH(what_it_makes_is_for_its_user_alone),
        WITH(a_socket_in_a_missing_folder_is_told_as_that),
        WITH(a_limit_on_files_is_like_a_full_disk),
        WITH(connections_leave_enough_descriptors),
        WITH(what_starts_with_a_limit_starts_with_every_larger_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/assert.h"
#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The thread that writes the log: to a pipe whose reader stalls, to a file that is renamed. */

enum { PIPE_SIZE = 4096, DEADLINE_S = 60 };

struct place {
    char folder[32], file[64], level_file[64], old[64];
    int stderr_before;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->folder, sizeof p->folder, "log-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    (void)snprintf(p->file, sizeof p->file, "%s/log", p->folder);
    (void)snprintf(p->old, sizeof p->old, "%s/log.1", p->folder);
    (void)snprintf(p->level_file, sizeof p->level_file, "%s/level", p->folder);
    p->stderr_before = dup(STDERR_FILENO);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    dm_log_stop();
    dm_log_configure(DM_LOG_INFO, DM_LOG_FORMAT_LOGFMT);
    (void)dup2(p->stderr_before, STDERR_FILENO);
    (void)close(p->stderr_before);
    (void)unlink(p->file);
    (void)unlink(p->old);
    (void)unlink(p->level_file);
    assert_int_equal(rmdir(p->folder), 0);
    free(p);
    return 0;
}

static void start(const char *file, const char *level_file)
{
    const struct dm_log_files files = {file, level_file};
    struct dm_error error;
    assert_int_equal(dm_log_start(&files, &error), DM_OK);
}

static const char *content(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "re");
    size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    return text;
}

static void await_text(const char *path, const char *text)
{
    for (time_t end = time(NULL) + DEADLINE_S; strstr(content(path), text) == NULL;) {
        assert_true(time(NULL) < end);
        (void)usleep(1000);
    }
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Reads until the line that tells of dropped ones has come: the lines before it. */
static uint64_t read_until_told(int fd, uint64_t *told)
{
    uint64_t lines = 0;
    char line[4096];
    FILE *from = fdopen(fd, "re");
    assert_non_null(from);
    *told = 0;
    while (*told == 0 && fgets(line, sizeof line, from) != NULL) {
        static const char telling[] = "event=\"log lines dropped\" count=";
        const char *count = strstr(line, telling);
        assert_non_null(strchr(line, '\n'));
        assert_int_equal(strncmp(line, "time=", 5), 0); /* whole lines only */
        if (count != NULL) {
            *told = strtoull(count + sizeof telling - 1, NULL, 10);
        } else {
            lines++;
        }
    }
    (void)fclose(from);
    return lines;
}

static void a_reader_that_stalls_holds_up_nobody_and_hears_what_it_missed(void **state)
{
    enum { LINES = 20000 };
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)close(ends[1]);
    uint64_t before = dm_log_dropped();
    start(NULL, NULL);
    for (int i = 0; i < LINES; i++) {
        dm_log(DM_LOG_INFO, "busy", DM_LOG_NUMBER("i", i));
    }
    uint64_t dropped = dm_log_dropped() - before;
    assert_in_range(dropped, LINES / 2, LINES);
    dm_log(DM_LOG_ERROR, "an error has room");
    assert_int_equal(dm_log_dropped() - before, dropped);
    dm_log_last_words("the end"); /* come back, too */
    uint64_t told;
    uint64_t lines = read_until_told(ends[0], &told);
    assert_int_equal(told, dropped);
    assert_in_range(lines, 1, LINES - dropped + 2);
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

static void a_renamed_file_is_opened_anew(void **state)
{
    const struct place *p = *state;
    struct stat entry;
    start(p->file, NULL);
    dm_log(DM_LOG_INFO, "one");
    dm_log_flush();
    assert_int_equal(rename(p->file, p->old), 0);
    dm_log(DM_LOG_INFO, "two");
    dm_log_flush();
    dm_log_reread();
    await_text(p->file, "event=\"log file opened\"");
    dm_log(DM_LOG_INFO, "three");
    dm_log_flush();
    assert_non_null(strstr(content(p->old), "event=one\n"));
    assert_non_null(strstr(content(p->old), "event=two\n"));
    assert_null(strstr(content(p->old), "event=three\n"));
    assert_non_null(strstr(content(p->file), "event=three\n"));
    assert_int_equal(stat(p->file, &entry), 0);
    assert_int_equal(entry.st_mode & 07777, 0600);
}

static void a_file_that_cannot_be_opened_anew_is_kept(void **state)
{
    const struct place *p = *state;
    start(p->file, NULL);
    assert_int_equal(rename(p->file, p->old), 0);
    assert_int_equal(mkdir(p->file, 0700), 0);
    dm_log_reread();
    await_text(p->old, "event=\"log file kept\"");
    dm_log(DM_LOG_INFO, "still here");
    dm_log_flush();
    assert_non_null(strstr(content(p->old), "event=\"still here\"\n"));
    assert_int_equal(rmdir(p->file), 0);
}

static void a_word_in_a_file_sets_the_level(void **state)
{
    const struct place *p = *state;
    dm_log_configure(DM_LOG_WARN, DM_LOG_FORMAT_LOGFMT);
    put(p->level_file, "debug\n");
    start(p->file, p->level_file);
    assert_true(dm_log_enabled(DM_LOG_DEBUG));
    put(p->level_file, "loud\n");
    dm_log_reread();
    await_text(p->file, "event=\"log level kept\"");
    assert_true(dm_log_enabled(DM_LOG_DEBUG));
    assert_int_equal(unlink(p->level_file), 0);
    dm_log_reread();
    for (time_t end = time(NULL) + DEADLINE_S; dm_log_enabled(DM_LOG_INFO);) {
        assert_true(time(NULL) < end);
        (void)usleep(1000);
    }
    assert_true(dm_log_enabled(DM_LOG_WARN));
}

static void what_cannot_begin_says_why(void **state)
{
    const struct place *p = *state;
    struct dm_log_files files = {.file = p->folder};
    struct dm_error error;
    assert_int_equal(dm_log_start(&files, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, p->folder));
    assert_int_equal(mkfifo(p->file, 0600), 0);
    files.file = p->file;
    assert_int_equal(dm_log_start(&files, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "nobody reads this pipe"));
    put(p->level_file, "loud");
    files = (struct dm_log_files){.level_file = p->level_file};
    assert_int_equal(dm_log_start(&files, &error), DM_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, p->level_file));
}

static void what_a_full_disk_swallows_is_counted_once(void **state)
{
    (void)state;
    uint64_t before = dm_log_dropped();
    start("/dev/full", NULL);
    for (int i = 0; i < 3; i++) {
        dm_log(DM_LOG_INFO, "lost");
    }
    dm_log_flush();
    assert_int_equal(dm_log_dropped() - before, 3);
}

/* A process that ends by a broken invariant leaves the reason behind, in its log. */
static void a_broken_invariant_is_in_the_log(void **state)
{
    const struct place *p = *state;
    for (int started = 0; started < 2; started++) {
        pid_t child = fork();
        if (child == 0) {
            const struct rlimit no_core = {0};
            (void)setrlimit(RLIMIT_CORE, &no_core);
            int fd = open(p->old, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            (void)dup2(fd, STDERR_FILENO);
            if (started != 0) {
                start(p->file, NULL);
            }
            dm_assert_failed("never()", "here.c", 42);
        }
        int status = -1;
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    static const char reason[] = "broken invariant at here.c:42: never()";
    assert_non_null(strstr(content(p->old), reason));
    assert_non_null(strstr(content(p->file), reason));
    assert_non_null(strstr(content(p->file), "level=error event=aborting"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_reader_that_stalls_holds_up_nobody_and_hears_what_it_missed),
        WITH(a_renamed_file_is_opened_anew),
        WITH(a_file_that_cannot_be_opened_anew_is_kept),
        WITH(a_word_in_a_file_sets_the_level),
        WITH(what_cannot_begin_says_why),
        WITH(what_a_full_disk_swallows_is_counted_once),
        WITH(a_broken_invariant_is_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

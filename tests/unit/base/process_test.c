#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* In a process of its own, whose exit status says what was seen. */
static int without(unsigned closed)
{
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 0; fd < 3; fd++) {
            if ((closed >> fd & 1) != 0) {
                (void)close(fd);
            }
        }
        dm_process_begin();
        char byte = 0;
        int next = open("/dev/null", O_RDONLY);
        bool fine = next > 2;
        if ((closed & 1) != 0) {
            fine = fine && read(0, &byte, 1) < 0 && errno == EBADF;
        }
        for (int fd = 1; fd < 3; fd++) {
            if ((closed >> fd & 1) != 0) {
                fine = fine && write(fd, &byte, 1) < 0 && errno == EBADF;
            }
        }
        _exit(fine ? 0 : 1);
    }
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void no_file_gets_the_number_of_a_closed_stream(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        assert_int_equal(without(closed), 0);
    }
}

static void a_file_over_the_limit_is_an_error_of_its_write(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
        dm_process_begin();
        FILE *file = tmpfile();
        bool fine = file != NULL && setrlimit(RLIMIT_FSIZE, &none) == 0 &&
                    write(fileno(file), "x", 1) < 0 && errno == EFBIG;
        _exit(fine ? 0 : 1);
    }
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

#ifndef __SANITIZE_THREAD__

/* Exit status or signal of a process that touches a page behind its file's end, or gets the
 * signal of that from another. */
static int lose_page(bool sent, char *told, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        FILE *file = tmpfile();
        (void)dup2(ends[1], STDERR_FILENO);
        dm_process_explain_lost_page("the file was cut");
        if (sent) {
            (void)kill(getpid(), SIGBUS);
        }
        const volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
        _exit(page[0]);
    }
    (void)close(ends[1]);
    ssize_t got = read(ends[0], told, size - 1);
    told[got > 0 ? got : 0] = '\0';
    (void)close(ends[0]);
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

static void a_lost_page_is_explained(void **state)
{
    (void)state;
    char told[256];
    int status = lose_page(false, told, sizeof told);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    assert_non_null(strstr(told, "the file was cut"));
    status = lose_page(true, told, sizeof told);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    assert_string_equal(told, "");
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_gets_the_number_of_a_closed_stream),
        cmocka_unit_test(a_file_over_the_limit_is_an_error_of_its_write),
#ifndef __SANITIZE_THREAD__ /* it handles signals itself, and forgets a handler that is for once \
                             */
        cmocka_unit_test(a_lost_page_is_explained),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "view/applier.h"

/* Threads that may still be started; the system refuses those after. */
static int threads_left;

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict context)
{
    if (threads_left == 0) {
        return EAGAIN;
    }
    threads_left--;
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, context);
}

static void a_thread_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    struct dm_store *store = dm_store_open_memory();
    const struct dm_applier_options options = {.store = store};
    for (int threads = 0; threads < 3; threads++) {
        threads_left = threads;
        struct dm_applier *applier = dm_applier_create(&options);
        assert_int_equal(applier != NULL, threads == 2);
        dm_applier_destroy(applier);
    }
    dm_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_cannot_be_had_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "faults/alloc.h"

#include "base/assert.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* A sanitizer has its own, under this name; else there is glibc's. */
#define REAL(name, ...)                      \
    extern void *__libc_##name(__VA_ARGS__); \
    extern void *__interceptor_##name(__VA_ARGS__) __attribute__((weak))
REAL(malloc, size_t);
REAL(calloc, size_t, size_t);
REAL(realloc, void *, size_t);
#define CALL(name, ...) \
    (__interceptor_##name != NULL ? __interceptor_##name(__VA_ARGS__) : __libc_##name(__VA_ARGS__))

static uint64_t until_failure;
static bool failed;

void alloc_fail_at(uint64_t n)
{
    until_failure = n;
    failed = false;
}

bool alloc_failed(void)
{
    return failed;
}

static bool fails(void)
{
    if (until_failure == 0 || --until_failure != 0) {
        return false;
    }
    failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : CALL(malloc, size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : CALL(calloc, count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : CALL(realloc, old, size);
}

/* ---- instead of src/base/assert.c ------------------------------------------------------ */

_Noreturn void dm_assert_failed(const char *expression, const char *file, int line)
{
    until_failure = 0;
    (void)fprintf(stderr, "dormouse: broken invariant at %s:%d: %s\n", file, line, expression);
    abort();
}

static void *there(void *memory)
{
    DM_ASSERT(memory != NULL);
    return memory;
}

void *dm_xmalloc(unsigned long size)
{
    return there(CALL(malloc, size != 0 ? size : 1));
}

void *dm_xcalloc(unsigned long count, unsigned long size)
{
    return there(CALL(calloc, count != 0 ? count : 1, size != 0 ? size : 1));
}

void *dm_xrealloc(void *old, unsigned long size)
{
    return there(CALL(realloc, old, size != 0 ? size : 1));
}

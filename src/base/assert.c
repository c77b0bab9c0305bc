#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void dm_assert_failed(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "dormouse: broken invariant at %s:%d: %s\n", file, line, expression);
    abort();
}

static _Noreturn void out_of_memory(unsigned long size)
{
    (void)fprintf(stderr, "dormouse: out of memory (asked for %lu bytes)\n", size);
    abort();
}

void *dm_xmalloc(unsigned long size)
{
    void *memory = malloc(size != 0 ? size : 1);
    if (memory == NULL) {
        out_of_memory(size);
    }
    return memory;
}

void *dm_xcalloc(unsigned long count, unsigned long size)
{
    void *memory = calloc(count != 0 ? count : 1, size != 0 ? size : 1);
    if (memory == NULL) {
        out_of_memory(size);
    }
    return memory;
}

void *dm_xrealloc(void *old, unsigned long size)
{
    void *memory = realloc(old, size != 0 ? size : 1);
    if (memory == NULL) {
        out_of_memory(size);
    }
    return memory;
}

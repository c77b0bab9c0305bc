#include "base/assert.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void dm_assert_failed(const char *expression, const char *file, int line)
{
    char text[512];
    (void)snprintf(text, sizeof text, "broken invariant at %s:%d: %s", file, line, expression);
    dm_log_last_words(text);
    abort();
}

static _Noreturn void out_of_memory(unsigned long size)
{
    char text[64];
    (void)snprintf(text, sizeof text, "out of memory (asked for %lu bytes)", size);
    dm_log_last_words(text);
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

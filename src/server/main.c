#include "base/limits.h"
#include "base/process.h"
#include "server/options.h"
#include "server/server.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* The exit status: was it all written? */
static int end_output(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return EXIT_SUCCESS;
    }
    (void)fprintf(stderr, "dormoused: cannot write the output: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

/* Before anything is allocated; both stay as they are from now on. An allocator that is not
 * glibc's, a sanitizer's say, knows neither. */
static void set_up_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, DM_MAPPED_BLOCK_SIZE);
    (void)mallopt(M_TRIM_THRESHOLD, DM_HEAP_SPARE);
}

int main(int argc, char **argv)
{
    dm_process_begin();
    set_up_memory();
    struct dm_options options;
    struct dm_error error = {0};
    int status = EXIT_USAGE;
    if (dm_options_parse(&options, argc, argv, environ, &error) != DM_OK) {
        (void)fprintf(stderr, "dormoused: %s\n", error.message);
    } else if (options.help) {
        dm_options_help(stdout);
        status = end_output();
    } else if (options.version) {
        (void)printf("dormoused %s\n", DM_VERSION);
        status = end_output();
    } else {
        status = dm_server_run(&options);
    }
    dm_options_finish(&options);
    return status;
}

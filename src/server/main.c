#include "base/process.h"
#include "server/options.h"
#include "server/server.h"

#include <stdio.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
    dm_process_begin();
    struct dm_options options;
    struct dm_error error = {0};
    int status = EXIT_USAGE;
    if (dm_options_parse(&options, argc, argv, environ, &error) != DM_OK) {
        (void)fprintf(stderr, "dormoused: %s\n", error.message);
    } else if (options.help) {
        dm_options_help(stdout);
        status = 0;
    } else if (options.version) {
        (void)printf("dormoused %s\n", DM_VERSION);
        status = 0;
    } else {
        status = dm_server_run(&options);
    }
    dm_options_finish(&options);
    return status;
}

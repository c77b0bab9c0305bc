#include "base/process.h"
#include "modes.h"
#include "report.h"

#include <signal.h>
#include <string.h>

int main(int argc, char **argv)
{
    dm_process_begin();
    static const struct {
        const char *name;
        int (*mode)(const struct options *options);
    } modes[] = {
        {"run", run_mode},
        {"load", load_mode},
        {"wakes", wakes_mode},
        {"sleepers", sleepers_mode},
    };
    struct options options;
    bool go_on;
    int code = options_parse(argc, argv, &options, &go_on);
    if (!go_on) {
        return code;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(options.mode, modes[i].name) == 0) {
            return modes[i].mode(&options);
        }
    }
    (void)complain("there is no such mode", options.mode);
    return 2;
}

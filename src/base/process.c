#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* glibc does the first half, too, for programs that change their user. */
void dm_process_begin(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) {
            continue;
        }
        /* It is opened for the wrong direction. It gets the lowest free number, which is this
         * one. */
        int taken = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (taken != fd) {
            _exit(EXIT_FAILURE); /* nobody is left to tell */
        }
    }
    (void)signal(SIGXFSZ, SIG_IGN);
}

bool dm_process_caps_file(uint64_t size)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           size >= limit.rlim_cur;
}

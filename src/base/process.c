#include "base/process.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
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

enum { LAST_WORDS_S = 2 };
static char lost_page[640];

/* It comes in the thread that touched the page. Should that one hold the log's lock just now, the
 * process ends by the alarm, without a word. Otherwise the page is touched again on return, and
 * the signal ends the process as it would have. */
static void on_lost_page(int number, siginfo_t *info, void *context)
{
    (void)context;
    (void)alarm(LAST_WORDS_S);
    if (info->si_code <= 0) { /* another process sent it */
        (void)raise(number);
        return;
    }
    dm_log_last_words(lost_page);
}

void dm_process_explain_lost_page(const char *sentence)
{
    struct sigaction action = {.sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER)};
    action.sa_sigaction = on_lost_page;
    (void)snprintf(lost_page, sizeof lost_page, "%s", sentence);
    (void)sigaction(SIGBUS, &action, NULL);
}

#ifndef DM_CLI_CURSOR_H
#define DM_CLI_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

/* A sequence number in a file, replaced as a whole: whoever reads it finds the old one or the
 * new one. What is no regular file is written through (target.h). */

/* A file that is not there is 0. false: it cannot be read, or holds something else (errno is
 * then EINVAL). */
bool dm_cursor_read(const char *path, uint64_t *seq);
/* Durable when it returns. false: errno says why. */
bool dm_cursor_write(const char *path, uint64_t seq);

#endif

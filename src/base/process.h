#ifndef DM_BASE_PROCESS_H
#define DM_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* The first thing in main, of every program: where descriptors 0 to 2 were closed, they are
 * taken, so that no file or socket gets their number and then a log line or an answer.
 * What is read or written there still fails with EBADF, as it does when they are closed:
 * an export to a closed stdout is an error, not a success. And a file that grows over this
 * process' limit (ulimit -f) is an error of its write, EFBIG, not the end of the process. */
void dm_process_begin(void);

/* May this process make a file of `size` bytes no larger? What was cut short by that is no
 * EFBIG: libraries tell of it in their own ways. */
bool dm_process_caps_file(uint64_t size);
#define DM_FILE_CAPPED_SENTENCE "larger than this process may make a file (ulimit -f)"

/* What is said before the process ends because a page of a mapped file cannot be read: the disk
 * failed, or the file was cut. The kernel tells of that by a signal, which alone says nothing.
 * `sentence` is copied. */
void dm_process_explain_lost_page(const char *sentence);

#endif

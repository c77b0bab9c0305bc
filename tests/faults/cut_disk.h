#ifndef TESTS_FAULTS_CUT_DISK_H
#define TESTS_FAULTS_CUT_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* Real files, and what a power cut would leave of them. The program that links this has its
 * own write, pwrite, writev, pwritev, fsync, fdatasync, msync, unlinkat and renameat, which liblmdb
 * and the journal call, too: they write, and remember of every page (4 KiB) what it held when it
 * was last synced. Nothing is really synced. One thread.
 *
 * Taken to be durable at once: what names a folder holds, and sizes that grow by fallocate
 * (tests/unit/journal/crash_test.c loses those, too). */

/* Begins and ends remembering; the end forgets all. */
void cut_disk_begin(void);
void cut_disk_end(void);

/* Calls `cut` once, in the middle of things: before the n-th changing call or sync from now
 * on (1: the next). Within it nothing is remembered. 0: never. */
void cut_disk_at(uint64_t n, void (*cut)(void *context), void *context);

/* Copies the regular files of a folder into another one, which exists, as they would be
 * found after a power cut now: of each page not synced all, some sectors (512 bytes) or
 * nothing is there, and what lies behind the size that was synced may be cut. */
void cut_disk_image(const char *from, const char *to, uint64_t *random);

struct cut_disk_counts {
    uint64_t writes, syncs, pages_lost, pages_torn, pages_kept;
};
struct cut_disk_counts cut_disk_counts(void);

#endif

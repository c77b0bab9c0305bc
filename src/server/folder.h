#ifndef DM_SERVER_FOLDER_H
#define DM_SERVER_FOLDER_H

#include "base/code.h"

/* The data folder: who may use it, and what is in it. */
struct dm_folder {
    char *journal, *view; /* paths */
    int lock;             /* descriptor; -1: not held */
};

/* Creates what is not there (folders 0700, files 0600) and takes the lock. What is there
 * must be this user's, and not writable for others: folders no links, files plain ones of
 * one name. Files that others may read are closed to them. A folder that has other folders in it,
 * and nothing of a server, is none of ours. UNAVAILABLE with a sentence that
 * names the path and what to do, or the process that holds the lock; then nothing was
 * written. Takes a zeroed struct; it is to be closed in any case. */
enum dm_code dm_folder_open(struct dm_folder *folder, const char *path, struct dm_error *error);
void dm_folder_close(struct dm_folder *folder);

#endif

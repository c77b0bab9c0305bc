#ifndef DM_SERVER_FOLDER_H
#define DM_SERVER_FOLDER_H

#include "base/code.h"

/* The data folder: who may use it, and what is in it. */
struct dm_folder {
    char *journal, *view; /* paths */
    int lock;             /* descriptor; -1: not held */
};

/* Creates what is not there (mode 0700) and takes the lock. UNAVAILABLE with a sentence
 * that names the path, and the process that holds the lock. Takes a zeroed struct; it is
 * to be closed in any case. */
enum dm_code dm_folder_open(struct dm_folder *folder, const char *path, struct dm_error *error);
void dm_folder_close(struct dm_folder *folder);

#endif

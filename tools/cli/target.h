#ifndef DM_CLI_TARGET_H
#define DM_CLI_TARGET_H

#include <stdbool.h>
#include <stdio.h>

/* A file that somebody named for output. Where a regular file is, or none, it appears as a
 * whole at the end, replacing the old one, with mode 0600: it holds people's numbers. A link
 * stays, and what it points to is treated so. Anything else (a device, a pipe) is written
 * through, as a shell's > does, and stays what it is. */
struct dm_target {
    FILE *file;
    char *path;   /* what is replaced; NULL: written through */
    char *beside; /* the new file's name until then; NULL: it has none */
};

/* false: errno says why. */
bool dm_target_open(struct dm_target *target, const char *path);
/* Durable, where it can be, when it returns. false: errno says why, and a file that was
 * there before is as it was. Ends the target either way. */
bool dm_target_commit(struct dm_target *target);
/* Ends it as if it had never been begun; what was written through stays written. */
void dm_target_abandon(struct dm_target *target);

#endif

#ifndef DM_JOURNAL_SEGMENT_H
#define DM_JOURNAL_SEGMENT_H

#include "base/code.h"
#include "journal/disk.h"
#include "journal/format.h"

/* The segments that the journal keeps, oldest first, numbers dense, each with a sparse
 * index of places: how reads find an event without walking the file. Belongs to the
 * loop's thread; a segment appears here only once it is on the disk, with its first batch if it was
 * opened for one. */

struct dm_segment {
    struct dm_segment_header header;
    int file;                /* for reading; -1: not open */
    struct dm_place *places; /* in order, DM_PLACE_SPACING apart or more */
    size_t count, capacity;
};

struct dm_segments {
    struct dm_disk *disk;
    struct dm_segment *items;
    size_t count, capacity;
    size_t open_files;
    uint64_t kept_bytes;
};

#define DM_SEGMENT_NAME_SIZE 32

void dm_segment_name(char name[DM_SEGMENT_NAME_SIZE], uint64_t number);

/* The new newest one; the pointer is good until the next add or drop. */
struct dm_segment *dm_segments_add(struct dm_segments *segments,
                                   const struct dm_segment_header *header);
void dm_segments_drop_first(struct dm_segments *segments);
void dm_segments_finish(struct dm_segments *segments);

/* Sentences: what is damaged, or cannot be done. `failed`: -errno. */
enum dm_code dm_segment_damaged(struct dm_error *error, const struct dm_place *at,
                                const char *what);
enum dm_code dm_segment_cannot(struct dm_error *error, const char *what, uint64_t number,
                               int failed);

/* NULL when there is none (any more, or yet). */
struct dm_segment *dm_segments_find(const struct dm_segments *segments, uint64_t number);
struct dm_segment *dm_segments_last(const struct dm_segments *segments);

/* The segment in which the entry `lsn` is, if the log has it. NULL: dropped. */
struct dm_segment *dm_segments_of_lsn(const struct dm_segments *segments, uint64_t lsn);

/* A place before the event after_seq + 1, as near as is known. */
struct dm_place dm_segments_place(const struct dm_segments *segments, uint64_t after_seq);

/* Remembers the place if it is far enough behind the last one known. */
void dm_segment_note(struct dm_segment *segment, const struct dm_place *place);

/* The segment's file, for reading: a handle or -errno. */
int dm_segment_file(struct dm_segments *segments, struct dm_segment *segment);

#endif

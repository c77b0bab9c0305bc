#include "journal/segment.h"

#include "base/assert.h"
#include "base/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(DM_SEGMENT_NAME_SIZE > 20 + 4, "any number and \".seg\" fit");
static_assert(DM_SEGMENT_FILES_MAX >= 1, "a segment that is read is open");

void dm_segment_name(char name[DM_SEGMENT_NAME_SIZE], uint64_t number)
{
    (void)snprintf(name, DM_SEGMENT_NAME_SIZE, "%016" PRIu64 ".seg", number);
}

enum dm_code dm_segment_damaged(struct dm_error *error, const struct dm_place *at, const char *what)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, at->segment);
    return dm_fail(error, DM_DATA_LOSS, "the journal file %s is damaged at offset %" PRIu64 ": %s",
                   name, at->offset, what);
}

enum dm_code dm_segment_cannot(struct dm_error *error, const char *what, uint64_t number,
                               int failed)
{
    char name[DM_SEGMENT_NAME_SIZE];
    char text[96];
    dm_segment_name(name, number);
    return dm_fail(error, DM_UNAVAILABLE, "cannot %s the journal file %s: %s", what, name,
                   strerror_r(-failed, text, sizeof text));
}

struct dm_segment *dm_segments_add(struct dm_segments *segments,
                                   const struct dm_segment_header *header)
{
    if (segments->count == segments->capacity) {
        segments->capacity = segments->capacity == 0 ? 16 : segments->capacity * 2;
        segments->items =
            dm_xrealloc(segments->items, segments->capacity * sizeof *segments->items);
    }
    const struct dm_segment *before = dm_segments_last(segments);
    DM_ASSERT(before == NULL || (before->header.number + 1 == header->number &&
                                 before->header.first_lsn <= header->first_lsn &&
                                 before->header.first_seq <= header->first_seq &&
                                 before->header.first_batch <= header->first_batch));
    struct dm_segment *segment = &segments->items[segments->count];
    *segment = (struct dm_segment){.header = *header, .file = -1};
    segments->count++;
    segments->kept_bytes += header->size;
    return segment;
}

static void close_file(struct dm_segments *segments, struct dm_segment *segment)
{
    if (segment->file >= 0) {
        segments->disk->ops->close(segments->disk, segment->file);
        segment->file = -1;
        DM_ASSERT(segments->open_files > 0);
        segments->open_files--;
    }
}

void dm_segments_drop_first(struct dm_segments *segments)
{
    DM_ASSERT(segments->count > 1);
    struct dm_segment *first = &segments->items[0];
    close_file(segments, first);
    free(first->places);
    DM_ASSERT(segments->kept_bytes >= first->header.size);
    segments->kept_bytes -= first->header.size;
    segments->count--;
    memmove(segments->items, segments->items + 1, segments->count * sizeof *segments->items);
}

void dm_segments_finish(struct dm_segments *segments)
{
    for (size_t i = 0; i < segments->count; i++) {
        close_file(segments, &segments->items[i]);
        free(segments->items[i].places);
    }
    free(segments->items);
    *segments = (struct dm_segments){0};
}

struct dm_segment *dm_segments_find(const struct dm_segments *segments, uint64_t number)
{
    if (segments->count == 0 || number < segments->items[0].header.number ||
        number - segments->items[0].header.number >= segments->count) {
        return NULL;
    }
    return &segments->items[number - segments->items[0].header.number];
}

struct dm_segment *dm_segments_last(const struct dm_segments *segments)
{
    return segments->count == 0 ? NULL : &segments->items[segments->count - 1];
}

struct dm_segment *dm_segments_of_lsn(const struct dm_segments *segments, uint64_t lsn)
{
    for (size_t i = segments->count; i > 0; i--) {
        if (segments->items[i - 1].header.first_lsn <= lsn) {
            return &segments->items[i - 1];
        }
    }
    return NULL;
}

static struct dm_place place_within(const struct dm_segment *segment, uint64_t after_seq)
{
    size_t low = 0;
    size_t high = segment->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->places[middle].next_seq <= after_seq + 1) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? dm_place_first(&segment->header) : segment->places[low - 1];
}

struct dm_place dm_segments_place(const struct dm_segments *segments, uint64_t after_seq)
{
    size_t low = 0;
    size_t high = segments->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segments->items[middle].header.first_seq <= after_seq + 1) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    DM_ASSERT(low > 0);
    return place_within(&segments->items[low - 1], after_seq);
}

void dm_segment_note(struct dm_segment *segment, const struct dm_place *place)
{
    uint64_t last =
        segment->count == 0 ? DM_SEGMENT_HEADER_SIZE : segment->places[segment->count - 1].offset;
    if (place->offset < last + DM_PLACE_SPACING) {
        return;
    }
    if (segment->count == segment->capacity) {
        segment->capacity = segment->capacity == 0 ? 16 : segment->capacity * 2;
        segment->places = dm_xrealloc(segment->places, segment->capacity * sizeof *segment->places);
    }
    segment->places[segment->count] = *place;
    segment->count++;
}

int dm_segment_file(struct dm_segments *segments, struct dm_segment *segment)
{
    if (segment->file >= 0) {
        return segment->file;
    }
    for (size_t i = 0; i < segments->count && segments->open_files >= DM_SEGMENT_FILES_MAX; i++) {
        close_file(segments, &segments->items[i]);
    }
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment->header.number);
    int file = segments->disk->ops->open(segments->disk, name, false);
    if (file >= 0) {
        segment->file = file;
        segments->open_files++;
    }
    return file;
}

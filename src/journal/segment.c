#include "journal/segment.h"

#include "base/assert.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void dm_segment_name(char name[DM_SEGMENT_NAME_SIZE], uint64_t number)
{
    (void)snprintf(name, DM_SEGMENT_NAME_SIZE, "%016" PRIu64 ".seg", number);
}

struct dm_segment *dm_segments_add(struct dm_segments *segments,
                                   const struct dm_segment_header *header)
{
    if (segments->count == segments->capacity) {
        segments->capacity = segments->capacity == 0 ? 16 : segments->capacity * 2;
        segments->items =
            dm_xrealloc(segments->items, segments->capacity * sizeof *segments->items);
    }
    DM_ASSERT(segments->count == 0 ||
              segments->items[segments->count - 1].header.number + 1 == header->number);
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
        segments->open_files--;
    }
}

void dm_segments_drop_first(struct dm_segments *segments)
{
    DM_ASSERT(segments->count > 1);
    struct dm_segment *first = &segments->items[0];
    close_file(segments, first);
    free(first->places);
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

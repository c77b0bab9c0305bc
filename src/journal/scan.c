#include "journal/scan.h"

#include "base/assert.h"
#include "base/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static_assert(DM_SCAN_SIZE >= DM_ENTRY_HEADER_SIZE + DM_JOURNAL_RECORD_MAX &&
                  DM_SCAN_SIZE % DM_DISK_PAGE == 0,
              "the largest entry can be looked at in one piece");

void dm_scan_init(struct dm_scan *scan, struct dm_disk *disk, int file, uint64_t limit)
{
    *scan = (struct dm_scan){.disk = disk, .file = file, .limit = limit};
    scan->bytes = dm_xmalloc(DM_SCAN_SIZE);
}

void dm_scan_finish(struct dm_scan *scan)
{
    free(scan->bytes);
}

const uint8_t *dm_scan_look(struct dm_scan *scan, uint64_t offset, size_t size)
{
    DM_ASSERT(size <= DM_SCAN_SIZE);
    if (scan->failed != 0 || offset + size > scan->limit) {
        return NULL;
    }
    if (offset < scan->start || offset + size > scan->start + scan->size) {
        uint64_t left = scan->limit - offset;
        size_t wanted = left < DM_SCAN_SIZE ? (size_t)left : DM_SCAN_SIZE;
        int64_t got = scan->disk->ops->pread(scan->disk, scan->file, scan->bytes, wanted, offset);
        scan->start = offset;
        scan->size = got < 0 ? 0 : (size_t)got;
        if (got < 0 || scan->size < size) {
            scan->failed = got < 0 ? (int)got : -EIO;
            return NULL;
        }
    }
    return scan->bytes + (offset - scan->start);
}

static enum dm_scan_outcome not_seen(const struct dm_scan *scan)
{
    return scan->failed != 0 ? DM_SCAN_UNREADABLE : DM_SCAN_BAD;
}

static enum dm_scan_outcome walk_entry(struct dm_scan *scan, struct dm_segment *segment,
                                       struct dm_place *place,
                                       const struct dm_scan_visitor *visitor)
{
    const uint8_t *bytes = dm_scan_look(scan, place->offset, DM_ENTRY_HEADER_SIZE);
    if (bytes == NULL) {
        return not_seen(scan);
    }
    struct dm_entry_header header = dm_entry_header_read(bytes);
    struct dm_place after = *place;
    if (!dm_place_take(&after, &header)) {
        return DM_SCAN_BAD;
    }
    bytes = dm_scan_look(scan, place->offset, DM_ENTRY_HEADER_SIZE + header.size);
    if (bytes == NULL) {
        return not_seen(scan);
    }
    if (!dm_entry_intact(bytes, header.size)) {
        return DM_SCAN_BAD;
    }
    dm_segment_note(segment, place);
    struct dm_entry entry = {.lsn = header.lsn,
                             .seq = header.seq,
                             .payload = dm_slice(bytes + DM_ENTRY_HEADER_SIZE, header.size)};
    if (visitor != NULL && header.lsn > visitor->after_lsn &&
        !visitor->each(visitor->context, &entry)) {
        return DM_SCAN_REFUSED;
    }
    *place = after;
    return DM_SCAN_GOOD;
}

enum dm_scan_outcome dm_scan_batch(struct dm_scan *scan, struct dm_segment *segment,
                                   struct dm_place *place, const struct dm_scan_visitor *visitor)
{
    struct dm_batch_header header;
    const uint8_t *bytes = dm_scan_look(scan, place->offset, DM_BATCH_HEADER_SIZE);
    if (bytes == NULL) {
        return not_seen(scan);
    }
    if (!dm_batch_header_read(bytes, &header, segment->header.salt, place->offset)) {
        return DM_SCAN_BAD;
    }
    dm_segment_note(segment, place);
    if (visitor != NULL && header.first_lsn + header.entries <= visitor->after_lsn + 1) {
        return dm_place_skip(place, &header, scan->limit) ? DM_SCAN_GOOD : DM_SCAN_BAD;
    }
    if (!dm_place_enter(place, &header, scan->limit)) {
        return DM_SCAN_BAD;
    }
    enum dm_scan_outcome outcome = DM_SCAN_GOOD;
    while (outcome == DM_SCAN_GOOD && place->batch_end != 0) {
        outcome = walk_entry(scan, segment, place, visitor);
    }
    return outcome;
}

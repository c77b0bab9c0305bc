#include "journal/tail.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "journal/scan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A bad batch at the end with nothing good behind it was being written when the machine
 * went down: nobody was told that it is durable, and it is cut. */

static_assert(DM_SCAN_SIZE % 8 == 0, "batches are looked for in steps of 8 bytes");

struct tail {
    struct dm_place last_batch; /* where the last good batch begins; batch_end 0: none */
    bool any;
    struct dm_place end;   /* behind it */
    struct dm_place wrong; /* where the scan stopped inside what follows */
};

static bool later_at(struct dm_scan *scan, const uint8_t *bytes, size_t left, uint64_t offset,
                     uint64_t salt, uint64_t number)
{
    if (dm_load_le32(bytes) != DM_BATCH_MAGIC) {
        return false;
    }
    uint8_t copy[DM_BATCH_HEADER_SIZE];
    if (left < sizeof copy) {
        /* It crosses the end of what was read: read aside, so that the scan stays where it is. */
        if (scan->disk->ops->pread(scan->disk, scan->file, copy, sizeof copy, offset) !=
            (int64_t)sizeof copy) {
            return false;
        }
        bytes = copy;
    }
    struct dm_batch_header header;
    return dm_batch_header_read(bytes, &header, salt, offset) && header.number > number;
}

/* Is there a good header of a batch after `number` anywhere from `from` on? */
static bool find_later(struct dm_scan *scan, uint64_t from, uint64_t salt, uint64_t number,
                       uint64_t *found)
{
    uint64_t offset = from;
    while (offset + DM_BATCH_HEADER_SIZE <= scan->limit) {
        uint64_t left = scan->limit - offset;
        size_t size = left < DM_SCAN_SIZE ? (size_t)(left & ~(uint64_t)7) : DM_SCAN_SIZE;
        const uint8_t *bytes = dm_scan_look(scan, offset, size);
        if (bytes == NULL) {
            return false;
        }
        for (size_t i = 0; i < size; i += 8) {
            if (later_at(scan, bytes + i, size - i, offset + i, salt, number)) {
                *found = offset + i;
                return true;
            }
        }
        offset += size;
    }
    return false;
}

static enum dm_code find_end(struct dm_scan *scan, struct dm_segment *segment, struct tail *tail,
                             struct dm_error *error)
{
    *tail = (struct tail){.end = dm_place_first(&segment->header)};
    enum dm_scan_outcome outcome = DM_SCAN_GOOD;
    while (outcome == DM_SCAN_GOOD) {
        size_t known = segment->count;
        tail->wrong = tail->end;
        outcome = dm_scan_batch(scan, segment, &tail->wrong, NULL);
        if (outcome == DM_SCAN_GOOD) {
            tail->any = true;
            tail->last_batch = tail->end;
            tail->end = tail->wrong;
        } else {
            segment->count = known;
        }
    }
    uint64_t found = 0;
    bool later = find_later(scan, tail->end.offset, segment->header.salt, tail->end.batch, &found);
    if (scan->failed != 0) {
        return dm_segment_cannot(error, "read", segment->header.number, scan->failed);
    }
    if (later) {
        char what[64];
        (void)snprintf(what, sizeof what, "there is a later batch at offset %" PRIu64, found);
        return dm_segment_damaged(error, &tail->wrong, what);
    }
    return DM_OK;
}

static void log_torn(struct dm_scan *scan, const struct dm_segment *segment,
                     const struct tail *tail)
{
    static const uint8_t zeros[DM_BATCH_HEADER_SIZE];
    const uint8_t *bytes = dm_scan_look(scan, tail->end.offset, sizeof zeros);
    if (bytes == NULL || memcmp(bytes, zeros, sizeof zeros) == 0) {
        return;
    }
    struct dm_batch_header header;
    bool known = dm_batch_header_read(bytes, &header, segment->header.salt, tail->end.offset);
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment->header.number);
    dm_log(DM_LOG_WARN, "journal cut a torn batch", DM_LOG_TEXT("file", name),
           DM_LOG_NUMBER("offset", tail->end.offset),
           DM_LOG_NUMBER("bytes", known ? sizeof zeros + header.bytes : sizeof zeros));
}

/* Zeroes what a batch may have left behind the end. */
static int clear_rest(struct dm_scan *scan, uint64_t from)
{
    uint64_t end = from + (uint64_t)DM_JOURNAL_BATCH_MAX + DM_BATCH_HEADER_SIZE;
    end = end < scan->limit ? end : scan->limit;
    uint8_t *zeros = dm_xcalloc(1, DM_SCAN_SIZE);
    int failed = 0;
    for (uint64_t offset = from; failed == 0 && offset < end;) {
        size_t size = end - offset < DM_SCAN_SIZE ? (size_t)(end - offset) : DM_SCAN_SIZE;
        const uint8_t *bytes = dm_scan_look(scan, offset, size);
        if (bytes == NULL) {
            failed = scan->failed;
        } else if (memcmp(bytes, zeros, size) != 0) {
            failed = scan->disk->ops->pwrite(scan->disk, scan->file, dm_slice(zeros, size), offset);
        }
        offset += size;
    }
    free(zeros);
    return failed;
}

/* The last batch may be in the machine's cache only: the process was killed, or a sync has failed
 * and the machine believes that it was written. So it is written again. */
static int rewrite_last(struct dm_scan *scan, const struct tail *tail)
{
    if (!tail->any) {
        return 0;
    }
    size_t size = (size_t)(tail->end.offset - tail->last_batch.offset);
    uint8_t *bytes = dm_xmalloc(size);
    int64_t got =
        scan->disk->ops->pread(scan->disk, scan->file, bytes, size, tail->last_batch.offset);
    int failed = got == (int64_t)size ? 0 : got < 0 ? (int)got : -EIO;
    if (failed == 0) {
        failed = scan->disk->ops->pwrite(scan->disk, scan->file, dm_slice(bytes, size),
                                         tail->last_batch.offset);
    }
    free(bytes);
    return failed;
}

static enum dm_code settle(struct dm_scan *scan, const struct dm_segment *segment,
                           const struct tail *tail, struct dm_error *error)
{
    log_torn(scan, segment, tail);
    int failed = clear_rest(scan, tail->end.offset);
    if (failed == 0) {
        failed = rewrite_last(scan, tail);
    }
    if (failed == 0) {
        failed = scan->disk->ops->fdatasync(scan->disk, scan->file);
    }
    if (failed == 0) {
        failed = scan->disk->ops->sync_folder(scan->disk);
    }
    return failed == 0 ? DM_OK : dm_segment_cannot(error, "settle", segment->header.number, failed);
}

enum dm_code dm_tail_settle(struct dm_disk *disk, int file, struct dm_segment *segment,
                            struct dm_place *end, struct dm_error *error)
{
    struct dm_scan scan;
    struct tail tail;
    dm_scan_init(&scan, disk, file, segment->header.size);
    enum dm_code code = find_end(&scan, segment, &tail, error);
    if (code == DM_OK) {
        code = settle(&scan, segment, &tail, error);
    }
    dm_scan_finish(&scan);
    *end = tail.end;
    return code;
}

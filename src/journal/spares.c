#include "journal/spares.h"

#include "base/assert.h"
#include "base/log.h"
#include "journal/disk.h"
#include "journal/segment.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a batch may have to wait for. */
#define SLICE_SIZE_MIN 524288UL
#define SLICE_SIZE_MAX 1048576UL

static_assert(SLICE_SIZE_MIN % DM_DISK_PAGE == 0 && SLICE_SIZE_MAX % DM_DISK_PAGE == 0,
              "zeros go to the disk in whole pages");

static void spare_name(char name[32], uint64_t number)
{
    (void)snprintf(name, 32, "spare-%" PRIu64, number);
}

static void prepare_name(char name[32], uint64_t number)
{
    (void)snprintf(name, 32, "prepare-%" PRIu64, number);
}

static void add_spare(struct dm_spares *s, uint64_t number)
{
    DM_ASSERT(s->count < DM_SPARES_MAX && number < s->next_number);
    s->ready[s->count] = number;
    s->count++;
}

/* ---- ahead of their use ------------------------------------------------------------ */

static void give_up_preparing(struct dm_spares *s, const char *name, int failed)
{
    char text[96];
    dm_log(DM_LOG_WARN, "journal could not prepare a segment", DM_LOG_TEXT("file", name),
           DM_LOG_TEXT("error", strerror_r(-failed, text, sizeof text)));
    if (s->preparing >= 0) {
        s->disk->ops->close(s->disk, s->preparing);
        s->preparing = -1;
    }
    (void)s->disk->ops->remove(s->disk, name);
    s->prepared = 0;
    s->failed = true;
}

/* A new file with its blocks reserved: a handle or -errno. */
static int create_file(struct dm_spares *s, const char *name)
{
    int file = s->disk->ops->open(s->disk, name, true);
    if (file < 0) {
        return file;
    }
    int failed = s->disk->ops->allocate(s->disk, file, s->segment_size);
    if (failed != 0) {
        s->disk->ops->close(s->disk, file);
        (void)s->disk->ops->remove(s->disk, name);
        return failed;
    }
    return file;
}

static int zero_slice(struct dm_spares *s, size_t batch_size)
{
    uint64_t left = s->segment_size - s->prepared;
    size_t size = 2 * batch_size;
    size = size < SLICE_SIZE_MIN ? SLICE_SIZE_MIN : size;
    size = size > SLICE_SIZE_MAX ? SLICE_SIZE_MAX : size;
    size = size > left ? (size_t)left : size;
    int failed = s->disk->ops->zero(s->disk, s->preparing, size, s->prepared);
    if (failed == 0) {
        s->prepared += size;
    }
    return failed;
}

bool dm_spares_prepare(struct dm_spares *s, size_t batch_size)
{
    char name[32];
    int failed = 0;
    if (s->preparing < 0) {
        s->preparing_number = s->next_number++;
        prepare_name(name, s->preparing_number);
        failed = create_file(s, name);
        if (failed < 0) {
            give_up_preparing(s, name, failed);
            return false;
        }
        s->preparing = failed;
        s->prepared = 0;
    }
    prepare_name(name, s->preparing_number);
    failed = zero_slice(s, batch_size);
    if (failed == 0 && s->prepared == s->segment_size) {
        char ready[32];
        spare_name(ready, s->preparing_number);
        failed = s->disk->ops->fdatasync(s->disk, s->preparing);
        if (failed == 0) {
            failed = s->disk->ops->rename(s->disk, name, ready);
        }
        if (failed == 0) {
            s->disk->ops->close(s->disk, s->preparing);
            s->preparing = -1;
            s->prepared = 0;
            add_spare(s, s->preparing_number);
        }
    }
    if (failed != 0) {
        give_up_preparing(s, name, failed);
        return false;
    }
    return true;
}

/* Ready when the segment in use is half full. */
bool dm_spares_behind(const struct dm_spares *s, uint64_t offset)
{
    return s->prepared < 2 * offset;
}

/* ---- becoming a segment ---------------------------------------------------------- */

/* Sets next_file and next_name, from the best that is there. */
static bool take_next(struct dm_spares *s)
{
    while (s->next_file < 0 && s->count > 0) {
        s->count--;
        spare_name(s->next_name, s->ready[s->count]);
        int file = s->disk->ops->open(s->disk, s->next_name, false);
        if (file < 0 && dm_trouble_may_pass(file)) {
            s->count++;
            return dm_trouble_note(s->trouble, DM_ORDER_FULL, "open", s->next_name, file);
        }
        s->next_file = file;
    }
    if (s->next_file >= 0) {
        return true;
    }
    if (s->preparing >= 0) {
        prepare_name(s->next_name, s->preparing_number);
        s->next_file = s->preparing;
        s->preparing = -1;
        s->prepared = 0;
        return true;
    }
    prepare_name(s->next_name, s->next_number);
    int file = create_file(s, s->next_name);
    if (file < 0) {
        return dm_trouble_write(s->trouble, "allocate", s->next_name, file);
    }
    s->next_number++;
    s->next_file = file;
    return true;
}

/* Header durable, then the name: a segment that is there has a good header. */
static bool name_next(struct dm_spares *s, const struct dm_segment_header *header)
{
    uint8_t block[DM_SEGMENT_HEADER_SIZE + DM_DISK_PAGE] = {0}; /* and no batch behind it */
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, header->number);
    dm_segment_header_write(block, header);
    int failed = s->disk->ops->pwrite(s->disk, s->next_file, dm_slice(block, sizeof block), 0);
    if (failed != 0) {
        return dm_trouble_write(s->trouble, "write", s->next_name, failed);
    }
    failed = s->disk->ops->fdatasync(s->disk, s->next_file);
    if (failed != 0) {
        return dm_trouble_note(s->trouble, DM_ORDER_FAILED, "sync", s->next_name, failed);
    }
    failed = s->disk->ops->rename(s->disk, s->next_name, name);
    if (failed != 0) {
        return dm_trouble_write(s->trouble, "rename to", name, failed);
    }
    failed = s->disk->ops->sync_folder(s->disk);
    if (failed != 0) {
        return dm_trouble_note(s->trouble, DM_ORDER_FAILED, "sync the folder of", name, failed);
    }
    return true;
}

int dm_spares_become(struct dm_spares *s, const struct dm_segment_header *header)
{
    if (!take_next(s) || !name_next(s, header)) {
        return -1;
    }
    int file = s->next_file;
    s->next_file = -1;
    s->failed = false;
    return file;
}

/* ---- dropped segments ------------------------------------------------------------- */

/* The folder is synced for each: of two removals the younger must never survive alone,
 * and a file must have lost its old name before it is written again. */
bool dm_spares_drop(struct dm_spares *s, uint64_t segment, uint64_t size, bool recycle)
{
    char name[DM_SEGMENT_NAME_SIZE];
    char spare[32];
    dm_segment_name(name, segment);
    bool keep = recycle && size == s->segment_size && s->count < DM_SPARES_MAX;
    if (keep) {
        spare_name(spare, s->next_number);
    }
    int failed =
        keep ? s->disk->ops->rename(s->disk, name, spare) : s->disk->ops->remove(s->disk, name);
    if (failed != 0 && failed != -ENOENT) {
        dm_log(DM_LOG_WARN, "journal could not drop a segment", DM_LOG_TEXT("file", name),
               DM_LOG_NUMBER("errno", -failed));
        return false;
    }
    failed = s->disk->ops->sync_folder(s->disk);
    if (failed != 0) {
        return dm_trouble_note(s->trouble, DM_ORDER_FAILED, "sync the folder of", name, failed);
    }
    if (keep) {
        s->next_number++;
        add_spare(s, s->next_number - 1);
    }
    s->failed = false;
    return true;
}

/* ---- what a start finds -------------------------------------------------------------- */

static bool usable(struct dm_spares *s, const char *name)
{
    int file = s->disk->ops->open(s->disk, name, false);
    if (file < 0) {
        return false;
    }
    int64_t size = s->disk->ops->size(s->disk, file);
    s->disk->ops->close(s->disk, file);
    return size >= 0 && (uint64_t)size == s->segment_size;
}

static void note_number(struct dm_spares *s, uint64_t number)
{
    if (number >= s->next_number) {
        s->next_number = number + 1;
    }
}

void dm_spares_adopt(struct dm_spares *s, uint64_t number)
{
    char name[32];
    spare_name(name, number);
    note_number(s, number);
    if (s->count < DM_SPARES_MAX && usable(s, name)) {
        add_spare(s, number);
    } else {
        (void)s->disk->ops->remove(s->disk, name);
    }
}

void dm_spares_discard(struct dm_spares *s, uint64_t number)
{
    char name[32];
    prepare_name(name, number);
    note_number(s, number);
    (void)s->disk->ops->remove(s->disk, name);
}

void dm_spares_init(struct dm_spares *s, struct dm_disk *disk, struct dm_trouble *trouble,
                    uint64_t segment_size)
{
    *s = (struct dm_spares){
        .disk = disk,
        .trouble = trouble,
        .segment_size = segment_size,
        .next_file = -1,
        .preparing = -1,
        .next_number = 1,
    };
}

void dm_spares_finish(struct dm_spares *s)
{
    const int files[] = {s->next_file, s->preparing};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] >= 0) {
            s->disk->ops->close(s->disk, files[i]);
        }
    }
}

#include "journal/writer.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

/* The file that becomes the next segment: made, allocated and zeroed ahead of its use, in
 * small pieces, so that no batch waits for it. */

/* Of a file being prepared: what a batch may have to wait for. Larger where batches are,
 * to keep pace with them. */
#define SLICE_SIZE_MIN 524288UL
#define SLICE_SIZE_MAX 1048576UL

void dm_writer_spare_name(char name[32], uint64_t number)
{
    (void)snprintf(name, 32, "spare-%" PRIu64, number);
}

static void prepare_name(char name[32], uint64_t number)
{
    (void)snprintf(name, 32, "prepare-%" PRIu64, number);
}

static void give_up_preparing(struct dm_writer *w, const char *name, int failed)
{
    char text[96];
    dm_log(DM_LOG_WARN, "journal could not prepare a segment", DM_LOG_TEXT("file", name),
           DM_LOG_TEXT("error", strerror_r(-failed, text, sizeof text)));
    if (w->preparing >= 0) {
        w->disk->ops->close(w->disk, w->preparing);
        w->preparing = -1;
    }
    (void)w->disk->ops->remove(w->disk, name);
    w->prepared = 0;
    w->prepare_failed = true;
}

/* A new file with its blocks reserved: a handle or -errno. */
static int create_file(struct dm_writer *w, const char *name)
{
    int file = w->disk->ops->open(w->disk, name, true);
    if (file < 0) {
        return file;
    }
    int failed = w->disk->ops->allocate(w->disk, file, w->segment_size);
    if (failed != 0) {
        w->disk->ops->close(w->disk, file);
        (void)w->disk->ops->remove(w->disk, name);
        return failed;
    }
    return file;
}

static int zero_slice(struct dm_writer *w)
{
    uint64_t left = w->segment_size - w->prepared;
    size_t size = 2 * atomic_load_explicit(&w->batch_size, memory_order_relaxed);
    size = size < SLICE_SIZE_MIN ? SLICE_SIZE_MIN : size;
    size = size > SLICE_SIZE_MAX ? SLICE_SIZE_MAX : size;
    size = size > left ? (size_t)left : size;
    int failed = w->disk->ops->zero(w->disk, w->preparing, size, w->prepared);
    if (failed == 0) {
        w->prepared += size;
    }
    return failed;
}

/* One slice of work on a file ahead of its use. Its failures cost speed only. */
bool dm_writer_prepare(struct dm_writer *w)
{
    char name[32];
    int failed = 0;
    if (w->preparing < 0) {
        w->preparing_number = w->next_number++;
        prepare_name(name, w->preparing_number);
        failed = create_file(w, name);
        if (failed < 0) {
            give_up_preparing(w, name, failed);
            return false;
        }
        w->preparing = failed;
        w->prepared = 0;
    }
    prepare_name(name, w->preparing_number);
    failed = zero_slice(w);
    if (failed == 0 && w->prepared == w->segment_size) {
        char ready[32];
        dm_writer_spare_name(ready, w->preparing_number);
        failed = w->disk->ops->fdatasync(w->disk, w->preparing);
        if (failed == 0) {
            failed = w->disk->ops->rename(w->disk, name, ready);
        }
        if (failed == 0) {
            w->disk->ops->close(w->disk, w->preparing);
            w->preparing = -1;
            w->prepared = 0;
            w->spares[w->spare_count++] = w->preparing_number;
        }
    }
    if (failed != 0) {
        give_up_preparing(w, name, failed);
        return false;
    }
    return true;
}

bool dm_writer_wants_spare(const struct dm_writer *w)
{
    return w->spare_count == 0 && w->next_file < 0 && !w->prepare_failed && w->file >= 0;
}

/* Ready when the segment in use is half full. */
bool dm_writer_behind(const struct dm_writer *w)
{
    return w->prepared < 2 * atomic_load_explicit(&w->offset, memory_order_relaxed);
}

/* Sets next_file and next_name, from the best that is there. */
bool dm_writer_take_next(struct dm_writer *w)
{
    while (w->next_file < 0 && w->spare_count > 0) {
        w->spare_count--;
        dm_writer_spare_name(w->next_name, w->spares[w->spare_count]);
        int file = w->disk->ops->open(w->disk, w->next_name, false);
        if (file < 0 && dm_writer_may_pass(file)) {
            w->spare_count++;
            return dm_writer_trouble(w, DM_ORDER_FULL, "open", w->next_name, file);
        }
        w->next_file = file;
    }
    if (w->next_file >= 0) {
        return true;
    }
    if (w->preparing >= 0) {
        prepare_name(w->next_name, w->preparing_number);
        w->next_file = w->preparing;
        w->preparing = -1;
        w->prepared = 0;
        return true;
    }
    prepare_name(w->next_name, w->next_number);
    int file = create_file(w, w->next_name);
    if (file < 0) {
        return dm_writer_write_trouble(w, "allocate", w->next_name, file);
    }
    w->next_number++;
    w->next_file = file;
    return true;
}

#include "journal/writer.h"

#include "base/assert.h"
#include "base/log.h"
#include "journal/age.h"
#include "journal/segment.h"

#include <errno.h>

/* What the writer does for retention: it drops segments that are needed no more, and notes
 * how old the journal is. */

/* The folder is synced for each: of two removals the younger must never survive alone,
 * and a file must have lost its old name before it is written again. */
static bool recycle(struct dm_writer *w, const struct dm_retired *retired)
{
    char name[DM_SEGMENT_NAME_SIZE];
    char spare[32];
    dm_segment_name(name, retired->number);
    bool keep =
        retired->recycle && retired->size == w->segment_size && w->spare_count < DM_SPARES_MAX;
    if (keep) {
        dm_writer_spare_name(spare, w->next_number);
    }
    int failed =
        keep ? w->disk->ops->rename(w->disk, name, spare) : w->disk->ops->remove(w->disk, name);
    if (failed != 0 && failed != -ENOENT) {
        dm_log(DM_LOG_WARN, "journal could not drop a segment", DM_LOG_TEXT("file", name),
               DM_LOG_NUMBER("errno", -failed));
        return false;
    }
    failed = w->disk->ops->sync_folder(w->disk);
    if (failed != 0) {
        return dm_writer_trouble(w, DM_ORDER_FAILED, "sync the folder of", name, failed);
    }
    if (keep) {
        w->spares[w->spare_count++] = w->next_number++;
    }
    w->prepare_failed = false;
    return true;
}

bool dm_writer_recycle(struct dm_writer *w)
{
    bool did = false;
    (void)pthread_mutex_lock(&w->mutex);
    while (w->retired_count > 0) {
        struct dm_retired retired = w->retired[0];
        (void)pthread_mutex_unlock(&w->mutex);
        bool gone = recycle(w, &retired);
        (void)pthread_mutex_lock(&w->mutex);
        if (!gone) {
            break;
        }
        did = true;
        w->retired_count--;
        memmove(w->retired, w->retired + 1, w->retired_count * sizeof *w->retired);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return did;
}

bool dm_writer_note_age(struct dm_writer *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    int64_t age_ms = w->age_ms;
    bool wanted = age_ms > w->age_kept_ms;
    w->age_kept_ms = age_ms; /* also if it fails: the next time comes */
    (void)pthread_mutex_unlock(&w->mutex);
    int failed = wanted ? dm_age_write(w->disk, age_ms) : 0;
    if (failed != 0) {
        dm_log(DM_LOG_WARN, "journal could not note its age", DM_LOG_NUMBER("errno", -failed));
    }
    return wanted;
}

void dm_writer_keep_age(struct dm_writer *w, int64_t age_ms)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->age_ms = age_ms;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->mutex);
}

void dm_writer_retire(struct dm_writer *w, const struct dm_retired *retired)
{
    (void)pthread_mutex_lock(&w->mutex);
    if (w->retired_count == w->retired_capacity) {
        w->retired_capacity = w->retired_capacity == 0 ? 8 : w->retired_capacity * 2;
        w->retired = dm_xrealloc(w->retired, w->retired_capacity * sizeof *w->retired);
    }
    w->retired[w->retired_count] = *retired;
    w->retired_count++;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->mutex);
}

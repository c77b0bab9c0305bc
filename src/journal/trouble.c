#include "journal/trouble.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/process.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void dm_trouble_init(struct dm_trouble *t)
{
    *t = (struct dm_trouble){.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    (void)pthread_mutex_init(&t->mutex, NULL);
}

void dm_trouble_finish(struct dm_trouble *t)
{
    if (t->event >= 0) {
        (void)close(t->event);
    }
    (void)pthread_mutex_destroy(&t->mutex);
}

void dm_trouble_error(struct dm_trouble *t, struct dm_error *error)
{
    (void)pthread_mutex_lock(&t->mutex);
    *error = t->error;
    (void)pthread_mutex_unlock(&t->mutex);
}

void dm_trouble_ring(struct dm_trouble *t)
{
    (void)eventfd_write(t->event, 1);
}

bool dm_trouble_may_pass(int failed)
{
    return failed == -ENOSPC || failed == -EDQUOT || failed == -EMFILE || failed == -ENFILE ||
           failed == -ENOMEM || failed == -EFBIG;
}

/* Owner and thread may both have something to tell: what is worse stays. true: it is news. */
static bool worsen(struct dm_trouble *t, enum dm_order_state state, const struct dm_error *error)
{
    (void)pthread_mutex_lock(&t->mutex);
    enum dm_order_state before = dm_trouble_state(t);
    bool news = before != DM_ORDER_FAILED && before != state;
    if (before != DM_ORDER_FAILED) {
        t->error = *error;
        atomic_store_explicit(&t->state, (int)state, memory_order_release);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    return news;
}

bool dm_trouble_note(struct dm_trouble *t, enum dm_order_state state, const char *what,
                     const char *name, int failed)
{
    DM_ASSERT(state != DM_ORDER_OK && failed < 0);
    char text[96];
    const char *why =
        failed == -EFBIG ? DM_FILE_CAPPED_SENTENCE : strerror_r(-failed, text, sizeof text);
    struct dm_error error;
    dm_fail(&error, DM_UNAVAILABLE, "the journal cannot %s %s: %s", what, name, why);
    if (worsen(t, state, &error)) {
        dm_log(DM_LOG_ERROR, state == DM_ORDER_FULL ? "journal full" : "journal failed",
               DM_LOG_TEXT("operation", what), DM_LOG_TEXT("file", name),
               DM_LOG_TEXT("error", why));
        dm_trouble_ring(t);
    }
    return false;
}

bool dm_trouble_write(struct dm_trouble *t, const char *what, const char *name, int failed)
{
    return dm_trouble_note(t, dm_trouble_may_pass(failed) ? DM_ORDER_FULL : DM_ORDER_FAILED, what,
                           name, failed);
}

bool dm_trouble_over(struct dm_trouble *t)
{
    int full = DM_ORDER_FULL;
    return atomic_compare_exchange_strong_explicit(&t->state, &full, (int)DM_ORDER_OK,
                                                   memory_order_acq_rel, memory_order_acquire);
}

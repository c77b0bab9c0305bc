#include "base/log_id.h"

#include "base/assert.h"

#include <string.h>
#include <sys/random.h>

struct dm_log_id dm_log_id_make(void)
{
    struct dm_log_id id = {0};
    while (!dm_log_id_known(&id)) {
        /* So few bytes always come at once and whole; only before the machine has any entropy
         * does the call wait. */
        ssize_t size = getrandom(&id, sizeof id, 0);
        DM_ASSERT(size == (ssize_t)sizeof id);
    }
    return id;
}

bool dm_log_id_known(const struct dm_log_id *id)
{
    static const struct dm_log_id none;
    return !dm_log_id_equal(id, &none);
}

bool dm_log_id_equal(const struct dm_log_id *a, const struct dm_log_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

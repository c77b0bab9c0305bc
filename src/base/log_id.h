#ifndef DM_BASE_LOG_ID_H
#define DM_BASE_LOG_ID_H

#include <stdbool.h>
#include <stdint.h>

/* What tells one log from another: 16 random bytes, made together with the log and kept by
 * everything that was made from it. All zero: not known (it was made before there were ids). */
struct dm_log_id {
    uint8_t bytes[16];
};

struct dm_log_id dm_log_id_make(void); /* from getrandom; never all zero */
bool dm_log_id_known(const struct dm_log_id *id);
bool dm_log_id_equal(const struct dm_log_id *a, const struct dm_log_id *b);

#endif

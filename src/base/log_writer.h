#ifndef DM_BASE_LOG_WRITER_H
#define DM_BASE_LOG_WRITER_H

#include "base/log.h"

#include <stddef.h>

/* Where lines go: log.c makes them, the writer gets them out. Only for log.c. */

/* Queues a line that ends in a newline; without a thread, writes it. Never waits then for
 * more than a moment's copying. `important`: may use the last room. */
void dm_log_put(const char *line, size_t size, bool important);
void dm_log_set_level(enum dm_log_level min);
enum dm_log_level dm_log_configured_level(void);

#endif

#ifndef DM_RPC_TASK_H
#define DM_RPC_TASK_H

#include "rpc/state.h"

/* Calls that take more than one turn. */

/* What steps cost, in units of about a nanosecond, so that one turn's sum of steps is
 * bounded whatever they are made of: DM_TURN_BUDGET is some two milliseconds. */
#define DM_TURN_BUDGET ((size_t)2 * 1024 * 1024)
/* The most that one step may take of it, so that many take turns. */
#define DM_STEP_BUDGET ((size_t)256 * 1024)

#define DM_COST_STEP 256    /* any step at all */
#define DM_COST_SCAN 256    /* an entry of a scan */
#define DM_COST_MUTATE 1024 /* one contact changed or read */
#define DM_COST_EVENT 512   /* an event encoded and sent */

/* Memory that one contact or event of a page takes while the answer is gathered: two places
 * in a scan, and itself encoded. */
#define DM_ENTRY_MEMORY ((size_t)512)

/* Memory of tasks, and of the answers that they gather, is counted: RESOURCE_EXHAUSTED past
 * DM_ANSWERS_PENDING_MAX, and past DM_TASKS_PER_CONNECTION_MAX of one sink. */
enum dm_code dm_task_reserve(struct dm_rpc *rpc, struct dm_sink *sink, size_t bytes,
                             struct dm_error *error);
void dm_task_release(struct dm_rpc *rpc, struct dm_sink *sink, size_t bytes);

/* Gives every task that can go on a step, within a turn's budget. True: one at least ran. */
bool dm_tasks_turn(struct dm_rpc *rpc);
void dm_tasks_wake_all(struct dm_rpc *rpc);
/* In how many milliseconds tasks want another turn; -1: when something happens. */
int dm_tasks_next_ms(const struct dm_rpc *rpc);

#endif

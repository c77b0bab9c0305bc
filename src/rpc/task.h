#ifndef DM_RPC_TASK_H
#define DM_RPC_TASK_H

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

#endif

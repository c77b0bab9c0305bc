#ifndef DM_CLI_VERDICT_H
#define DM_CLI_VERDICT_H

#include <dormouse/message.h>

/* What an import makes of a row, from the contact as it is now. Pure.
 *
 * An import may overwrite what was there when it began, and what its own rows made of a
 * contact, and nothing else. Both are known by event numbers: they are one order over the
 * whole server, so no clocks are compared. */

enum dm_verdict {
    DM_VERDICT_APPLY, /* set it, if the contact still has this revision */
    DM_VERDICT_SAME,  /* the contact is already as the row wants it */
    DM_VERDICT_ASK,   /* the contact has an event that this import does not know: a run before
                         may have applied this row and died before it could note it. The server
                         knows by the row's request id. */
    DM_VERDICT_SKIP,  /* somebody else changed the contact since: theirs stays */
};

/* What is known of the contact. */
struct dm_known {
    uint64_t after_seq; /* the last event of the whole server when the import first began */
    bool has_own;
    uint64_t own_seq; /* the contact's newest event after a row of this import wrote to it */
    bool asked;       /* the server does not know the row's request id */
};

/* What the server would say to a row that is to be applied, for a dry run: NULL, or why it would
 * refuse, with its code. What only the server knows (a full disk) is not foreseen. */
const char *dm_verdict_refusal(const struct dormouse_change *change,
                               const struct dormouse_contact *contact, int64_t now_ms, int *code);

enum dm_verdict dm_verdict(const struct dormouse_change *change,
                           const struct dormouse_contact *contact, const struct dm_known *known);

#endif

#ifndef DM_CORE_RULES_H
#define DM_CORE_RULES_H

#include "core/draft.h"

/* Inside core only: lets an automatic rule do what it may with the draft's contact. */
void dm_rule_apply(struct dm_draft *draft, const struct dm_rule *rule, struct dm_cause cause);

#endif

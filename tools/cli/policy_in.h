#ifndef DM_CLI_POLICY_IN_H
#define DM_CLI_POLICY_IN_H

#include "cli/out.h"

enum { DM_POLICY_RULES_MAX = 16 };

/* A policy as it is put together: its rules and texts are in here. */
struct dm_policy_draft {
    struct dormouse_policy policy; /* points to what follows: a draft is not to be moved */
    const struct dormouse_rule *pointers[DM_POLICY_RULES_MAX];
    struct dormouse_rule rules[DM_POLICY_RULES_MAX], on_limit;
    bool has_revision; /* the JSON named one */
    struct dm_buf text;
    char error[320]; /* what was wrong */
};

/* An empty policy. */
void dm_policy_draft_init(struct dm_policy_draft *draft);
/* Copies what the server answered. false: more rules than fit. */
bool dm_policy_draft_copy(struct dm_policy_draft *draft, const struct dormouse_policy *policy);
/* Reads a Policy as `policy get --json` writes it. false: draft->error says what is wrong. */
bool dm_policy_draft_json(struct dm_policy_draft *draft, struct dm_slice json);
/* "snooze:2h:extend", "deactivate:lock", "none", "activate". false: draft->error. */
bool dm_policy_rule_parse(struct dm_policy_draft *draft, struct dormouse_text text,
                          struct dormouse_rule *rule);
/* "manual_message=snooze:2h"; takes the place of that activity's rule. false: draft->error. */
bool dm_policy_draft_rule(struct dm_policy_draft *draft, struct dormouse_text text);
void dm_policy_draft_finish(struct dm_policy_draft *draft);

#endif

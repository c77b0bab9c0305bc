#include "rpc/handlers.h"

#include "base/assert.h"
#include "core/ident.h"
#include "rpc/call.h"
#include "rpc/convert.h"

#include <stdio.h>

/* GetPolicy and SetPolicy. A policy is shown with its defaults filled in, one rule for
 * each activity that takes one; what is shown can be set again. */

/* ---- out ------------------------------------------------------------------------------ */

static dormouse_v1_Rule rule_message(const struct dm_rule *rule, int activity)
{
    return (dormouse_v1_Rule){
        .on = (dormouse_v1_Activity)activity,
        .action = (dormouse_v1_Action)rule->action,
        .has_snooze_for = rule->action == DM_ACTION_SNOOZE,
        .snooze_for = dm_duration(rule->snooze_ms),
        .repeat = (dormouse_v1_Repeat)rule->repeat,
        .lock = rule->lock,
    };
}

static bool write_rules(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct dm_policy *policy = *arg;
    for (int i = 1; i < DM_ACTIVITY_COUNT; i++) {
        if (i == DM_ACTIVITY_BOT_MESSAGE) {
            continue; /* on_limit is for these */
        }
        dormouse_v1_Rule rule = rule_message(&policy->rules[i], i);
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_submessage(stream, dormouse_v1_Rule_fields, &rule)) {
            return false;
        }
    }
    return true;
}

static void answer(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_slice account_id,
                   struct dm_slice bot_id, const struct dm_policy *policy)
{
    dormouse_v1_Policy response = {
        .account_id = account_id,
        .bot_id = bot_id,
        .mode = (dormouse_v1_Mode)policy->mode,
        .rules = {.funcs.encode = write_rules, .arg = (void *)policy},
        .message_limit = policy->message_limit,
        .has_on_limit = true,
        .on_limit = rule_message(&policy->on_limit, DM_ACTIVITY_UNSPECIFIED),
        .has_max_snooze = policy->max_snooze_ms != 0,
        .max_snooze = dm_duration(policy->max_snooze_ms),
        .revision = policy->revision,
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_Policy_fields, &response));
}

/* ---- in -------------------------------------------------------------------------------- */

/* The rules as they are decoded; the first error counts. */
struct rules_in {
    struct dm_policy *policy;
    int8_t names[DM_ACTIVITY_COUNT]; /* index in the request; -1: a default */
    int index;
    enum dm_code code;
    struct dm_error *error;
};

static enum dm_code rule_read(const dormouse_v1_Rule *message, const char *field,
                              struct dm_rule *rule, struct dm_error *error)
{
    *rule = (struct dm_rule){
        .action = dm_enum8((int64_t)message->action),
        .repeat = message->repeat == dormouse_v1_Repeat_REPEAT_UNSPECIFIED
                      ? (uint8_t)DM_REPEAT_EXTEND
                      : dm_enum8((int64_t)message->repeat),
        .lock = message->lock,
    };
    return message->has_snooze_for
               ? dm_duration_ms(&message->snooze_for, field, &rule->snooze_ms, error)
               : DM_OK;
}

static enum dm_code rule_take(struct rules_in *in, const dormouse_v1_Rule *message)
{
    char field[48];
    uint8_t activity = dm_enum8((int64_t)message->on);
    if (activity == DM_ACTIVITY_UNSPECIFIED || activity >= DM_ACTIVITY_COUNT) {
        return dm_fail(in->error, DM_INVALID_ARGUMENT,
                       "policy.rules[%d].on: %d is not an Activity; say on which the rule acts",
                       in->index, activity);
    }
    if (in->names[activity] >= 0) {
        return dm_fail(in->error, DM_INVALID_ARGUMENT,
                       "policy.rules[%d].on: rules[%d] is about this activity already; give one "
                       "rule for each",
                       in->index, in->names[activity]);
    }
    DM_ASSERT(in->index < DM_ACTIVITY_COUNT); /* each rule before it was of another activity */
    in->names[activity] = (int8_t)in->index;
    in->policy->explicit_rules |= (uint16_t)(1U << activity);
    (void)snprintf(field, sizeof field, "policy.rules[%d].snooze_for", in->index);
    return rule_read(message, field, &in->policy->rules[activity], in->error);
}

static bool read_rule(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct rules_in *in = *arg;
    dormouse_v1_Rule message = {0};
    if (!pb_decode(stream, dormouse_v1_Rule_fields, &message)) {
        return false;
    }
    if (in->code == DM_OK) {
        in->code = rule_take(in, &message);
    }
    in->index++;
    return true;
}

static enum dm_code policy_read(const dormouse_v1_Policy *message, struct rules_in *rules,
                                struct dm_error *error)
{
    struct dm_policy *policy = rules->policy;
    if (rules->code != DM_OK) {
        return rules->code;
    }
    if (message->mode != dormouse_v1_Mode_MODE_UNSPECIFIED) {
        policy->mode = dm_enum8((int64_t)message->mode);
    }
    policy->message_limit = message->message_limit;
    if (message->has_on_limit) {
        policy->explicit_on_limit = true;
        if (rule_read(&message->on_limit, "policy.on_limit.snooze_for", &policy->on_limit, error) !=
            DM_OK) {
            return error->code;
        }
    }
    if (message->has_max_snooze && dm_duration_ms(&message->max_snooze, "policy.max_snooze",
                                                  &policy->max_snooze_ms, error) != DM_OK) {
        return error->code;
    }
    return dm_policy_check(policy, rules->names, error);
}

static enum dm_code ids_check(struct dm_slice account_id, const char *account_field,
                              struct dm_slice bot_id, const char *bot_field, struct dm_error *error)
{
    enum dm_code code = dm_id_check(account_id, account_field, error);
    return code != DM_OK ? code : dm_text_check(bot_id, DM_ID_SIZE_MAX, bot_field, error);
}

/* ---- the methods ------------------------------------------------------------------------ */

void dm_handle_bot_status_get_policy(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_GetPolicyRequest request = {0};
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_GetPolicyRequest_fields, &request, &error) !=
            DM_OK ||
        ids_check(request.account_id, "account_id", request.bot_id, "bot_id", &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_policy policy;
    dm_engine_policy(rpc->engine, request.account_id, request.bot_id, &policy);
    answer(rpc, in, request.account_id, request.bot_id, &policy);
}

static enum dm_code set_read(const struct dm_inbound *in, dormouse_v1_SetPolicyRequest *request,
                             struct rules_in *rules, struct dm_error *error)
{
    request->policy.rules = (pb_callback_t){.funcs.decode = read_rule, .arg = rules};
    if (dm_decode(in, in->payload, dormouse_v1_SetPolicyRequest_fields, request, error) != DM_OK) {
        return error->code;
    }
    return request->has_policy
               ? DM_OK
               : dm_fail(error, DM_INVALID_ARGUMENT, "policy: is missing; say what to set");
}

void dm_handle_bot_status_set_policy(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_policy policy = *dm_policy_default();
    struct dm_error error;
    struct rules_in rules = {.policy = &policy, .error = &error};
    memset(rules.names, -1, sizeof rules.names);
    dormouse_v1_SetPolicyRequest request = {0};
    const dormouse_v1_Policy *asked = &request.policy;
    if (set_read(in, &request, &rules, &error) != DM_OK ||
        ids_check(asked->account_id, "policy.account_id", asked->bot_id, "policy.bot_id", &error) !=
            DM_OK ||
        policy_read(asked, &rules, &error) != DM_OK ||
        dm_engine_set_policy(rpc->engine, asked->account_id, asked->bot_id, &policy,
                             request.has_if_revision, request.if_revision, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    answer(rpc, in, asked->account_id, asked->bot_id, &policy);
}

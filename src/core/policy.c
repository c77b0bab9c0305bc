#include "core/policy.h"

#include "base/assert.h"
#include "base/limits.h"
#include "core/codec.h"

#include <stdio.h>

#define HOUR_MS (3600LL * 1000)

#define RULE_NONE                                            \
    {                                                        \
        .action = DM_ACTION_NONE, .repeat = DM_REPEAT_EXTEND \
    }
#define RULE_SNOOZE(ms)                                                           \
    {                                                                             \
        .action = DM_ACTION_SNOOZE, .repeat = DM_REPEAT_EXTEND, .snooze_ms = (ms) \
    }

static const struct dm_policy default_policy = {
    .mode = DM_MODE_AUTO_PILOT,
    .rules =
        {
            [DM_ACTIVITY_INBOUND_MESSAGE] = RULE_NONE,
            [DM_ACTIVITY_BOT_MESSAGE] = RULE_NONE,
            [DM_ACTIVITY_MANUAL_MESSAGE] = RULE_SNOOZE(2 * HOUR_MS),
            [DM_ACTIVITY_WORKFLOW_MESSAGE] = RULE_SNOOZE(2 * HOUR_MS),
            /* with EXTEND it ends nothing but what the message limit had silenced */
            [DM_ACTIVITY_CONVERSATION_READ] = {.action = DM_ACTION_ACTIVATE,
                                               .repeat = DM_REPEAT_EXTEND},
            [DM_ACTIVITY_STOP_KEYWORD] = {.action = DM_ACTION_DEACTIVATE,
                                          .repeat = DM_REPEAT_EXTEND,
                                          .lock = true},
            [DM_ACTIVITY_HANDOVER_REQUESTED] = {.action = DM_ACTION_DEACTIVATE,
                                                .repeat = DM_REPEAT_EXTEND},
            [DM_ACTIVITY_APPOINTMENT_BOOKED] = RULE_NONE,
        },
    .on_limit = RULE_SNOOZE(24 * HOUR_MS),
};

const struct dm_policy *dm_policy_default(void)
{
    return &default_policy;
}

static bool snooze_in_range(int64_t ms)
{
    return ms >= DM_SNOOZE_MS_MIN && ms <= DM_SNOOZE_MS_MAX;
}

static enum dm_code rule_check(const struct dm_rule *rule, const char *field,
                               struct dm_error *error)
{
    if (rule->action < DM_ACTION_NONE || rule->action > DM_ACTION_ACTIVATE) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.action: %d is not an Action; use ACTION_NONE, ACTION_SNOOZE, "
                       "ACTION_DEACTIVATE or ACTION_ACTIVATE",
                       field, rule->action);
    }
    if (rule->repeat < DM_REPEAT_EXTEND || rule->repeat > DM_REPEAT_REPLACE) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.repeat: %d is not a Repeat; use REPEAT_EXTEND, REPEAT_KEEP or "
                       "REPEAT_REPLACE",
                       field, rule->repeat);
    }
    if (rule->action == DM_ACTION_SNOOZE && !snooze_in_range(rule->snooze_ms)) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.snooze_for: ACTION_SNOOZE needs 1 s to 366 days, this is %lld ms", field,
                       (long long)rule->snooze_ms);
    }
    if (rule->action != DM_ACTION_SNOOZE && rule->snooze_ms != 0) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.snooze_for: only ACTION_SNOOZE takes a time; leave it out", field);
    }
    if (rule->action != DM_ACTION_DEACTIVATE && rule->lock) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.lock: an opt-out goes with ACTION_DEACTIVATE; leave lock out", field);
    }
    return DM_OK;
}

static enum dm_code activity_rule_check(const struct dm_rule *rule, int activity, int index,
                                        struct dm_error *error)
{
    char field[32] = "policy.rules";
    if (index >= 0) {
        (void)snprintf(field, sizeof field, "policy.rules[%d]", index);
    }
    enum dm_code code = rule_check(rule, field, error);
    if (code == DM_OK && activity == DM_ACTIVITY_BOT_MESSAGE && rule->action != DM_ACTION_NONE) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.on: ACTIVITY_BOT_MESSAGE takes no rule; use message_limit and on_limit",
                       field);
    }
    return code;
}

enum dm_code dm_policy_check(const struct dm_policy *policy, const int8_t names[DM_ACTIVITY_COUNT],
                             struct dm_error *error)
{
    if (policy->mode < DM_MODE_OFF || policy->mode > DM_MODE_AUTO_PILOT) {
        return dm_fail(
            error, DM_INVALID_ARGUMENT,
            "policy.mode: %d is not a Mode; use MODE_OFF, MODE_SUGGESTIVE or MODE_AUTO_PILOT",
            policy->mode);
    }
    for (int i = 1; i < DM_ACTIVITY_COUNT; i++) {
        int index = names != NULL ? names[i] : -1;
        enum dm_code code = activity_rule_check(&policy->rules[i], i, index, error);
        if (code != DM_OK) {
            return code;
        }
    }
    enum dm_code code = rule_check(&policy->on_limit, "policy.on_limit", error);
    if (code != DM_OK) {
        return code;
    }
    if (policy->on_limit.action == DM_ACTION_ACTIVATE) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "policy.on_limit.action: the limit silences the bot, ACTION_ACTIVATE "
                       "cannot; use ACTION_SNOOZE, ACTION_DEACTIVATE or ACTION_NONE");
    }
    if (policy->max_snooze_ms != 0 && !snooze_in_range(policy->max_snooze_ms)) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "policy.max_snooze: must be 1 s to 366 days, this is %lld ms; leave it out "
                       "for no cap",
                       (long long)policy->max_snooze_ms);
    }
    return DM_OK;
}

/* The bytes of a policy, all little-endian: u8 version, u8 mode, u16 explicit rules
 * (a bit per activity; bit 0, which no activity has, is on_limit), u32
 * message_limit, i64 max_snooze_ms, u64 revision; then the rules by activity from 1
 * on, then on_limit, each u8 action, u8 repeat, u8 lock, u8 reserved (0), i64
 * snooze_ms. */
enum { RULE_SIZE = 12, POLICY_HEAD_SIZE = 24 };
_Static_assert(DM_POLICY_SIZE == POLICY_HEAD_SIZE + DM_ACTIVITY_COUNT * RULE_SIZE,
               "a rule for each activity, and on_limit");
_Static_assert(DM_ACTIVITY_COUNT <= 16, "a bit for each activity");
_Static_assert(DM_RULES_MAX >= DM_ACTIVITY_COUNT - 1, "a rule for each activity can be sent");
enum { VERSION = 1, EXPLICIT_ON_LIMIT = 1, EXPLICIT_ALL = (1 << DM_ACTIVITY_COUNT) - 1 };

static void put_rule(uint8_t **at, const struct dm_rule *rule)
{
    dm_put8(at, rule->action);
    dm_put8(at, rule->repeat);
    dm_put8(at, rule->lock ? 1 : 0);
    dm_put8(at, 0);
    dm_put64(at, (uint64_t)rule->snooze_ms);
}

size_t dm_policy_encode(const struct dm_policy *policy, uint8_t out[DM_POLICY_SIZE])
{
    uint8_t *at = out;
    dm_put8(&at, VERSION);
    dm_put8(&at, policy->mode);
    dm_put16(&at, (uint16_t)((policy->explicit_rules & EXPLICIT_ALL & ~EXPLICIT_ON_LIMIT) |
                             (policy->explicit_on_limit ? EXPLICIT_ON_LIMIT : 0)));
    dm_put32(&at, policy->message_limit);
    dm_put64(&at, (uint64_t)policy->max_snooze_ms);
    dm_put64(&at, policy->revision);
    for (int i = 1; i < DM_ACTIVITY_COUNT; i++) {
        put_rule(&at, &policy->rules[i]);
    }
    put_rule(&at, &policy->on_limit);
    DM_ASSERT(at - out == DM_POLICY_SIZE);
    return DM_POLICY_SIZE;
}

static bool get_rule(const uint8_t **at, struct dm_rule *rule)
{
    rule->action = dm_get8(at);
    rule->repeat = dm_get8(at);
    uint8_t lock = dm_get8(at);
    rule->lock = lock == 1;
    uint8_t reserved = dm_get8(at);
    rule->snooze_ms = (int64_t)dm_get64(at);
    return lock <= 1 && reserved == 0;
}

bool dm_policy_decode(struct dm_policy *policy, struct dm_slice bytes)
{
    if (bytes.size != DM_POLICY_SIZE) {
        return false;
    }
    const uint8_t *at = bytes.data;
    uint8_t version = dm_get8(&at);
    policy->mode = dm_get8(&at);
    uint16_t explicit_bits = dm_get16(&at);
    policy->explicit_rules = (uint16_t)(explicit_bits & ~EXPLICIT_ON_LIMIT);
    policy->explicit_on_limit = (explicit_bits & EXPLICIT_ON_LIMIT) != 0;
    policy->message_limit = dm_get32(&at);
    policy->max_snooze_ms = (int64_t)dm_get64(&at);
    policy->revision = dm_get64(&at);
    policy->rules[DM_ACTIVITY_UNSPECIFIED] = (struct dm_rule){0};
    if (version != VERSION || (explicit_bits & ~EXPLICIT_ALL) != 0) {
        return false;
    }
    for (int i = 1; i < DM_ACTIVITY_COUNT; i++) {
        if (!get_rule(&at, &policy->rules[i])) {
            return false;
        }
    }
    return get_rule(&at, &policy->on_limit) && dm_policy_check(policy, NULL, NULL) == DM_OK;
}

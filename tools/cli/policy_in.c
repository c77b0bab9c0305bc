#include "cli/policy_in.h"

#include "cli/when.h"
#include "cli/words.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>

__attribute__((format(printf, 2, 3))) static bool fail(struct dm_policy_draft *draft,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(draft->error, sizeof draft->error, format, arguments);
    va_end(arguments);
    return false;
}

/* Both texts in one piece of memory, so that neither moves. */
static void keep_texts(struct dm_policy_draft *draft, struct dormouse_text account_id,
                       struct dormouse_text bot_id)
{
    struct dm_out both = {.colour = false};
    dm_out_bytes(&both, account_id.data, account_id.size);
    dm_out_bytes(&both, bot_id.data, bot_id.size);
    draft->text = both.buf;
    const char *text = (const char *)dm_buf_head(&draft->text);
    draft->policy.account_id = (struct dormouse_text){text, account_id.size};
    draft->policy.bot_id =
        (struct dormouse_text){text == NULL ? NULL : text + account_id.size, bot_id.size};
}

void dm_policy_draft_init(struct dm_policy_draft *draft)
{
    *draft = (struct dm_policy_draft){
        .policy = DORMOUSE(policy, .rules = draft->pointers),
        .on_limit = DORMOUSE(rule, .on = DORMOUSE_ACTIVITY_UNSPECIFIED),
    };
    for (size_t i = 0; i < DM_POLICY_RULES_MAX; i++) {
        draft->rules[i] = DORMOUSE(rule, .on = DORMOUSE_ACTIVITY_UNSPECIFIED);
        draft->pointers[i] = &draft->rules[i];
    }
}

/* What an answer holds is not sized as what is sent. */
static void copy_rule(struct dormouse_rule *to, const struct dormouse_rule *from)
{
    *to = *from;
    to->struct_size = sizeof *to;
}

bool dm_policy_draft_copy(struct dm_policy_draft *draft, const struct dormouse_policy *policy)
{
    dm_policy_draft_init(draft);
    draft->policy.mode = policy->mode;
    draft->policy.message_limit = policy->message_limit;
    draft->policy.max_snooze_ms = policy->max_snooze_ms;
    draft->policy.revision = policy->revision;
    keep_texts(draft, policy->account_id, policy->bot_id);
    if (policy->rules_count > DM_POLICY_RULES_MAX) {
        return fail(draft, "the policy has more rules than this program knows");
    }
    for (size_t i = 0; i < policy->rules_count; i++) {
        copy_rule(&draft->rules[i], policy->rules[i]);
    }
    draft->policy.rules_count = policy->rules_count;
    if (policy->on_limit != NULL) {
        copy_rule(&draft->on_limit, policy->on_limit);
        draft->policy.on_limit = &draft->on_limit;
    }
    return true;
}

void dm_policy_draft_finish(struct dm_policy_draft *draft)
{
    dm_buf_finish(&draft->text);
}

/* ---- rules on the command line ------------------------------------------------------ */

/* Cuts at `separator`: returns what is before it, and leaves what is behind it. */
static struct dormouse_text cut(struct dormouse_text *text, char separator)
{
    const char *at = text->size == 0 ? NULL : memchr(text->data, separator, text->size);
    size_t size = at == NULL ? text->size : (size_t)(at - text->data);
    struct dormouse_text before = {text->data, size};
    size_t skip = at == NULL ? size : size + 1;
    text->data += skip;
    text->size -= skip;
    return before;
}

static bool text_is(struct dormouse_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

bool dm_policy_rule_parse(struct dm_policy_draft *draft, struct dormouse_text text,
                          struct dormouse_rule *rule)
{
    struct dormouse_text action = cut(&text, ':');
    *rule = DORMOUSE(rule, .on = rule->on);
    if (!dm_word_parse(&dm_action_words, action, &rule->action)) {
        return fail(draft,
                    "\"%.*s\" is not one of none, snooze:2h[:extend|keep|replace],"
                    " deactivate[:lock], activate",
                    (int)(action.size < 40 ? action.size : 40), action.data);
    }
    if (rule->action == DORMOUSE_ACTION_SNOOZE) {
        const char *why = dm_duration_parse(cut(&text, ':'), &rule->snooze_for_ms);
        if (why != NULL) {
            return fail(draft, "a snooze needs its length, as in snooze:2h; the one given %s", why);
        }
        rule->repeat = DORMOUSE_REPEAT_EXTEND;
        if (text.size > 0 && !dm_word_parse(&dm_repeat_words, cut(&text, ':'), &rule->repeat)) {
            return fail(draft, "after a snooze's length there may be extend, keep or replace");
        }
    } else if (rule->action == DORMOUSE_ACTION_DEACTIVATE && text.size > 0) {
        rule->lock = text_is(cut(&text, ':'), "lock");
        if (!rule->lock) {
            return fail(draft, "after deactivate there may be lock");
        }
    }
    return text.size == 0 || fail(draft, "there is something after the action %s",
                                  dm_word(&dm_action_words, rule->action));
}

static struct dormouse_rule *rule_of(struct dm_policy_draft *draft, int32_t activity)
{
    size_t count = draft->policy.rules_count;
    for (size_t i = 0; i < count; i++) {
        if (draft->rules[i].on == activity) {
            return &draft->rules[i];
        }
    }
    if (count == DM_POLICY_RULES_MAX) {
        return NULL;
    }
    draft->policy.rules_count++;
    draft->rules[count].on = activity;
    return &draft->rules[count];
}

bool dm_policy_draft_rule(struct dm_policy_draft *draft, struct dormouse_text text)
{
    struct dormouse_text name = cut(&text, '=');
    int32_t activity;
    if (!dm_word_parse(&dm_activity_words, name, &activity)) {
        struct dm_out list = {.colour = false};
        dm_word_list(&list, &dm_activity_words);
        struct dm_slice all = dm_buf_slice(&list.buf);
        (void)fail(draft, "\"%.*s\" is not one of %.*s", (int)(name.size < 40 ? name.size : 40),
                   name.data, (int)all.size, (const char *)all.data);
        dm_out_finish(&list);
        return false;
    }
    struct dormouse_rule parsed = DORMOUSE(rule, .on = activity);
    if (!dm_policy_rule_parse(draft, text, &parsed)) {
        return false;
    }
    struct dormouse_rule *rule = rule_of(draft, activity);
    if (rule == NULL) {
        return fail(draft, "too many rules");
    }
    *rule = parsed;
    return true;
}

/* ---- JSON ------------------------------------------------------------------------- */

/* Each of these reads one member; absent is fine, a wrong type is not. */
static bool json_word(struct dm_policy_draft *draft, const char *name, const json_t *value,
                      const struct dm_words *words, int32_t *out)
{
    if (!json_is_string(value) ||
        !dm_word_parse(words,
                       (struct dormouse_text){json_string_value(value), json_string_length(value)},
                       out)) {
        return fail(draft, "%s: is not a known %s", name, words->what);
    }
    return true;
}

static bool json_span(struct dm_policy_draft *draft, const char *name, const json_t *value,
                      int64_t *ms)
{
    const char *why = json_is_string(value)
                          ? dm_duration_parse(dormouse_text(json_string_value(value)), ms)
                          : "is not a duration; write \"7200s\"";
    return why == NULL || fail(draft, "%s: %s", name, why);
}

/* 64-bit numbers are texts in ProtoJSON; both are taken. */
static bool json_number(struct dm_policy_draft *draft, const char *name, const json_t *value,
                        uint64_t most, uint64_t *out)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
    } else if (json_is_string(value)) {
        char *end;
        *out = strtoull(json_string_value(value), &end, 10);
        if (*end != '\0' || end == json_string_value(value)) {
            return fail(draft, "%s: is not a number", name);
        }
    } else {
        return fail(draft, "%s: is not a number", name);
    }
    return *out <= most || fail(draft, "%s: is too large", name);
}

static bool is(const char *key, const char *camel, const char *snake)
{
    return strcmp(key, camel) == 0 || strcmp(key, snake) == 0;
}

static bool json_rule(struct dm_policy_draft *draft, json_t *object, struct dormouse_rule *rule)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        return fail(draft, "a rule must be an object");
    }
    json_object_foreach(object, key, value)
    {
        bool ok;
        if (strcmp(key, "on") == 0) {
            const char *text = json_string_value(value);
            ok = (text != NULL && strcmp(text, "ACTIVITY_UNSPECIFIED") == 0) ||
                 json_word(draft, "on", value, &dm_activity_words, &rule->on);
        } else if (strcmp(key, "action") == 0) {
            ok = json_word(draft, "action", value, &dm_action_words, &rule->action);
        } else if (is(key, "snoozeFor", "snooze_for")) {
            ok = json_span(draft, "snoozeFor", value, &rule->snooze_for_ms);
        } else if (strcmp(key, "repeat") == 0) {
            const char *text = json_string_value(value);
            ok = (text != NULL && strcmp(text, "REPEAT_UNSPECIFIED") == 0) ||
                 json_word(draft, "repeat", value, &dm_repeat_words, &rule->repeat);
        } else if (strcmp(key, "lock") == 0) {
            rule->lock = json_is_true(value);
            ok = json_is_boolean(value) || fail(draft, "lock: must be true or false");
        } else {
            ok = fail(draft, "a rule has no member \"%.40s\"", key);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool json_rules(struct dm_policy_draft *draft, json_t *array)
{
    if (!json_is_array(array) || json_array_size(array) > DM_POLICY_RULES_MAX) {
        return fail(draft, "rules: must be a list of at most %d", DM_POLICY_RULES_MAX);
    }
    draft->policy.rules_count = json_array_size(array);
    for (size_t i = 0; i < draft->policy.rules_count; i++) {
        if (!json_rule(draft, json_array_get(array, i), &draft->rules[i])) {
            return false;
        }
    }
    return true;
}

static bool json_text(struct dm_policy_draft *draft, const char *name, const json_t *value,
                      struct dormouse_text *out)
{
    *out = (struct dormouse_text){json_string_value(value), json_string_length(value)};
    return json_is_string(value) || fail(draft, "%s: must be text", name);
}

static bool json_member(struct dm_policy_draft *draft, const char *key, json_t *value)
{
    struct dormouse_policy *policy = &draft->policy;
    uint64_t limit = 0;
    bool ok;
    if (is(key, "accountId", "account_id")) {
        return json_text(draft, key, value, &policy->account_id);
    }
    if (is(key, "botId", "bot_id")) {
        return json_text(draft, key, value, &policy->bot_id);
    }
    if (strcmp(key, "mode") == 0) {
        return json_word(draft, key, value, &dm_mode_words, &policy->mode);
    }
    if (strcmp(key, "rules") == 0) {
        return json_rules(draft, value);
    }
    if (is(key, "messageLimit", "message_limit")) {
        ok = json_number(draft, key, value, UINT32_MAX, &limit);
        policy->message_limit = (uint32_t)limit;
        return ok;
    }
    if (is(key, "onLimit", "on_limit")) {
        policy->on_limit = &draft->on_limit;
        return json_rule(draft, value, &draft->on_limit);
    }
    if (is(key, "maxSnooze", "max_snooze")) {
        return json_span(draft, key, value, &policy->max_snooze_ms);
    }
    if (strcmp(key, "revision") == 0) {
        draft->has_revision = true;
        return json_number(draft, key, value, UINT64_MAX, &policy->revision);
    }
    return fail(draft, "a policy has no member \"%.40s\"", key);
}

bool dm_policy_draft_json(struct dm_policy_draft *draft, struct dm_slice json)
{
    dm_policy_draft_init(draft);
    json_error_t error;
    json_t *root = json_loadb(json.data, json.size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return fail(draft, "line %d: %.120s", error.line, error.text);
    }
    bool ok = json_is_object(root) || fail(draft, "is not a JSON object");
    const char *key;
    json_t *value;
    if (ok) {
        json_object_foreach(root, key, value)
        {
            ok = ok && json_member(draft, key, value);
        }
    }
    keep_texts(draft, draft->policy.account_id, draft->policy.bot_id);
    json_decref(root);
    return ok;
}

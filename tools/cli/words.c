#include "cli/words.h"

#include <ctype.h>
#include <strings.h>

#define WORDS_(name, what_, prefix_, ...)                                  \
    static const char *const name##_list[] = {"unspecified", __VA_ARGS__}; \
    const struct dm_words dm_##name##_words = {                            \
        .what = (what_),                                                   \
        .prefix = (prefix_),                                               \
        .words = name##_list,                                              \
        .count = (int32_t)(sizeof name##_list / sizeof name##_list[0]),    \
    }

WORDS_(status, "status", "STATUS_", "active", "snoozed", "inactive");
WORDS_(mode, "mode", "MODE_", "off", "suggestive", "auto_pilot");
WORDS_(decision, "decision", "DECISION_", "reply", "suggest", "silent");
WORDS_(reason, "reason", "REASON_", "never_set", "set", "bulk_set", "snooze_expired",
       "manual_message", "workflow_message", "message_limit", "inbound_message",
       "conversation_read", "stop_keyword", "handover_requested", "appointment_booked", "mode_off");
WORDS_(activity, "activity", "ACTIVITY_", "inbound_message", "bot_message", "manual_message",
       "workflow_message", "conversation_read", "stop_keyword", "handover_requested",
       "appointment_booked");
WORDS_(action, "action", "ACTION_", "none", "snooze", "deactivate", "activate");
WORDS_(repeat, "repeat", "REPEAT_", "extend", "keep", "replace");

const char *dm_word(const struct dm_words *words, int32_t value)
{
    return value >= 0 && value < words->count ? words->words[value] : "unknown";
}

static bool same(struct dormouse_text text, const char *word)
{
    if (text.size != strlen(word)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        int c = text.data[i] == '-' ? '_' : tolower((unsigned char)text.data[i]);
        if (c != (unsigned char)word[i]) {
            return false;
        }
    }
    return true;
}

bool dm_word_parse(const struct dm_words *words, struct dormouse_text text, int32_t *value)
{
    size_t prefix = strlen(words->prefix);
    struct dormouse_text bare = text;
    if (text.size > prefix && strncasecmp(text.data, words->prefix, prefix) == 0) {
        bare.data += prefix;
        bare.size -= prefix;
    }
    for (int32_t i = 1; i < words->count; i++) {
        if (same(text, words->words[i]) || same(bare, words->words[i])) {
            *value = i;
            return true;
        }
    }
    return false;
}

void dm_word_list(struct dm_out *out, const struct dm_words *words)
{
    for (int32_t i = 1; i < words->count; i++) {
        dm_out_format(out, "%s%s", i == 1 ? "" : ", ", words->words[i]);
    }
}

void dm_word_json(struct dm_out *out, const struct dm_words *words, int32_t value)
{
    if (value < 0 || value >= words->count) {
        dm_out_format(out, "%d", value);
        return;
    }
    dm_out_format(out, "\"%s", words->prefix);
    for (const char *c = words->words[value]; *c != '\0'; c++) {
        char upper = (char)toupper((unsigned char)*c);
        dm_out_bytes(out, &upper, 1);
    }
    dm_out_str(out, "\"");
}

#include "cli/words.h"

#include <ctype.h>
#include <strings.h>

#define WORDS_(name, what_, prefix_, ...)                               \
    static const char *const name##_list[] = {__VA_ARGS__};             \
    const struct dm_words dm_##name##_words = {                         \
        .what = (what_),                                                \
        .prefix = (prefix_),                                            \
        .words = name##_list,                                           \
        .count = (int32_t)(sizeof name##_list / sizeof name##_list[0]), \
    }

#include "dm_words.inc"

static bool has_word(const struct dm_words *words, int32_t value)
{
    return value >= 0 && value < words->count && words->words[value] != NULL;
}

const char *dm_word(const struct dm_words *words, int32_t value)
{
    return has_word(words, value) ? words->words[value] : "unknown";
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
        if (has_word(words, i) && (same(text, words->words[i]) || same(bare, words->words[i]))) {
            *value = i;
            return true;
        }
    }
    return false;
}

void dm_word_list(struct dm_out *out, const struct dm_words *words)
{
    const char *comma = "";
    for (int32_t i = 1; i < words->count; i++) {
        if (has_word(words, i)) {
            dm_out_format(out, "%s%s", comma, words->words[i]);
            comma = ", ";
        }
    }
}

void dm_word_json(struct dm_out *out, const struct dm_words *words, int32_t value)
{
    if (!has_word(words, value)) {
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

#ifndef DM_CLI_WORDS_H
#define DM_CLI_WORDS_H

#include "cli/out.h"

/* The contract's enumerations as words: value i is words[i], and words[0] stands for unset.
 * In JSON a value is its full name: the prefix and the word in capitals. */
struct dm_words {
    const char *what;   /* "status" */
    const char *prefix; /* "STATUS_" */
    const char *const *words;
    int32_t count;
};

extern const struct dm_words dm_status_words, dm_mode_words, dm_decision_words, dm_reason_words,
    dm_activity_words, dm_action_words, dm_repeat_words;

/* "unknown" for a number that a newer server may send. */
const char *dm_word(const struct dm_words *words, int32_t value);
/* Reads "snoozed", "SNOOZED" or "STATUS_SNOOZED"; "-" is as good as "_". Never the unset one. */
bool dm_word_parse(const struct dm_words *words, struct dormouse_text text, int32_t *value);
/* "active, snoozed, inactive", for messages. */
void dm_word_list(struct dm_out *out, const struct dm_words *words);
/* "STATUS_SNOOZED" with its quotes; a number that has no name as that number. */
void dm_word_json(struct dm_out *out, const struct dm_words *words, int32_t value);

#endif

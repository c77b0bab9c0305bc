#ifndef DM_CLI_WORDS_H
#define DM_CLI_WORDS_H

#include "cli/out.h"

/* The contract's enumerations as words, written by tools/gen/words.py: value i is words[i], NULL
 * where it has none, and words[0] stands for unset. In JSON a value is its full name: the prefix
 * and the word in capitals. */
struct dm_words {
    const char *what;   /* "status" */
    const char *prefix; /* "STATUS_" */
    const char *const *words;
    int32_t count;
};

#include "dm_words.h"

/* "unknown" for a number that a newer server may send. */
const char *dm_word(const struct dm_words *words, int32_t value);
/* Reads "snoozed", "SNOOZED" or "STATUS_SNOOZED"; "-" is as good as "_". Never the unset one. */
bool dm_word_parse(const struct dm_words *words, struct dormouse_text text, int32_t *value);
/* "active, snoozed, inactive", for messages. */
void dm_word_list(struct dm_out *out, const struct dm_words *words);
/* "STATUS_SNOOZED" with its quotes; a number that has no name as that number. */
void dm_word_json(struct dm_out *out, const struct dm_words *words, int32_t value);

#endif

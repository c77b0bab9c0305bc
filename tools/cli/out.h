#ifndef DM_CLI_OUT_H
#define DM_CLI_OUT_H

#include "base/buf.h"

#include <dormouse/message.h>
#include <stdio.h>

/* Text under construction. Grows as needed; the program ends when there is no memory. A
 * zeroed struct is an empty text without colours. */
struct dm_out {
    struct dm_buf buf;
    bool colour; /* dm_out_colour does something */
};

void dm_out_bytes(struct dm_out *out, const void *data, size_t size);
void dm_out_str(struct dm_out *out, const char *text);
void dm_out_format(struct dm_out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For terminals: control characters, what is no UTF-8, and what changes the direction of
 * writing come as \n, \x1b, \u202e. Returns the columns it takes (one a code point). */
size_t dm_out_safe(struct dm_out *out, struct dormouse_text text);
/* With blanks behind it, up to `width` columns. */
void dm_out_padded(struct dm_out *out, struct dormouse_text text, size_t width);
/* The columns that dm_out_safe would take. */
size_t dm_out_width(struct dormouse_text text);

/* With its quotes. What is no UTF-8 becomes U+FFFD. */
void dm_out_json(struct dm_out *out, struct dormouse_text text);
/* One CSV field, quoted only where RFC 4180 wants it. */
void dm_out_csv(struct dm_out *out, struct dormouse_text text);

/* 1234567 as "1,234,567". */
void dm_out_count(struct dm_out *out, uint64_t count);

enum dm_colour { DM_PLAIN, DM_GREEN, DM_YELLOW, DM_RED, DM_DIM };
/* From here on; DM_PLAIN ends it. */
void dm_out_colour(struct dm_out *out, enum dm_colour colour);

/* Writes it and empties it. false: the file cannot be written. */
bool dm_out_flush(struct dm_out *out, FILE *file);
void dm_out_finish(struct dm_out *out);

#endif

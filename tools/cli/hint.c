#include "cli/hint.h"

#include <stdbool.h>
#include <string.h>

static bool has(struct dm_slice text, char wanted)
{
    return text.size > 0 && memchr(text.data, wanted, text.size) != NULL;
}

static bool begins(struct dm_slice bytes, const char *with, size_t size)
{
    return bytes.size >= size && memcmp(bytes.data, with, size) == 0;
}

/* Without white space on both sides. */
static struct dm_slice trimmed(struct dm_slice text)
{
    const char *first = text.data, *end = first + text.size;
    while (first < end && strchr(" \t\r\n", *first) != NULL && *first != '\0') {
        first++;
    }
    while (end > first && strchr(" \t\r\n", end[-1]) != NULL && end[-1] != '\0') {
        end--;
    }
    return dm_slice(first, (size_t)(end - first));
}

const char *dm_hint_bytes(struct dm_slice bytes)
{
    if (begins(bytes, "\x1f\x8b", 2)) {
        return "is compressed with gzip; try: zcat FILE | dormouse import -";
    }
    if (begins(bytes, "PK\3", 3) || begins(bytes, "\xd0\xcf\x11", 3)) {
        return "is a spreadsheet or a zip archive; save it as CSV";
    }
    if (begins(bytes, "\xff\xfe", 2) || begins(bytes, "\xfe\xff", 2)) {
        return "is UTF-16; save it as UTF-8";
    }
    if (bytes.size > 0 && begins(trimmed(bytes), "[", 1)) {
        return "is one JSON array; write one object a line, e.g. with jq -c '.[]'";
    }
    return NULL;
}

const char *dm_hint_header(struct dm_slice line)
{
    if (line.size == 0 || has(line, ',')) {
        return NULL;
    }
    if (has(line, ';')) {
        return "header: the columns are separated by semicolons; they must be separated by commas";
    }
    if (has(line, '\t')) {
        return "header: the columns are separated by tabs; they must be separated by commas";
    }
    return has(line, '|')
               ? "header: the columns are separated by bars; they must be separated by commas"
               : NULL;
}

const char *dm_hint_json(struct dm_slice line)
{
    struct dm_slice text = trimmed(line);
    return text.size == 1 && *(const char *)text.data == '{'
               ? "an object goes over several lines; write one object a line, e.g. with jq -c ."
               : NULL;
}

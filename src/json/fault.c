#include "json/fault.h"

#include <stdio.h>

enum {
    EXCERPT = 48,     /* bytes of the text that an error quotes */
    PLACE_SIZE = 120, /* of the place that it names */
};

/* "change.snoozeUntil", "contactIds[3]"; the message's name when it is the whole. */
static void name_place(const struct dm_json_reader *r, char *to)
{
    size_t size = 0;
    const char *dot = strrchr(r->root->name, '.');
    (void)snprintf(to, PLACE_SIZE, "%s", dot == NULL ? r->root->name : dot + 1);
    for (int i = 0; i < r->depth && r->places[i].field != NULL && size < PLACE_SIZE; i++) {
        const struct dm_json_place *place = &r->places[i];
        size += (size_t)snprintf(to + size, PLACE_SIZE - size, "%s%s", i == 0 ? "" : ".",
                                 place->field->json_name.data);
        if (place->index >= 0 && size < PLACE_SIZE) {
            size += (size_t)snprintf(to + size, PLACE_SIZE - size, "[%d]", place->index);
        }
    }
}

bool dm_json_refuse(struct dm_json_reader *r, const char *what)
{
    char place[PLACE_SIZE];
    name_place(r, place);
    (void)dm_fail(r->error, DM_INVALID_ARGUMENT, "%s: %s", place, what);
    return false;
}

bool dm_json_broken(struct dm_json_reader *r)
{
    char place[PLACE_SIZE];
    name_place(r, place);
    (void)dm_fail(r->error, DM_INVALID_ARGUMENT, "%s: the JSON %s byte %zu: %s", place,
                  r->scan.too_deep ? "is too deep at" : "is broken at",
                  (size_t)(r->scan.at - r->scan.begin), r->scan.fault);
    return false;
}

bool dm_json_broken_by(struct dm_json_reader *r, const char *fault)
{
    r->scan.fault = fault;
    return dm_json_broken(r);
}

/* At most EXCERPT bytes, no character cut in two. */
static size_t cut(const uint8_t *text, size_t size)
{
    size_t at = size < EXCERPT ? size : EXCERPT;
    while (at < size && at > 0 && (text[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

bool dm_json_unfit(struct dm_json_reader *r, const uint8_t *token, const char *what)
{
    r->scan.at = token;
    if (!dm_json_skip(&r->scan, DM_JSON_DEPTH_MAX - r->depth)) {
        return dm_json_broken(r);
    }
    char place[PLACE_SIZE];
    name_place(r, place);
    if (*token == '{' || *token == '[') {
        (void)dm_fail(r->error, DM_INVALID_ARGUMENT, "%s: %s %s", place,
                      *token == '{' ? "an object" : "a list", what);
        return false;
    }
    size_t size = (size_t)(r->scan.at - token), shown = cut(token, size);
    (void)dm_fail(r->error, DM_INVALID_ARGUMENT, "%s: %.*s%s %s", place, (int)shown,
                  (const char *)token, shown < size ? "..." : "", what);
    return false;
}

#include "cli/row.h"

#include "base/hash.h"
#include "cli/when.h"
#include "cli/words.h"

#include <inttypes.h>
#include <jansson.h>

const char *const dm_column_names[DM_COLUMNS] = {
    "account_id", "contact_id", "status", "snoozed_until", "snooze_for",
    "reason",     "actor",      "bot_id", "locked",
};
static const char *const json_names[DM_COLUMNS] = {
    "accountId", "contactId", "status", "snoozedUntil", "snoozeFor",
    "reason",    "actor",     "botId",  "locked",
};

static bool text_is(struct dormouse_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

enum dm_column dm_column_find(struct dormouse_text name)
{
    for (int i = 0; i < DM_COLUMNS; i++) {
        if (text_is(name, dm_column_names[i]) || text_is(name, json_names[i])) {
            return (enum dm_column)i;
        }
    }
    return DM_COLUMNS;
}

void dm_row_finish(struct dm_row *row)
{
    dm_buf_finish(&row->text);
}

/* ---- NDJSON ----------------------------------------------------------------------- */

/* Other members of a Contact. */
static bool is_aside(const char *key)
{
    static const char *const names[] = {
        "since",         "fence",          "revision", "botMessages", "bot_messages",
        "missedInbound", "missed_inbound", "mode",     "lastSeq",     "last_seq",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(key, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const char *json_text(const json_t *value, enum dm_column column, struct dormouse_text *text)
{
    if (json_is_null(value)) {
        *text = dormouse_text("");
    } else if (column == DM_LOCKED && json_is_boolean(value)) {
        *text = dormouse_text(json_is_true(value) ? "true" : "false");
    } else if (json_is_string(value)) {
        *text = (struct dormouse_text){json_string_value(value), json_string_length(value)};
    } else {
        return "a value must be text";
    }
    return NULL;
}

static const char *json_members(struct dm_row *row, json_t *object, size_t line_size)
{
    static char unknown[96];
    /* All texts together are never longer than their JSON: so nothing moves. */
    char *room = (char *)dm_buf_reserve(&row->text, line_size + 16);
    const char *key;
    json_t *value;
    if (room == NULL) {
        return "out of memory";
    }
    json_object_foreach(object, key, value)
    {
        enum dm_column column = dm_column_find(dormouse_text(key));
        if (column == DM_COLUMNS && is_aside(key)) {
            continue;
        }
        if (column == DM_COLUMNS) {
            (void)snprintf(unknown, sizeof unknown, "no column is called \"%.64s\"", key);
            return unknown;
        }
        struct dormouse_text text;
        const char *why = json_text(value, column, &text);
        if (why != NULL) {
            return why;
        }
        if (row->fields[column].data != NULL) {
            return "a column is given twice, under two names";
        }
        row->fields[column] = (struct dormouse_text){room, text.size};
        memcpy(room, text.data, text.size);
        room += text.size;
    }
    return NULL;
}

const char *dm_row_json(struct dm_row *row, struct dm_slice line)
{
    static char message[192];
    memset(row->fields, 0, sizeof row->fields);
    dm_buf_reset(&row->text, SIZE_MAX);
    json_error_t error;
    json_t *object = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL) {
        (void)snprintf(message, sizeof message, "not valid JSON: %.150s", error.text);
        return message;
    }
    const char *why = json_is_object(object) ? json_members(row, object, line.size)
                                             : "each line must be one JSON object";
    json_decref(object);
    return why;
}

/* ---- to a request ------------------------------------------------------------------- */

static const char *parse_locked(struct dormouse_text text, bool *locked)
{
    bool yes = text_is(text, "true") || text_is(text, "1");
    *locked = yes;
    return yes || text.size == 0 || text_is(text, "false") || text_is(text, "0")
               ? NULL
               : "locked: must be true or false";
}

static const char *parse_snooze(const struct dm_row *row, const struct dm_row_defaults *defaults,
                                int64_t now_ms, struct dormouse_change *change)
{
    struct dormouse_text until = row->fields[DM_SNOOZED_UNTIL], length = row->fields[DM_SNOOZE_FOR];
    if (change->status != DORMOUSE_SNOOZED) {
        return until.size == 0 && length.size == 0
                   ? NULL
                   : "snoozed_until and snooze_for are for the status snoozed only";
    }
    if ((until.size == 0) == (length.size == 0)) {
        return "snoozed: needs either snoozed_until or snooze_for";
    }
    if (length.size > 0) {
        return dm_duration_parse(length, &change->snooze_for_ms) == NULL
                   ? NULL
                   : "snooze_for: is not a duration; write 2h, 1h30m, 90s, 3d or 500ms";
    }
    if (dm_time_parse(until, &change->snooze_until_ms) != NULL) {
        return "snoozed_until: is not an RFC 3339 time; write 2026-12-01T09:00:00Z";
    }
    if (defaults->expired_active && change->snooze_until_ms <= now_ms) {
        change->status = DORMOUSE_ACTIVE;
        change->snooze_until_ms = 0;
    }
    return NULL;
}

/* What only the server gives is as good as none: such rows come from an export or a list. */
static bool is_server_reason(int32_t reason)
{
    return reason == DORMOUSE_REASON_NEVER_SET || reason == DORMOUSE_REASON_SNOOZE_EXPIRED ||
           reason == DORMOUSE_REASON_MODE_OFF;
}

static const char *parse_change(const struct dm_row *row, const struct dm_row_defaults *defaults,
                                int64_t now_ms, struct dormouse_change *change)
{
    const struct dormouse_text *fields = row->fields;
    if (!dm_word_parse(&dm_status_words, fields[DM_STATUS], &change->status)) {
        return "status: is not one of active, snoozed, inactive";
    }
    if (fields[DM_REASON].size > 0 &&
        !dm_word_parse(&dm_reason_words, fields[DM_REASON], &change->reason)) {
        return "reason: is not a known reason";
    }
    if (is_server_reason(change->reason)) {
        change->reason = DORMOUSE_REASON_UNSPECIFIED;
    }
    change->actor = fields[DM_ACTOR];
    change->bot_id = fields[DM_BOT_ID];
    change->has_bot_id = fields[DM_BOT_ID].size > 0;
    const char *why = parse_locked(fields[DM_LOCKED], &change->lock);
    change->unlock = defaults->unlock;
    return why != NULL ? why : parse_snooze(row, defaults, now_ms, change);
}

static uint64_t hash_text(struct dormouse_text text, uint64_t seed)
{
    uint64_t size = text.size;
    seed = dm_hash(&size, sizeof size, seed);
    return dm_hash(text.size == 0 ? "" : text.data, text.size, seed);
}

static uint64_t hash_row(const struct dm_row *row, const struct dm_row_defaults *defaults,
                         struct dormouse_text account_id, uint64_t seed)
{
    uint64_t hash = hash_text(defaults->run, seed);
    hash = dm_hash(&row->line, sizeof row->line, hash);
    hash = hash_text(account_id, hash);
    for (int i = DM_CONTACT_ID; i < DM_COLUMNS; i++) {
        hash = hash_text(row->fields[i], hash);
    }
    return hash;
}

const char *dm_row_request(const struct dm_row *row, const struct dm_row_defaults *defaults,
                           int64_t now_ms, struct dm_row_request *request)
{
    struct dormouse_set_status *set = &request->set;
    request->change = DORMOUSE(change, .status = DORMOUSE_STATUS_UNSPECIFIED);
    *set = DORMOUSE(set_status, .account_id = row->fields[DM_ACCOUNT_ID],
                    .contact_id = row->fields[DM_CONTACT_ID], .change = &request->change,
                    .request_id = {request->id, DM_REQUEST_ID_SIZE});
    if (set->account_id.size == 0) {
        set->account_id = defaults->account_id;
    }
    if (set->account_id.size == 0) {
        return "account_id: is empty, and no --account was given";
    }
    if (set->contact_id.size == 0) {
        return "contact_id: is empty";
    }
    (void)snprintf(request->id, sizeof request->id, "imp-%016" PRIx64 "%016" PRIx64,
                   hash_row(row, defaults, set->account_id, 1),
                   hash_row(row, defaults, set->account_id, 2));
    return parse_change(row, defaults, now_ms, &request->change);
}

/* ---- from a contact ----------------------------------------------------------------- */

void dm_row_csv_header(struct dm_out *out)
{
    dm_out_str(out, "account_id,contact_id,status,snoozed_until,reason,actor,bot_id,locked\n");
}

static const char *exported_reason(const struct dormouse_contact *contact)
{
    bool is_empty = contact->reason == 0 || is_server_reason(contact->reason);
    return is_empty ? "" : dm_word(&dm_reason_words, contact->reason);
}

void dm_row_csv(struct dm_out *out, const struct dormouse_contact *contact)
{
    dm_out_csv(out, contact->account_id);
    dm_out_str(out, ",");
    dm_out_csv(out, contact->contact_id);
    dm_out_format(out, ",%s,", dm_word(&dm_status_words, contact->status));
    if (contact->snoozed_until_ms != 0) {
        dm_time_print_rfc3339(out, contact->snoozed_until_ms);
    }
    dm_out_format(out, ",%s,", exported_reason(contact));
    dm_out_csv(out, contact->actor);
    dm_out_str(out, ",");
    dm_out_csv(out, contact->bot_id);
    dm_out_str(out, contact->locked ? ",true\n" : ",false\n");
}

static void json_optional(struct dm_out *out, const char *name, struct dormouse_text text)
{
    if (text.size > 0) {
        dm_out_format(out, ",\"%s\":", name);
        dm_out_json(out, text);
    }
}

void dm_row_ndjson(struct dm_out *out, const struct dormouse_contact *contact)
{
    dm_out_str(out, "{\"accountId\":");
    dm_out_json(out, contact->account_id);
    dm_out_str(out, ",\"contactId\":");
    dm_out_json(out, contact->contact_id);
    dm_out_str(out, ",\"status\":");
    dm_word_json(out, &dm_status_words, contact->status);
    if (contact->snoozed_until_ms != 0) {
        dm_out_str(out, ",\"snoozedUntil\":\"");
        dm_time_print_rfc3339(out, contact->snoozed_until_ms);
        dm_out_str(out, "\"");
    }
    if (*exported_reason(contact) != '\0') {
        dm_out_str(out, ",\"reason\":");
        dm_word_json(out, &dm_reason_words, contact->reason);
    }
    json_optional(out, "actor", contact->actor);
    json_optional(out, "botId", contact->bot_id);
    dm_out_str(out, contact->locked ? ",\"locked\":true}\n" : ",\"locked\":false}\n");
}

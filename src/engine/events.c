#include "engine/read.h"

#include <stdlib.h>

struct dm_feed {
    struct dm_engine *engine;
    struct dm_cursor *cursor;
};

struct dm_history {
    struct dm_engine *engine;
    struct dm_cursor *cursor;
    uint64_t seq; /* the event to be read next; 0: none */
    bool skip;    /* it only leads to the one before it */
    bool damaged; /* nobody knows which event is the newest */
    struct dm_key key;
};

static bool event_read(const struct dm_engine *engine, const struct dm_entry *entry,
                       struct dm_event *event)
{
    struct dm_entry_body body;
    struct dm_record_head head;
    if (!dm_entry_decode(&body, entry->payload) || body.kind != DM_ENTRY_CONTACT ||
        body.contact.account == 0 || body.contact.account > engine->accounts.count ||
        !dm_record_head(&head, body.contact.record)) {
        return false;
    }
    const struct dm_account *account = dm_accounts_at(&engine->accounts, body.contact.account);
    *event = (struct dm_event){
        .seq = entry->seq,
        .previous_seq = body.contact.previous_seq,
        .fence = head.fence,
        .at_ms = body.contact.at_ms,
        .until_ms = head.until_ms,
        .due_ms = body.contact.due_ms,
        .account_id = dm_slice(account->id, account->id_size),
        .contact_id = body.contact.contact,
        .actor = dm_record_actor(body.contact.record),
        .from = body.contact.from == DM_STATUS_NONE ? DM_STATUS_ACTIVE : body.contact.from,
        .to = head.status,
        .reason = head.reason,
        .missed_inbound = body.contact.missed_inbound,
    };
    return true;
}

static enum dm_next to_next(enum dm_cursor_result result)
{
    switch (result) {
    case DM_CURSOR_ENTRY:
        return DM_NEXT_ITEM;
    case DM_CURSOR_END:
        return DM_NEXT_END;
    case DM_CURSOR_PENDING:
        return DM_NEXT_PENDING;
    case DM_CURSOR_GONE:
        return DM_NEXT_GONE;
    case DM_CURSOR_FAILED:
        break;
    }
    return DM_NEXT_FAILED;
}

struct dm_feed *dm_feed_open(struct dm_engine *engine, uint64_t after_seq)
{
    struct dm_feed *feed = malloc(sizeof *feed);
    if (feed == NULL) {
        return NULL;
    }
    *feed =
        (struct dm_feed){.engine = engine, .cursor = dm_journal_cursor(engine->journal, after_seq)};
    if (feed->cursor == NULL) {
        free(feed);
        return NULL;
    }
    return feed;
}

enum dm_next dm_feed_next(struct dm_feed *feed, struct dm_event *event, size_t *budget)
{
    struct dm_entry entry;
    enum dm_next next = to_next(dm_cursor_next(feed->cursor, &entry, budget));
    if (next == DM_NEXT_ITEM && !event_read(feed->engine, &entry, event)) {
        return DM_NEXT_FAILED;
    }
    return next;
}

void dm_feed_close(struct dm_feed *feed)
{
    if (feed != NULL) {
        dm_cursor_close(feed->cursor);
        free(feed);
    }
}

struct dm_history *dm_history_open(struct dm_engine *engine, struct dm_slice account_id,
                                   struct dm_slice contact_id, uint64_t before_seq)
{
    struct dm_history *history = calloc(1, sizeof *history);
    if (history == NULL) {
        return NULL;
    }
    history->engine = engine;
    const struct dm_account *account = dm_engine_known(engine, account_id);
    if (account == NULL) {
        return history;
    }
    dm_key_make(&history->key, account->number, contact_id);
    const struct dm_loaded *contact;
    history->damaged =
        dm_engine_load_key(engine, dm_key_slice(&history->key), &contact, NULL) != DM_OK;
    history->seq = contact->record.last_seq;
    if (before_seq != 0 && history->seq != 0) {
        history->skip = history->seq >= before_seq;
        history->seq = history->skip ? before_seq : history->seq;
    }
    history->cursor = dm_journal_cursor(engine->journal, history->seq == 0 ? 0 : history->seq - 1);
    if (history->cursor == NULL) {
        free(history);
        return NULL;
    }
    return history;
}

/* Reads the event at history->seq and moves on to the one before it. */
static enum dm_next history_step(struct dm_history *history, struct dm_event *event, size_t *budget)
{
    struct dm_entry entry;
    enum dm_cursor_result result = dm_cursor_next(history->cursor, &entry, budget);
    if (result == DM_CURSOR_END) {
        return DM_NEXT_PENDING; /* ordered and not durable yet */
    }
    if (result == DM_CURSOR_GONE) {
        return DM_NEXT_END; /* the rest has left with the retention */
    }
    if (result != DM_CURSOR_ENTRY) {
        return to_next(result);
    }
    struct dm_slice key = dm_key_slice(&history->key);
    const struct dm_account *account =
        dm_accounts_at(&history->engine->accounts, dm_key_account(key));
    if (entry.seq != history->seq || !event_read(history->engine, &entry, event) ||
        event->previous_seq >= entry.seq) { /* a chain that leads forward would never end */
        return DM_NEXT_FAILED;
    }
    if (!dm_slice_equal(event->account_id, dm_slice(account->id, account->id_size)) ||
        !dm_slice_equal(event->contact_id, dm_key_contact(key))) {
        return DM_NEXT_END; /* a position that was none of this contact's events */
    }
    history->seq = event->previous_seq;
    if (history->seq != 0) {
        dm_cursor_seek(history->cursor, history->seq - 1);
    }
    return DM_NEXT_ITEM;
}

enum dm_next dm_history_next(struct dm_history *history, struct dm_event *event, size_t *budget)
{
    if (history->damaged) {
        return DM_NEXT_DAMAGED;
    }
    while (history->seq != 0) {
        enum dm_next next = history_step(history, event, budget);
        if (next != DM_NEXT_ITEM || !history->skip) {
            return next;
        }
        history->skip = false;
    }
    return DM_NEXT_END;
}

void dm_history_close(struct dm_history *history)
{
    if (history != NULL) {
        dm_cursor_close(history->cursor);
        free(history);
    }
}

#include "base/assert.h"
#include "engine/damage.h"
#include "engine/read.h"

#include <stdlib.h>

/* A page of an account's contacts is two sorted runs merged. The overlay has no order, so
 * its contacts that belong to the page are selected first: the smallest limit + 1 positions
 * after the position, in a heap. Then the view is walked in order from the position; what
 * the overlay has a newer say about is left to the first run, except where it came into
 * the overlay after that was gathered. Only positions are kept; what is shown is read when
 * it is shown. */

/* Where a contact stands in the order: by id, or by (end of snooze, id). */
struct position {
    int64_t until_ms; /* BY_CONTACT: 0 */
    uint8_t size;
    uint8_t id[DM_ID_SIZE_MAX];
};

struct dm_scan {
    struct dm_engine *engine;
    const struct dm_account *account; /* NULL: nobody wrote to it */
    enum dm_scan_order order;
    uint8_t status;
    uint32_t limit;
    enum { SCAN_OVERLAY, SCAN_VIEW, SCAN_EMIT } stage;
    struct dm_overlay_walk walk;
    struct position at;         /* VIEW: where the page begins; then the last one looked at */
    struct dm_view_key view_at; /* VIEW: the last key looked at; empty: none yet */
    struct position *heap;      /* OVERLAY: a max-heap; then sorted */
    uint32_t heap_count, heap_next;
    struct position *page;
    uint32_t page_count, page_next;
    bool more;
    struct dm_key key;
};

_Static_assert(DM_ID_SIZE_MAX <= UINT8_MAX, "an id's size is one byte");

static int compare(const struct position *a, const struct position *b)
{
    if (a->until_ms != b->until_ms) {
        return a->until_ms < b->until_ms ? -1 : 1;
    }
    return dm_slice_compare(dm_slice(a->id, a->size), dm_slice(b->id, b->size));
}

static int compare_for_sort(const void *a, const void *b)
{
    return compare(a, b);
}

static void set_position(struct position *position, int64_t until_ms, struct dm_slice contact)
{
    position->until_ms = until_ms;
    position->size = (uint8_t)contact.size;
    if (contact.size != 0) {
        memcpy(position->id, contact.data, contact.size);
    }
}

struct dm_scan *dm_scan_open(struct dm_engine *engine, const struct dm_scan_options *options)
{
    struct dm_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL) {
        return NULL;
    }
    size_t positions = (size_t)options->limit + 1;
    scan->heap = malloc(positions * sizeof *scan->heap);
    scan->page = malloc(positions * sizeof *scan->page);
    if (scan->heap == NULL || scan->page == NULL) {
        dm_scan_close(scan);
        return NULL;
    }
    scan->engine = engine;
    scan->account = dm_engine_known(engine, options->account_id);
    scan->order = options->order;
    scan->status = options->status;
    scan->limit = options->limit;
    set_position(&scan->at, options->after_until_ms, options->after_contact);
    if (scan->account == NULL) {
        scan->stage = SCAN_EMIT;
    } else {
        scan->walk.account = scan->account->number;
    }
    return scan;
}

/* Does a stored contact belong to this list now, and where? */
static bool belongs(const struct dm_scan *scan, struct dm_slice contact, struct dm_slice value,
                    int64_t now_ms, struct position *position)
{
    struct dm_record_head head;
    if (value.size == 0 || !dm_record_head(&head, value)) {
        return false;
    }
    bool expired = head.status == DM_STATUS_SNOOZED && head.until_ms <= now_ms;
    uint8_t status = expired ? (uint8_t)DM_STATUS_ACTIVE : head.status;
    if (scan->status != DM_STATUS_NONE && scan->status != status) {
        return false;
    }
    if (scan->order == DM_SCAN_BY_WAKE && status != DM_STATUS_SNOOZED) {
        return false;
    }
    set_position(position, scan->order == DM_SCAN_BY_WAKE ? head.until_ms : 0, contact);
    return true;
}

static void sift_down(struct position *heap, uint32_t count)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && compare(&heap[child], &heap[child + 1]) < 0) {
            child++;
        }
        if (compare(&heap[at], &heap[child]) >= 0) {
            return;
        }
        struct position moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static void sift_up(struct position *heap, uint32_t at)
{
    while (at != 0 && compare(&heap[(at - 1) / 2], &heap[at]) < 0) {
        struct position moved = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = moved;
        at = (at - 1) / 2;
    }
}

/* Keeps the smallest limit + 1 positions. */
static void select_position(struct dm_scan *scan, const struct position *position)
{
    if (scan->heap_count <= scan->limit) {
        scan->heap[scan->heap_count] = *position;
        sift_up(scan->heap, scan->heap_count++);
    } else if (compare(position, &scan->heap[0]) < 0) {
        DM_ASSERT(scan->heap_count == scan->limit + 1);
        scan->heap[0] = *position;
        sift_down(scan->heap, scan->heap_count);
    }
}

static void gather_overlay(struct dm_scan *scan, int64_t now_ms, size_t *budget)
{
    while (*budget > 0) {
        struct dm_overlay_item item;
        struct position position;
        if (!dm_engine_walk(scan->engine, &scan->walk, &item)) {
            qsort(scan->heap, scan->heap_count, sizeof *scan->heap, compare_for_sort);
            scan->stage = SCAN_VIEW;
            return;
        }
        (*budget)--;
        if (item.newest && belongs(scan, dm_key_contact(item.key), item.value, now_ms, &position) &&
            compare(&position, &scan->at) > 0) {
            select_position(scan, &position);
        }
    }
}

/* The next row of the list's table that is of this account, into scan->view_at. */
static bool next_row(struct dm_scan *scan, enum dm_table table, struct dm_slice *key,
                     struct dm_slice *value)
{
    struct dm_store *store = scan->engine->store;
    struct dm_view_key *at = &scan->view_at;
    if (at->size == 0) { /* where the page begins */
        dm_key_make(&scan->key, scan->account->number, dm_slice(scan->at.id, scan->at.size));
        struct dm_slice first = dm_key_slice(&scan->key);
        if (table == DM_TABLE_WAKES) {
            at->size = dm_wake_key_make(at->bytes, first, scan->at.until_ms);
        } else {
            (void)dm_view_key_set(at, first);
        }
    }
    return dm_store_seek(store, table, dm_view_key_slice(at), true, key, value) &&
           dm_key_belongs(*key, scan->account->number) && dm_view_key_set(at, *key);
}

/* A row's contact: its position, into scan->at, its key, into scan->key, and its record in the
 * view (empty: the index alone has it). false: the row is none that was ever put there. */
static bool read_row(struct dm_scan *scan, enum dm_table table, struct dm_slice key,
                     struct dm_slice *value)
{
    struct dm_store *store = scan->engine->store;
    struct dm_wake_key wake = {.contact = dm_key_contact(key)};
    if (table == DM_TABLE_WAKES
            ? !dm_wake_key_read(&wake, key)
            : wake.contact.size == 0 || wake.contact.size > (size_t)DM_ID_SIZE_MAX) {
        return false;
    }
    set_position(&scan->at, wake.until_ms, wake.contact);
    dm_key_make(&scan->key, scan->account->number, wake.contact);
    if (table == DM_TABLE_WAKES &&
        !dm_store_get(store, DM_TABLE_CONTACTS, dm_key_slice(&scan->key), value)) {
        *value = dm_slice(NULL, 0);
    }
    return true;
}

/* What counts of the contact of scan->key: what the overlay has, or `stored`. false: it is
 * damaged, and told. */
static bool newest_of(struct dm_scan *scan, struct dm_slice stored, struct dm_slice *value)
{
    struct dm_slice key = dm_key_slice(&scan->key);
    uint64_t lsn;
    if (dm_overlay_get(scan->engine->overlay, dm_key_hashed(key), value, &lsn)) {
        dm_engine_see(scan->engine, lsn);
        return true;
    }
    *value = stored;
    if (stored.size == 0) {
        dm_engine_tell_damage(scan->engine, "wake without its contact", key);
        return false;
    }
    return dm_engine_sound(scan->engine, key, stored);
}

static bool page_full(const struct dm_scan *scan)
{
    return scan->page_count > scan->limit;
}

/* Puts what the overlay has before `bound` (NULL: all of it) into the page. */
static void merge_overlay(struct dm_scan *scan, const struct position *bound)
{
    while (!page_full(scan) && scan->heap_next < scan->heap_count) {
        const struct position *next = &scan->heap[scan->heap_next];
        int order = bound == NULL ? -1 : compare(next, bound);
        if (order > 0) {
            return;
        }
        scan->heap_next++;
        if (order < 0) {
            scan->page[scan->page_count++] = *next;
        }
    }
}

static void merge_view(struct dm_scan *scan, int64_t now_ms, size_t *budget)
{
    enum dm_table table = scan->order == DM_SCAN_BY_WAKE ? DM_TABLE_WAKES : DM_TABLE_CONTACTS;
    while (*budget > 0 && !page_full(scan)) {
        struct dm_slice key, stored, value;
        struct position position;
        if (!next_row(scan, table, &key, &stored)) {
            merge_overlay(scan, NULL);
            scan->stage = SCAN_EMIT;
            return;
        }
        (*budget)--;
        if (!read_row(scan, table, key, &stored)) {
            dm_engine_tell_damage(scan->engine, "key", key);
            continue;
        }
        struct dm_slice contact = dm_key_contact(dm_key_slice(&scan->key));
        /* BY_WAKE, a contact that the overlay moved elsewhere is in the first run. */
        if (newest_of(scan, stored, &value) && belongs(scan, contact, value, now_ms, &position) &&
            compare(&position, &scan->at) == 0) {
            merge_overlay(scan, &position);
            if (!page_full(scan)) {
                DM_ASSERT(scan->page_count <= scan->limit);
                scan->page[scan->page_count++] = position;
            }
        }
    }
    if (page_full(scan)) {
        scan->stage = SCAN_EMIT;
    }
}

static enum dm_next emit(struct dm_scan *scan, int64_t now_ms, struct dm_contact *contact)
{
    struct dm_engine *engine = scan->engine;
    scan->more = page_full(scan);
    uint32_t count = scan->more ? scan->limit : scan->page_count;
    while (scan->page_next < count) {
        const struct position *position = &scan->page[scan->page_next++];
        struct position now_at;
        struct dm_slice value;
        dm_key_make(&scan->key, scan->account->number, dm_slice(position->id, position->size));
        struct dm_slice id = dm_key_contact(dm_key_slice(&scan->key));
        if (dm_engine_find(engine, dm_key_hashed(dm_key_slice(&scan->key)), &value, NULL) !=
                DM_OK ||
            !belongs(scan, id, value, now_ms, &now_at) ||
            !dm_record_decode(&engine->loaded.record, value)) {
            continue; /* changed since it was gathered */
        }
        dm_contact_show(engine, scan->account, id, &engine->loaded.record, now_ms, contact);
        return DM_NEXT_ITEM;
    }
    return DM_NEXT_END;
}

enum dm_next dm_scan_next(struct dm_scan *scan, struct dm_contact *contact, size_t *budget)
{
    int64_t now_ms = dm_clock_wall_ms(&scan->engine->clock);
    if (scan->stage == SCAN_OVERLAY) {
        gather_overlay(scan, now_ms, budget);
    }
    if (scan->stage == SCAN_VIEW) {
        merge_view(scan, now_ms, budget);
    }
    return scan->stage == SCAN_EMIT ? emit(scan, now_ms, contact) : DM_NEXT_PENDING;
}

bool dm_scan_more(const struct dm_scan *scan)
{
    return scan->more;
}

void dm_scan_last(const struct dm_scan *scan, struct dm_slice *contact, int64_t *until_ms)
{
    uint32_t count = scan->more ? scan->limit : scan->page_count;
    DM_ASSERT(count != 0);
    *contact = dm_slice(scan->page[count - 1].id, scan->page[count - 1].size);
    *until_ms = scan->page[count - 1].until_ms;
}

void dm_scan_close(struct dm_scan *scan)
{
    if (scan != NULL) {
        free(scan->heap);
        free(scan->page);
        free(scan);
    }
}

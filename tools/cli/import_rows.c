#include "base/assert.h"
#include "cli/importing.h"
#include "cli/verdict.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* While all goes well: a row is read, its contact is looked at, and set with the revision that it
 * had, so that nothing can come in between. Many rows are under way at once; two of one contact
 * never are, so that they are done in the file's order.
 *
 *     READING ──apply──▶ SETTING ──▶ settled
 *        ▲  │ └─ same, skipped, refused ──▶ settled
 *        │  └──ask──▶ ASKING ──▶ settled (a run before had done it)
 *        └─── somebody was faster, or: the server does not know the row ───┘
 *
 * What can fail. A row that is wrong, or that the server refuses, is told, and the import goes
 * on. A server that is busy or away gets the rows it did not answer again, after a pause and
 * before all others; after PATIENCE_MS without one answer the import ends. */

enum {
    BUSY_SLOTS = 65536, /* a power of 2, so large that few contacts share one */
    PAUSE_MS_MIN = 50,
    PAUSE_MS_MAX = 2000,
    PATIENCE_MS = 60000,
    EXHAUSTED_TRIES_MAX = 12, /* then it is no passing overload but a limit */
    RACES_MAX = 12,           /* then somebody writes to that contact without end */
    NOTE_EVERY_MS = 1000,
};

enum stage { READING, ASKING, SETTING };

/* One row from reading it until its end. */
struct dm_import_slot {
    struct dm_importing *importing;
    struct dm_import_slot *next; /* in `idle` or `again` */
    struct dm_row row;
    struct dm_row_request request;
    bool active;
    enum stage stage;
    bool asked;
    uint64_t contact;  /* its number, for the checkpoint */
    uint64_t revision; /* as it was read */
    struct dm_import_seen seen;
    uint64_t begin; /* where the row begins in the file, and the CRC up to there */
    uint32_t begin_crc;
    uint32_t tries, races;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void push(struct dm_import_slot **list, struct dm_import_slot *slot)
{
    slot->next = *list;
    *list = slot;
}

static struct dm_import_slot *pop(struct dm_import_slot **list)
{
    struct dm_import_slot *slot = *list;
    *list = slot->next;
    return slot;
}

/* ---- the checkpoint ------------------------------------------------------------------- */

/* All rows before the first that is under way are done. */
static void note(struct dm_importing *importing)
{
    uint64_t offset = importing->source.consumed;
    uint32_t crc = importing->source.crc;
    for (size_t i = 0; i < importing->slots_count; i++) {
        const struct dm_import_slot *slot = &importing->slots[i];
        if (slot->active && slot->begin < offset) {
            offset = slot->begin;
            crc = slot->begin_crc;
        }
    }
    if (offset > importing->checkpoint.done) {
        dm_checkpoint_done(&importing->checkpoint, offset, crc);
    }
    dm_checkpoint_flush(&importing->checkpoint);
}

static void note_now_and_then(struct dm_importing *importing)
{
    int64_t now_ms = dm_cli_monotonic_ms();
    if (now_ms - importing->noted_ms >= NOTE_EVERY_MS) {
        importing->noted_ms = now_ms;
        note(importing);
    }
}

/* ---- calls ---------------------------------------------------------------------------- */

static void pump(struct dm_importing *importing, bool wait);
static void start(struct dm_import_slot *slot);

static uint16_t *busy_of(const struct dm_import_slot *slot)
{
    return &slot->importing->busy[slot->contact & (BUSY_SLOTS - 1)];
}

/* The server is there. */
static void heard(struct dm_importing *importing)
{
    importing->heard_ms = dm_cli_monotonic_ms();
    importing->pause_ms = PAUSE_MS_MIN;
}

/* The row is done with, one way or another. */
static void settle(struct dm_import_slot *slot)
{
    struct dm_importing *importing = slot->importing;
    heard(importing);
    (*busy_of(slot))--;
    slot->active = false;
    push(&importing->idle, slot);
}

static void settle_done(struct dm_import_slot *slot, uint64_t *counter)
{
    (*counter)++;
    dm_checkpoint_refused(&slot->importing->checkpoint, slot->row.line, false);
    settle(slot);
}

static void settle_refused(struct dm_import_slot *slot, int code, struct dormouse_text why)
{
    dm_import_refuse(slot->importing, &slot->row, code, why);
    settle(slot);
}

/* Waits for its turn to be sent again? */
static bool passes(const struct dm_import_slot *slot, int code)
{
    return code == DORMOUSE_UNAVAILABLE || code == DORMOUSE_DEADLINE_EXCEEDED ||
           (code == DORMOUSE_RESOURCE_EXHAUSTED && slot->tries < EXHAUSTED_TRIES_MAX);
}

static void failed(struct dm_import_slot *slot, int code, struct dormouse_text why)
{
    if (passes(slot, code)) {
        slot->importing->last_code = code;
        push(&slot->importing->again, slot);
        return;
    }
    settle_refused(slot, code, why);
}

static void go(struct dm_import_slot *slot, enum stage stage)
{
    slot->stage = stage;
    slot->tries = 0;
    start(slot);
}

static void remember(struct dm_import_slot *slot, const struct dormouse_contact *contact)
{
    struct dm_import_seen *seen = &slot->seen;
    bool fits = contact->actor.size <= sizeof seen->actor;
    seen->exists = contact->revision > 0;
    seen->actor_size = fits ? contact->actor.size : 0;
    if (seen->actor_size > 0) {
        memcpy(seen->actor, contact->actor.data, seen->actor_size);
    }
    seen->since_ms = contact->since_ms;
    seen->seq = contact->last_seq;
    slot->revision = contact->revision;
}

static void apply(struct dm_import_slot *slot, const struct dormouse_contact *contact)
{
    struct dm_importing *importing = slot->importing;
    if (!importing->dry_run) {
        go(slot, SETTING);
        return;
    }
    int code;
    const char *why = dm_verdict_refusal(&slot->request.change, contact, dm_cli_now_ms(), &code);
    if (why != NULL) {
        settle_refused(slot, code, dormouse_text(why));
    } else {
        settle_done(slot, &importing->changed);
    }
}

static void judge(struct dm_import_slot *slot, const struct dormouse_contact *contact)
{
    struct dm_importing *importing = slot->importing;
    struct dm_known known = {.after_seq = importing->checkpoint.after_seq, .asked = slot->asked};
    known.has_own = dm_checkpoint_find_own(&importing->checkpoint, slot->contact, &known.own_seq);
    heard(importing);
    remember(slot, contact);
    switch (dm_verdict(&slot->request.change, contact, &known)) {
    case DM_VERDICT_APPLY:
        apply(slot, contact);
        return;
    case DM_VERDICT_SAME:
        settle_done(slot, &importing->same);
        return;
    case DM_VERDICT_ASK:
        go(slot, ASKING);
        return;
    case DM_VERDICT_SKIP:
        dm_import_skip(importing, &slot->row, &slot->seen);
        dm_checkpoint_refused(&importing->checkpoint, slot->row.line, false);
        settle(slot);
        return;
    }
}

static void on_contact(void *context, const struct dormouse_result *result,
                       const struct dormouse_contact *contact)
{
    struct dm_import_slot *slot = context;
    slot->importing->in_flight--;
    if (contact == NULL) {
        failed(slot, result->code, result->message);
    } else {
        judge(slot, contact);
    }
    pump(slot->importing, false);
}

/* What is OK was done now, unless it is the answer that a run before got: then the contact has
 * no revision after the one that was read. */
static void on_set(void *context, const struct dormouse_result *result,
                   const struct dormouse_set_status_answer *answer)
{
    struct dm_import_slot *slot = context;
    struct dm_importing *importing = slot->importing;
    importing->in_flight--;
    if (answer != NULL) {
        bool changed = slot->stage == SETTING && answer->contact->revision > slot->revision;
        dm_checkpoint_own(&importing->checkpoint, slot->contact, answer->contact->last_seq);
        settle_done(slot, changed ? &importing->changed : &importing->same);
    } else if (result->code == DORMOUSE_ABORTED && slot->races < RACES_MAX) {
        slot->races += slot->stage == SETTING;
        slot->asked = slot->asked || slot->stage == ASKING;
        go(slot, READING);
    } else {
        failed(slot, result->code, result->message);
    }
    pump(importing, false);
}

/* Asking is a change for a revision that no contact has: it is refused, unless the server still
 * knows what it answered to this row. */
static int call(struct dm_import_slot *slot)
{
    struct dm_cli *cli = slot->importing->cli;
    if (slot->stage == READING) {
        struct dormouse_get_contact key =
            DORMOUSE(get_contact, .account_id = slot->request.set.account_id,
                     .contact_id = slot->request.set.contact_id);
        return dormouse_get_contact(cli->client, &key, cli->timeout_ms, on_contact, slot);
    }
    struct dormouse_set_status request = slot->request.set;
    request.has_if_revision = true;
    request.if_revision = slot->stage == ASKING ? UINT64_MAX : slot->revision;
    return dormouse_set_status(cli->client, &request, cli->timeout_ms, on_set, slot);
}

static void start(struct dm_import_slot *slot)
{
    slot->tries++;
    int code = call(slot);
    if (code == DORMOUSE_OK) {
        slot->importing->in_flight++;
    } else {
        failed(slot, code, dormouse_client_last_refusal(slot->importing->cli->client));
    }
}

/* ---- rows ------------------------------------------------------------------------------- */

/* A row that an earlier run was done with; those that it was refused are tried again. */
static bool was_done(const struct dm_importing *importing, const struct dm_row *row)
{
    return importing->source.consumed <= importing->done_before &&
           !dm_checkpoint_was_refused(&importing->checkpoint, row->line);
}

static void accept_row(struct dm_importing *importing, struct dm_import_slot *slot)
{
    importing->rows++;
    if (was_done(importing, &slot->row)) {
        importing->before++;
        push(&importing->idle, slot);
        return;
    }
    const char *why =
        dm_row_request(&slot->row, &importing->defaults, dm_cli_now_ms(), &slot->request);
    if (why != NULL) {
        dm_import_refuse(importing, &slot->row, DORMOUSE_INVALID_ARGUMENT, dormouse_text(why));
        push(&importing->idle, slot);
        return;
    }
    slot->tries = slot->races = 0;
    slot->asked = false;
    slot->active = true;
    slot->contact = dm_checkpoint_contact(&importing->checkpoint, slot->request.set.account_id,
                                          slot->request.set.contact_id);
    importing->held = slot;
}

/* Reads one row: into `held`, or straight to its end. false: there is none now. */
static bool read_row(struct dm_importing *importing, bool wait)
{
    struct dm_import_slot *slot = pop(&importing->idle);
    slot->begin = importing->source.consumed;
    slot->begin_crc = importing->source.crc;
    enum dm_source_result result = dm_source_next(&importing->source, &slot->row, wait);
    switch (result) {
    case DM_SOURCE_ROW:
        accept_row(importing, slot);
        return true;
    case DM_SOURCE_BAD:
        importing->rows++;
        memset(slot->row.fields, 0, sizeof slot->row.fields);
        dm_import_refuse(importing, &slot->row, DORMOUSE_INVALID_ARGUMENT,
                         dormouse_text(importing->source.why));
        break;
    case DM_SOURCE_FAILED:
        importing->failed = importing->at_end = true;
        break;
    case DM_SOURCE_END:
        importing->at_end = true;
        break;
    case DM_SOURCE_WAIT:
        break;
    }
    push(&importing->idle, slot);
    return result == DM_SOURCE_BAD;
}

/* Begins the held row, when no other one of its contact is under way. */
static bool begin_held(struct dm_importing *importing)
{
    struct dm_import_slot *slot = importing->held;
    if (*busy_of(slot) > 0) {
        return false;
    }
    importing->held = NULL;
    if (importing->in_flight == 0) {
        importing->heard_ms = dm_cli_monotonic_ms(); /* waiting for input is no silence */
    }
    (*busy_of(slot))++;
    go(slot, READING);
    return true;
}

/* Begins rows while there are some and room. */
static void pump(struct dm_importing *importing, bool wait)
{
    while (!interrupted && importing->again == NULL) {
        if (importing->held == NULL && (importing->at_end || importing->idle == NULL ||
                                        !read_row(importing, wait && importing->in_flight == 0))) {
            break;
        }
        if (importing->held != NULL && !begin_held(importing)) {
            break;
        }
        if ((importing->rows & 1023) == 0) {
            dm_import_progress(importing);
            note_now_and_then(importing);
        }
    }
}

static void repeat(struct dm_importing *importing)
{
    struct dm_import_slot *list = importing->again;
    struct timespec pause = {.tv_sec = importing->pause_ms / 1000,
                             .tv_nsec = importing->pause_ms % 1000 * 1000000};
    dm_import_progress(importing);
    (void)nanosleep(&pause, NULL);
    importing->pause_ms =
        importing->pause_ms * 2 < PAUSE_MS_MAX ? importing->pause_ms * 2 : PAUSE_MS_MAX;
    importing->again = NULL;
    while (list != NULL) {
        start(pop(&list));
    }
}

static bool is_over(const struct dm_importing *importing)
{
    return importing->at_end && importing->held == NULL && importing->again == NULL &&
           importing->in_flight == 0;
}

static int run_rows(struct dm_importing *importing)
{
    while (!interrupted && !is_over(importing)) {
        if (dm_cli_monotonic_ms() - importing->heard_ms > PATIENCE_MS && importing->again != NULL) {
            return DM_EXIT_UNREACHABLE;
        }
        if (importing->again != NULL) {
            repeat(importing);
        } else {
            pump(importing, true);
        }
        if (importing->in_flight > 0) {
            (void)dormouse_client_run(importing->cli->client);
        }
    }
    if (importing->in_flight > 0) {
        (void)dormouse_client_run(importing->cli->client);
    }
    return interrupted ? DM_EXIT_INTERRUPTED : DM_EXIT_OK;
}

int dm_import_rows(struct dm_importing *importing)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    importing->slots = dm_xcalloc(importing->slots_count, sizeof *importing->slots);
    importing->busy = dm_xcalloc(BUSY_SLOTS, sizeof *importing->busy);
    for (size_t i = 0; i < importing->slots_count; i++) {
        importing->slots[i].importing = importing;
        push(&importing->idle, &importing->slots[i]);
    }
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    importing->pause_ms = PAUSE_MS_MIN;
    importing->noted_ms = dm_cli_monotonic_ms();
    dm_progress_start(&importing->progress, importing->noted_ms);
    int code = run_rows(importing);
    note(importing);
    for (size_t i = 0; i < importing->slots_count; i++) {
        dm_row_finish(&importing->slots[i].row);
    }
    free(importing->slots);
    free(importing->busy);
    return code;
}

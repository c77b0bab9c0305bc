#include "sim/sim.h"

#include "base/assert.h"

#include <stdlib.h>

/* Lists: whole ones at one moment, exact; and one page read slowly, while all the rest
 * goes on. */

struct place {
    int64_t until_ms;
    unsigned contact;
    const char *name;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    if (left->until_ms != right->until_ms) {
        return left->until_ms < right->until_ms ? -1 : 1;
    }
    return strcmp(left->name, right->name);
}

static unsigned expected_list(struct sim *sim, const struct dm_scan_options *options,
                              unsigned account, struct place *places)
{
    unsigned count = 0;
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        struct dm_effective now;
        if (!model_exists(sim->model, account, c)) {
            continue;
        }
        model_effective(sim->model, account, c, sim->clock.wall_ms, &now);
        bool by_wake = options->order == DM_SCAN_BY_WAKE;
        if ((options->status == 0 || options->status == now.status) &&
            (!by_wake || now.status == DM_STATUS_SNOOZED)) {
            places[count++] = (struct place){by_wake ? now.until_ms : 0, c, sim->names[c]};
        }
    }
    qsort(places, count, sizeof *places, compare_places);
    return count;
}

/* The applier may bring contacts from the overlay into the view meanwhile. */
static void disturb(struct sim *sim, uint64_t *random)
{
    if (chance(random, 30)) {
        (void)dm_engine_apply_work(sim->engine);
    }
    if (chance(random, 30)) {
        dm_engine_flush(sim->engine);
    }
}

/* Reads one page, `at` items into the list; returns how many it had. */
static unsigned read_page(struct sim *sim, unsigned account, struct dm_scan *scan,
                          const struct place *places, unsigned left, uint64_t *random)
{
    unsigned count = 0;
    for (;;) {
        struct dm_contact shown;
        size_t budget = 1 + pick(random, 20);
        enum dm_next next = dm_scan_next(scan, &shown, &budget);
        if (next == DM_NEXT_END) {
            return count;
        }
        if (next == DM_NEXT_PENDING) {
            disturb(sim, random);
            continue;
        }
        if (next != DM_NEXT_ITEM || count == left) {
            sim_fail(sim, "a list of %s has more items than expected", account_names[account]);
        }
        int contact = contact_of(sim, shown.contact_id);
        if (contact < 0 || (unsigned)contact != places[count].contact) {
            sim_fail(sim, "a list of %s: expected %s, found %.*s", account_names[account],
                     places[count].name, (int)shown.contact_id.size,
                     (const char *)shown.contact_id.data);
        }
        compare_shown(sim, account, (unsigned)contact, &shown);
        count++;
    }
}

uint64_t newest_lsn(const struct sim *sim, unsigned account)
{
    uint64_t newest = 0;
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        uint64_t lsn = sim->model->accounts[account].contacts[c].lsn;
        newest = lsn > newest ? lsn : newest;
    }
    return newest;
}

/* A whole list, page by page, against the sorted model. */
void do_list(struct sim *sim, uint64_t *random)
{
    struct place places[CONTACT_MAX];
    unsigned account = (unsigned)pick(random, ACCOUNT_COUNT);
    struct dm_scan_options options = {
        .account_id = account_slice(account),
        .order = chance(random, 40) ? DM_SCAN_BY_WAKE : DM_SCAN_BY_CONTACT,
        .status = (uint8_t)(chance(random, 50) ? 0 : pick(random, DM_STATUS_COUNT)),
        .limit = (uint32_t)(1 + pick(random, chance(random, 50) ? 5 : 200)),
    };
    unsigned count = expected_list(sim, &options, account, places), done = 0;
    char after[NAME_MAX_SIZE];
    sim_say(sim, "list %s order %d status %u limit %u: %u", account_names[account], options.order,
            options.status, options.limit, count);
    world_ask(sim);
    for (bool more = true; more;) {
        struct dm_scan *scan = dm_scan_open(sim->engine, &options);
        unsigned got = read_page(sim, account, scan, places + done, count - done, random);
        done += got;
        more = dm_scan_more(scan);
        if (more) {
            struct dm_slice last;
            dm_scan_last(scan, &last, &options.after_until_ms);
            memcpy(after, last.data, last.size);
            options.after_contact = dm_slice(after, last.size);
            sim_equal(sim, "a full page", account_names[account], options.limit, got);
        }
        dm_scan_close(scan);
    }
    sim_equal(sim, "the whole list", account_names[account], count, done);
    world_show(sim, newest_lsn(sim, account), dm_engine_barrier(sim->engine));
}

/* ---- a page read slowly --------------------------------------------------------------- */

static bool listed(const struct sim *sim, unsigned contact)
{
    const struct scan_run *run = &sim->scan;
    struct dm_effective now;
    if (!model_exists(sim->model, run->account, contact)) {
        return false;
    }
    model_effective(sim->model, run->account, contact, sim->clock.wall_ms, &now);
    return (run->status == 0 || run->status == now.status) &&
           (run->order == DM_SCAN_BY_CONTACT || now.status == DM_STATUS_SNOOZED);
}

void scan_forget(struct sim *sim)
{
    dm_scan_close(sim->scan.scan);
    sim->scan.scan = NULL;
}

static void scan_start(struct sim *sim, uint64_t *random)
{
    struct scan_run *run = &sim->scan;
    *run = (struct scan_run){
        .account = (unsigned)pick(random, 2),
        .order = chance(random, 40) ? DM_SCAN_BY_WAKE : DM_SCAN_BY_CONTACT,
        .status = (uint8_t)(chance(random, 30) ? 0 : 1 + pick(random, DM_STATUS_COUNT - 1)),
        .start_lsn = sim->model->count,
    };
    run->needed = newest_lsn(sim, run->account);
    const struct dm_scan_options options = {
        .account_id = account_slice(run->account),
        .order = run->order,
        .status = run->status,
        .limit = CONTACT_MAX,
    };
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        run->at_start[c] = listed(sim, c);
        run->awake_at_start[c] =
            sim->model->accounts[run->account].contacts[c].record.status != DM_STATUS_SNOOZED;
    }
    world_ask(sim);
    run->scan = dm_scan_open(sim->engine, &options);
    DM_ASSERT(run->scan != NULL);
    run->barrier = dm_engine_barrier(sim->engine);
    sim_say(sim, "a slow list of %s begins: order %d status %u", account_names[run->account],
            run->order, run->status);
}

static void scan_item(struct sim *sim, const struct dm_contact *shown)
{
    struct scan_run *run = &sim->scan;
    int contact = contact_of(sim, shown->contact_id);
    if (contact < 0 || !listed(sim, (unsigned)contact)) {
        sim_fail(sim, "a slow list shows %.*s, which is not in it", (int)shown->contact_id.size,
                 (const char *)shown->contact_id.data);
    }
    compare_shown(sim, run->account, (unsigned)contact, shown);
    if (run->order == DM_SCAN_BY_CONTACT && run->returned[contact]) {
        sim_fail(sim, "a slow list shows %s twice", sim->names[contact]);
    }
    run->returned[contact] = true;
    uint64_t needed = model_needed(sim->model, run->account, (unsigned)contact);
    run->needed = needed > run->needed ? needed : run->needed;
}

/* Who was in it at first and is left out was written to since; the first time at least is told
 * by that. */
static void need_what_left_out(struct sim *sim, unsigned contact)
{
    struct scan_run *run = &sim->scan;
    for (uint64_t lsn = run->start_lsn + 1; lsn <= sim->model->count; lsn++) {
        const struct m_entry *entry = &sim->model->entries[lsn - 1];
        if (entry->account == run->account && entry->contact == contact &&
            (entry->kind == M_CONTACT || entry->kind == M_DELETE)) {
            run->needed = lsn > run->needed ? lsn : run->needed;
            return;
        }
    }
}

/* Who was in it all along was shown. */
static void scan_end(struct sim *sim)
{
    struct scan_run *run = &sim->scan;
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        const struct m_contact *contact = &sim->model->accounts[run->account].contacts[c];
        bool unsure = sim->stepped_back && contact->record.status == DM_STATUS_SNOOZED;
        if (run->at_start[c] && contact->lsn <= run->start_lsn && listed(sim, c) && !unsure &&
            !run->returned[c]) {
            sim_fail(sim, "a slow list of %s misses %s", account_names[run->account],
                     sim->names[c]);
        }
        if (run->at_start[c] && run->awake_at_start[c] && !run->returned[c]) {
            need_what_left_out(sim, c);
        }
    }
    world_show(sim, run->needed, run->barrier);
}

/* One of those that were in the list when it began may leave it before it is shown. */
static void change_listed(struct sim *sim, uint64_t *random)
{
    const struct scan_run *run = &sim->scan;
    unsigned count = sim->model->contact_count, from = (unsigned)pick(random, count);
    for (unsigned i = 0; i < count; i++) {
        unsigned contact = (from + i) % count;
        if (run->at_start[contact]) {
            change_one(sim, random, run->account, contact);
            return;
        }
    }
}

/* Gathering goes on step by step; what is gathered is shown in one go, as a call does it. */
void do_slow_list(struct sim *sim, uint64_t *random)
{
    if (sim->scan.scan == NULL) {
        scan_start(sim, random);
    }
    size_t budget = 1 + pick(random, chance(random, 50) ? 4 : 40);
    for (;;) {
        struct dm_contact shown;
        dm_engine_call_begin(sim->engine, sim->scan.barrier);
        enum dm_next next = dm_scan_next(sim->scan.scan, &shown, &budget);
        sim->scan.barrier = dm_engine_barrier(sim->engine);
        if (next == DM_NEXT_PENDING) {
            if (chance(random, 40)) {
                change_listed(sim, random);
            }
            return;
        }
        if (next == DM_NEXT_END) {
            break;
        }
        scan_item(sim, &shown);
    }
    scan_end(sim);
    scan_forget(sim);
}

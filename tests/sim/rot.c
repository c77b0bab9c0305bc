#include "sim/sim.h"

/* A bit of a record in the view turns over. Whoever is asked about that contact may say so
 * (DATA_LOSS), or what is true, if that is still in memory; about everybody else nothing
 * changes. Then an operator sets it right. All in one step: what the others are held against
 * needs to know of no damage but here and in two places that ask sim_rotten. */

bool sim_rotten(const struct sim *sim, unsigned account, unsigned contact)
{
    return sim->rot.planted && sim->rot.account == account && sim->rot.contact == contact;
}

/* The record as it lies in the view; 0: it is not there. */
static size_t stored(struct sim *sim, const struct dm_key *key, uint8_t out[DM_RECORD_SIZE_MAX])
{
    struct dm_slice value = {0};
    dm_store_read_end(sim->store);
    if (dm_store_get(sim->store, DM_TABLE_CONTACTS, dm_key_slice(key), &value)) {
        memcpy(out, value.data, value.size);
    }
    dm_store_read_end(sim->store);
    return value.size;
}

static void put(struct sim *sim, const struct dm_key *key, const uint8_t *bytes, size_t size)
{
    dm_store_memory_fail(sim->store, 0);
    if (dm_store_txn_begin(sim->store, NULL) != DM_OK) {
        sim_fail(sim, "the view cannot be written");
    }
    dm_store_txn_put(sim->store, DM_TABLE_CONTACTS, dm_key_slice(key), dm_slice(bytes, size));
    if (dm_store_txn_commit(sim->store, NULL) != DM_OK) {
        sim_fail(sim, "the view cannot be written");
    }
    dm_store_read_end(sim->store);
}

static enum dm_code code_of(struct sim *sim, unsigned account, unsigned contact)
{
    struct dm_contact shown;
    world_ask(sim);
    return dm_engine_get(sim->engine, account_slice(account), contact_slice(sim, contact), &shown,
                         NULL);
}

/* A list has everybody else. */
static void check_list(struct sim *sim, unsigned account, uint64_t *random)
{
    bool returned[CONTACT_MAX] = {false};
    char after[NAME_MAX_SIZE];
    struct dm_scan_options options = {.account_id = account_slice(account),
                                      .limit = (uint32_t)(1 + pick(random, 8))};
    for (bool more = true; more;) {
        world_ask(sim);
        struct dm_scan *scan = dm_scan_open(sim->engine, &options);
        struct dm_contact shown;
        enum dm_next next = DM_NEXT_PENDING;
        while (next != DM_NEXT_END) {
            size_t budget = 50;
            next = dm_scan_next(scan, &shown, &budget);
            if (next == DM_NEXT_ITEM) {
                int contact = contact_of(sim, shown.contact_id);
                compare_shown(sim, account, (unsigned)contact, &shown);
                returned[contact] = true;
            }
        }
        more = dm_scan_more(scan);
        if (more) {
            struct dm_slice last;
            dm_scan_last(scan, &last, &options.after_until_ms);
            memcpy(after, last.data, last.size);
            options.after_contact = dm_slice(after, last.size);
        }
        dm_scan_close(scan);
    }
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        if (model_exists(sim->model, account, c) && !returned[c] && !sim_rotten(sim, account, c)) {
            sim_fail(sim, "beside a damaged record a list misses %s", sim->names[c]);
        }
    }
}

/* Returns the code; the model follows if it was taken. */
static enum dm_code set_anew(struct sim *sim, struct dm_op *op)
{
    unsigned account = sim->rot.account, contact = sim->rot.contact;
    struct dm_outcome out = {0};
    struct dm_op sent = *op;
    op->now_ms = sim->clock.wall_ms;
    world_ask(sim);
    enum dm_code code =
        dm_engine_mutate(sim->engine, account_slice(account), contact_slice(sim, contact),
                         dm_slice_str(""), &sent, &out, NULL);
    sim_say(sim, "    set anew by %u: %s", op->kind, dm_code_name((int)code));
    if (code != DM_OK) {
        check_order(sim, "a refusal to set anew");
        return code;
    }
    model_discard(sim->model, account, contact, op->now_ms);
    if (op->kind != DM_OP_DELETE) {
        model_step(sim->model, account, contact, 0, op, &sim->step);
        model_commit(sim->model, account, contact, op, &sim->step);
    }
    check_order(sim, "a contact set anew");
    world_show(sim, sim->model->accounts[account].contacts[contact].lsn,
               dm_engine_barrier(sim->engine));
    check_contact(sim, account, contact);
    return code;
}

static void set_right(struct sim *sim, uint64_t *random)
{
    struct dm_op set = {.kind = DM_OP_SET_STATUS}, delete = {.kind = DM_OP_DELETE},
                 reply = {.kind = DM_OP_COMMIT_REPLY}, locked = {.kind = DM_OP_SET_STATUS};
    locked.set.change.status = DM_STATUS_INACTIVE;
    sim_equal(sim, "the code", "a reply", DM_DATA_LOSS, set_anew(sim, &reply));
    sim_equal(sim, "the code", "a change without unlock", DM_DATA_LOSS, set_anew(sim, &locked));
    pick_change(sim, random, &set.set.change);
    set.set.change.unlock = true;
    if (chance(random, 60) && set_anew(sim, &set) == DM_OK) {
        return;
    }
    sim_equal(sim, "the code of a delete", sim->names[sim->rot.contact], DM_OK,
              set_anew(sim, &delete));
}

/* Something newer than the damage is durable: it is not asked for any more. */
static bool over(struct sim *sim)
{
    const struct rot *rot = &sim->rot;
    uint64_t lsn = sim->model->accounts[rot->account].contacts[rot->contact].lsn;
    return lsn > rot->start_lsn && lsn <= dm_engine_durable(sim->engine);
}

/* Any but those from which one learns how the contact was counted, and where its wake is in
 * the index: where these are wrong, so is a count by one, or an entry stays that nobody asks
 * for. */
static size_t pick_byte(uint64_t *random, size_t size)
{
    enum { STATUS = 1, UNTIL = 32, UNTIL_END = 40 };
    size_t at = (size_t)pick(random, size);
    return at == STATUS || (at >= UNTIL && at < UNTIL_END) ? 0 : at;
}

void do_rot(struct sim *sim, uint64_t *random)
{
    uint8_t good[DM_RECORD_SIZE_MAX] = {0}, bad[DM_RECORD_SIZE_MAX];
    unsigned account = (unsigned)pick(random, 2);
    unsigned contact = (unsigned)pick(random, CONTACT_FEW);
    struct dm_key key;
    dm_key_make(&key, sim->model->accounts[account].number, contact_slice(sim, contact));
    size_t size = stored(sim, &key, good);
    if (size == 0) {
        return;
    }
    memcpy(bad, good, size);
    size_t at = pick_byte(random, size);
    bad[at] ^= (uint8_t)(1U << pick(random, 8));
    sim_say(sim, "byte %zu of %s/%s in the view is damaged", at, account_names[account],
            sim->names[contact]);
    put(sim, &key, bad, size);
    sim->rot = (struct rot){
        .planted = true, .account = account, .contact = contact, .start_lsn = sim->model->count};
    if (chance(random, 50)) { /* nothing of it is in memory then, but what is to be replayed */
        world_restart(sim);
    }
    check_all(sim);
    check_list(sim, account, random);
    for (int tries = 0; tries < 10 && !over(sim); tries++) {
        world_settle(sim);
        if (world_writable(sim) && !world_overlay_full(sim) &&
            code_of(sim, account, contact) == DM_DATA_LOSS) {
            set_right(sim, random);
        }
        (void)world_work(sim, random); /* the power may be cut, and nothing set right after all */
    }
    uint8_t now[DM_RECORD_SIZE_MAX];
    if (!over(sim)) { /* the disk is full, say: it was no damage, then */
        if (stored(sim, &key, now) == size && memcmp(now, bad, size) == 0) {
            put(sim, &key, good, size);
        }
        world_restart(sim);
    }
    sim->rot.planted = false;
}

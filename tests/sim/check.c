#include "sim/sim.h"

#include "base/bytes.h"
#include "view/wake_key.h"

/* ---- single contacts --------------------------------------------------------------------- */

void check_order(struct sim *sim, const char *after)
{
    uint64_t last = dm_order_last(sim->journal->order);
    if (last != sim->model->count) {
        sim_fail(sim, "after %s the newest lsn is %llu, expected %llu", after,
                 (unsigned long long)last, (unsigned long long)sim->model->count);
    }
}

static void compare_slice(struct sim *sim, const char *what, unsigned contact,
                          struct dm_slice expected, struct dm_slice found)
{
    if (!dm_slice_equal(expected, found)) {
        sim_fail(sim, "%s of %s: expected \"%.*s\", found \"%.*s\"", what, sim->names[contact],
                 (int)expected.size, (const char *)expected.data, (int)found.size,
                 (const char *)found.data);
    }
}

void compare_shown(struct sim *sim, unsigned account, unsigned contact,
                   const struct dm_contact *shown)
{
    const char *name = sim->names[contact];
    const struct m_account *its = &sim->model->accounts[account];
    const struct dm_record *record = &its->contacts[contact].record;
    struct dm_effective now;
    model_effective(sim->model, account, contact, sim->clock.wall_ms, &now);
    sim_equal(sim, "status", name, now.status, shown->status);
    sim_equal(sim, "reason", name, now.reason, shown->reason);
    sim_equal(sim, "mode", name, now.mode, shown->mode);
    sim_equal(sim, "locked", name, now.locked, shown->locked);
    sim_equal(sim, "bot_messages", name, now.bot_messages, shown->bot_messages);
    sim_equal(sim, "missed_inbound", name, now.missed_inbound, shown->missed_inbound);
    sim_equal(sim, "fence", name, now.fence, shown->fence);
    sim_equal(sim, "revision", name, now.revision, shown->revision);
    sim_equal(sim, "last_seq", name, now.last_seq, shown->last_seq);
    sim_equal(sim, "since", name, (uint64_t)now.since_ms, (uint64_t)shown->since_ms);
    sim_equal(sim, "snoozed_until", name, (uint64_t)now.until_ms, (uint64_t)shown->until_ms);
    compare_slice(sim, "contact_id", contact, contact_slice(sim, contact), shown->contact_id);
    compare_slice(sim, "account_id", contact, account_slice(account), shown->account_id);
    compare_slice(sim, "bot_id", contact,
                  dm_slice_str(its->bot_count == 0 ? "" : bot_names[its->bots[now.bot].name]),
                  shown->bot_id);
    compare_slice(sim, "actor", contact,
                  now.expired ? dm_slice_str("dormouse")
                              : dm_slice(record->actor.bytes, record->actor.size),
                  shown->actor);
}

/* DATA_LOSS is for who is damaged, and nobody else. */
static bool readable(struct sim *sim, unsigned account, unsigned contact, enum dm_code code)
{
    if (code == DM_DATA_LOSS && sim_rotten(sim, account, contact)) {
        return false;
    }
    sim_equal(sim, "the code of a read", sim->names[contact], DM_OK, code);
    return true;
}

void check_contact(struct sim *sim, unsigned account, unsigned contact)
{
    const char *name = sim->names[contact];
    struct dm_effective expected, found;
    struct dm_contact shown;
    uint64_t needed = model_needed(sim->model, account, contact);
    world_ask(sim);
    enum dm_code code = dm_engine_check(sim->engine, account_slice(account),
                                        contact_slice(sim, contact), &found, NULL);
    if (!readable(sim, account, contact, code)) {
        return;
    }
    model_effective(sim->model, account, contact, sim->clock.wall_ms, &expected);
    sim_equal(sim, "Check: decision", name, expected.decision, found.decision);
    sim_equal(sim, "Check: reason", name, expected.decision_reason, found.decision_reason);
    sim_equal(sim, "Check: status", name, expected.status, found.status);
    sim_equal(sim, "Check: fence", name, expected.fence, found.fence);
    sim_equal(sim, "Check: valid until", name, (uint64_t)expected.until_ms,
              (uint64_t)found.until_ms);
    sim_equal(sim, "Check: limited", name, expected.limited, found.limited);
    sim_equal(sim, "Check: messages left", name, expected.messages_left, found.messages_left);
    world_show(sim, needed, dm_engine_barrier(sim->engine));
    world_ask(sim);
    code = dm_engine_get(sim->engine, account_slice(account), contact_slice(sim, contact), &shown,
                         NULL);
    if (!readable(sim, account, contact, code)) {
        return;
    }
    compare_shown(sim, account, contact, &shown);
    world_show(sim, needed, dm_engine_barrier(sim->engine));
}

/* ---- policies and numbers ------------------------------------------------------------------ */

static void check_policy(struct sim *sim, unsigned account, unsigned name)
{
    struct dm_policy found;
    uint8_t expected_bytes[DM_POLICY_SIZE], found_bytes[DM_POLICY_SIZE];
    int bot = model_bot(sim->model, account, name);
    world_ask(sim);
    dm_engine_policy(sim->engine, account_slice(account), dm_slice_str(bot_names[name]), &found);
    const struct dm_policy *expected =
        bot < 0 ? dm_policy_default() : model_policy(sim->model, account, (uint32_t)bot);
    (void)dm_policy_encode(expected, expected_bytes);
    (void)dm_policy_encode(&found, found_bytes);
    if (memcmp(expected_bytes, found_bytes, DM_POLICY_SIZE) != 0) {
        sim_fail(sim,
                 "the policy of %s/\"%s\" is not the one that was set (revision %llu, not %llu)",
                 account_names[account], bot_names[name], (unsigned long long)found.revision,
                 (unsigned long long)expected->revision);
    }
    world_show(sim, sim->model->accounts[account].policy_lsn, dm_engine_barrier(sim->engine));
}

static void check_counts(struct sim *sim, unsigned account, struct dm_counts *totals)
{
    struct dm_counts expected = {0};
    int64_t next_ms = 0;
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        const struct dm_record *record = &sim->model->accounts[account].contacts[c].record;
        expected.contacts += record->status != DM_STATUS_NONE;
        expected.active += record->status == DM_STATUS_ACTIVE;
        expected.snoozed += record->status == DM_STATUS_SNOOZED;
        expected.inactive += record->status == DM_STATUS_INACTIVE;
        if (record->status == DM_STATUS_SNOOZED && (next_ms == 0 || record->until_ms < next_ms)) {
            next_ms = record->until_ms;
        }
    }
    struct dm_engine_stats stats;
    const char *name = account_names[account];
    world_ask(sim);
    dm_engine_stats(sim->engine, account_slice(account), &stats);
    world_show(sim, newest_lsn(sim, account), dm_engine_barrier(sim->engine));
    sim_equal(sim, "contacts", name, expected.contacts, stats.counts.contacts);
    sim_equal(sim, "active", name, expected.active, stats.counts.active);
    sim_equal(sim, "snoozed", name, expected.snoozed, stats.counts.snoozed);
    sim_equal(sim, "inactive", name, expected.inactive, stats.counts.inactive);
    if (stats.overlay_contacts < 64) { /* with more it is a good guess */
        sim_equal(sim, "next wake", name, (uint64_t)next_ms, (uint64_t)stats.next_wake_ms);
    }
    totals->contacts += expected.contacts;
    totals->active += expected.active;
    totals->snoozed += expected.snoozed;
    totals->inactive += expected.inactive;
}

static void check_numbers(struct sim *sim)
{
    struct dm_counts totals = {0};
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        check_counts(sim, a, &totals);
    }
    struct dm_engine_stats stats;
    dm_engine_stats(sim->engine, dm_slice(NULL, 0), &stats);
    sim_equal(sim, "contacts", "the server", totals.contacts, stats.counts.contacts);
    sim_equal(sim, "active", "the server", totals.active, stats.counts.active);
    sim_equal(sim, "snoozed", "the server", totals.snoozed, stats.counts.snoozed);
    sim_equal(sim, "inactive", "the server", totals.inactive, stats.counts.inactive);
    sim_equal(sim, "accounts", "the server", sim->model->account_count, stats.accounts);
    if (stats.sleepers > totals.snoozed) {
        sim_fail(sim, "%u timers for %llu sleepers", stats.sleepers,
                 (unsigned long long)totals.snoozed);
    }
    if (stats.applied_lsn > stats.order.durable_lsn) {
        sim_fail(sim, "lsn %llu is applied, and only %llu durable",
                 (unsigned long long)stats.applied_lsn,
                 (unsigned long long)stats.order.durable_lsn);
    }
}

void check_all(struct sim *sim)
{
    check_order(sim, "all that was done");
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        for (unsigned c = 0; c < sim->model->contact_count; c++) {
            check_contact(sim, a, c);
        }
        for (unsigned b = 0; b < BOT_COUNT; b++) {
            check_policy(sim, a, b);
        }
    }
    check_numbers(sim);
}

/* ---- the view ------------------------------------------------------------------------------- */

static unsigned count_rows(struct sim *sim, enum dm_table table)
{
    unsigned rows = 0;
    uint8_t at[128] = {0};
    size_t size = 1;
    struct dm_slice key, value;
    while (dm_store_seek(sim->store, table, dm_slice(at, size), rows > 0, &key, &value)) {
        memcpy(at, key.data, key.size);
        size = key.size;
        rows++;
    }
    return rows;
}

/* One contact's rows: its record, and its wake if it sleeps. */
static void check_rows(struct sim *sim, unsigned account, unsigned contact)
{
    const struct m_account *its = &sim->model->accounts[account];
    const struct dm_record *record = &its->contacts[contact].record;
    uint8_t encoded[DM_RECORD_SIZE_MAX], wake[DM_WAKE_KEY_SIZE_MAX];
    struct dm_key key;
    struct dm_slice value;
    dm_key_make(&key, its->number, contact_slice(sim, contact));
    struct dm_slice expected = dm_slice(encoded, dm_record_encode(record, encoded));
    if (!dm_store_get(sim->store, DM_TABLE_CONTACTS, dm_key_slice(&key), &value) ||
        !dm_slice_equal(value, expected)) {
        sim_fail(sim, "the view has not the newest record of %s/%s", account_names[account],
                 sim->names[contact]);
    }
    if (record->status == DM_STATUS_SNOOZED) {
        size_t size = dm_wake_key_make(wake, dm_key_slice(&key), record->until_ms);
        if (!dm_store_get(sim->store, DM_TABLE_WAKES, dm_slice(wake, size), &value)) {
            sim_fail(sim, "the view's index lacks the wake of %s/%s", account_names[account],
                     sim->names[contact]);
        }
        sim_equal(sim, "the fence in the index", sim->names[contact], record->fence,
                  dm_load_le64(value.data));
    }
}

void check_view(struct sim *sim)
{
    struct dm_engine_stats stats;
    dm_engine_stats(sim->engine, dm_slice(NULL, 0), &stats);
    if (stats.overlay_contacts != 0) {
        return;
    }
    unsigned contacts = 0, sleepers = 0;
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        for (unsigned c = 0; c < sim->model->contact_count; c++) {
            if (model_exists(sim->model, a, c)) {
                check_rows(sim, a, c);
                contacts++;
                sleepers += sim->model->accounts[a].contacts[c].record.status == DM_STATUS_SNOOZED;
            }
        }
    }
    sim_equal(sim, "contacts", "the view", contacts, count_rows(sim, DM_TABLE_CONTACTS));
    sim_equal(sim, "wakes", "the view", sleepers, count_rows(sim, DM_TABLE_WAKES));
    dm_store_read_end(sim->store);
}

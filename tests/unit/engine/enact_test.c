#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/enact.h"
#include "engine/read.h"
#include "engine/topup.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"

/* Who writes, who follows entry by entry, and who starts again on the same journal come to the same
 * state: accounts, counts, floors, policies, contacts, answers of Check, timers. */

static const int64_t start_ms = 1800000000000;
static const int64_t horizon_ms = 400LL * 24 * 3600 * 1000;

enum { ACCOUNTS = 3, CONTACTS = 6, BOTS = 3, SNOOZE_S_MAX = 60, STEPS = 400, SEEDS = 12 };

static const char *const account_names[ACCOUNTS] = {"acme", "b", "some longer name of an account"};
static const char *const contact_names[CONTACTS] = {
    "a", "b", "c", "d", "somebody whose name needs more than 27 bytes", "f"};
static const char *const bot_names[BOTS] = {"", "x", "yy"};

struct fixture {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store, *followers_store;
    struct dm_engine *writer, *follower;
    uint64_t random;
};

static struct dm_engine *open_engine(struct fixture *f, struct dm_store *store)
{
    struct dm_error error;
    struct dm_engine *engine;
    const struct dm_engine_options options = {
        .order = f->journal->order,
        .journal = f->journal,
        .store = store,
        .clock = virtual_clock_port(&f->clock),
        .horizon_ms = horizon_ms,
        .overlay_max = 16384,
        .contacts_per_txn = 3,
        .manual_applier = true,
    };
    assert_int_equal(dm_engine_open(&engine, &options, &error), DM_OK);
    while (dm_engine_topup(engine, f->clock.wall_ms)) {
    }
    return engine;
}

static void begin(struct fixture *f, uint64_t seed)
{
    *f = (struct fixture){.random = seed};
    f->clock = (struct virtual_clock){.wall_ms = start_ms, .monotonic_ns = 1};
    f->journal = dm_journal_open_memory();
    f->store = dm_store_open_memory();
    f->followers_store = dm_store_open_memory();
    f->writer = open_engine(f, f->store);
    f->follower = open_engine(f, f->followers_store);
}

static void end(struct fixture *f)
{
    dm_engine_close(f->writer);
    dm_engine_close(f->follower);
    dm_journal_close(f->journal);
    dm_store_close(f->store);
    dm_store_close(f->followers_store);
}

static uint64_t pick(struct fixture *f, uint64_t below)
{
    return dm_test_random(&f->random) % below;
}

/* ---- what the writer does ----------------------------------------------------------- */

static void set_policy(struct fixture *f, struct dm_slice account)
{
    struct dm_policy policy = *dm_policy_default();
    struct dm_error error;
    policy.mode = (uint8_t)(pick(f, 6) == 0 ? DM_MODE_OFF : DM_MODE_AUTO_PILOT);
    policy.message_limit = (uint32_t)pick(f, 4);
    assert_int_equal(dm_engine_set_policy(f->writer, account,
                                          dm_slice_str(bot_names[pick(f, BOTS)]), &policy, false, 0,
                                          &error),
                     DM_OK);
}

static struct dm_op random_op(struct fixture *f, uint64_t fence)
{
    static const uint8_t kinds[] = {DM_OP_SET_STATUS,   DM_OP_SET_STATUS, DM_OP_SET_STATUS,
                                    DM_OP_COMMIT_REPLY, DM_OP_ACTIVITY,   DM_OP_DELETE};
    struct dm_op op = {.kind = kinds[pick(f, sizeof kinds)]};
    if (op.kind == DM_OP_SET_STATUS) {
        uint8_t status = (uint8_t)(1 + pick(f, 3));
        op.set.change = (struct dm_change){
            .status = status,
            .has_for = status == DM_STATUS_SNOOZED,
            .for_ms = status == DM_STATUS_SNOOZED ? (int64_t)(1 + pick(f, SNOOZE_S_MAX)) * 1000 : 0,
            .lock = status == DM_STATUS_INACTIVE && pick(f, 4) == 0,
            .unlock = pick(f, 2) == 0,
            .has_bot = pick(f, 4) == 0,
            .actor = dm_slice_str("anna"),
        };
    } else if (op.kind == DM_OP_COMMIT_REPLY) {
        op.commit.fence = fence;
    } else if (op.kind == DM_OP_ACTIVITY) {
        op.activity.activity = (uint8_t)(1 + pick(f, DM_ACTIVITY_COUNT - 1));
    }
    op.request = op.kind != DM_OP_DELETE && pick(f, 3) == 0 ? 1 + pick(f, 50) : 0;
    return op;
}

static void change(struct fixture *f)
{
    struct dm_slice account = dm_slice_str(account_names[pick(f, ACCOUNTS)]);
    struct dm_slice contact = dm_slice_str(contact_names[pick(f, CONTACTS)]);
    struct dm_effective now;
    struct dm_outcome out;
    struct dm_error error;
    dm_engine_call_begin(f->writer, 0);
    if (pick(f, 12) == 0) {
        set_policy(f, account);
        return;
    }
    assert_int_equal(dm_engine_check(f->writer, account, contact, &now, &error), DM_OK);
    struct dm_op op = random_op(f, now.fence);
    enum dm_code code = dm_engine_mutate(f->writer, account, contact,
                                         dm_slice_str(bot_names[pick(f, BOTS)]), &op, &out, &error);
    assert_true(code == DM_OK || code == DM_FAILED_PRECONDITION || code == DM_INVALID_ARGUMENT);
}

/* Time goes by: snoozes end, and now and then a sweep goes into the view. */
static void pass(struct fixture *f)
{
    virtual_clock_advance(&f->clock, (int64_t)pick(f, 20) * 1000);
    while (dm_engine_turn(f->writer) == 0) {
    }
    if (pick(f, 4) == 0) {
        while (dm_engine_apply_work(f->writer)) {
        }
        while (dm_engine_turn(f->writer) == 0) {
        }
    }
}

/* ---- who follows -------------------------------------------------------------------- */

static bool follow_one(void *context, const struct dm_entry *entry)
{
    struct dm_error error;
    return dm_engine_enact_entry(context, entry, &error) == DM_OK;
}

static void follow(struct fixture *f)
{
    struct dm_error error;
    dm_engine_flush(f->writer);
    assert_int_equal(
        dm_journal_each(f->journal, f->follower->last_lsn, follow_one, f->follower, &error), DM_OK);
}

/* ---- comparing ------------------------------------------------------------------------ */

static void accounts_equal(const struct dm_accounts *a, const struct dm_accounts *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->totals, b->totals, sizeof a->totals);
    for (uint32_t number = 1; number <= a->count; number++) {
        const struct dm_account *one = dm_accounts_at(a, number), *two = dm_accounts_at(b, number);
        assert_int_equal(one->id_size, two->id_size);
        assert_memory_equal(one->id, two->id, one->id_size);
        assert_int_equal(one->fence_floor, two->fence_floor);
        assert_memory_equal(one->counts, two->counts, sizeof one->counts);
        assert_int_equal(one->bot_count, two->bot_count);
        for (uint32_t bot = 0; bot < one->bot_count; bot++) {
            const struct dm_bot *its = &one->bots[bot], *others = &two->bots[bot];
            uint8_t policies[2][DM_POLICY_SIZE];
            assert_int_equal(its->id_size, others->id_size);
            assert_memory_equal(its->id, others->id, its->id_size);
            assert_int_equal(its->policy == NULL, others->policy == NULL);
            (void)dm_policy_encode(dm_account_policy(one, bot), policies[0]);
            (void)dm_policy_encode(dm_account_policy(two, bot), policies[1]);
            assert_memory_equal(policies[0], policies[1], DM_POLICY_SIZE);
        }
    }
}

static void answers_equal(struct dm_engine *a, struct dm_engine *b, struct dm_slice account,
                          struct dm_slice contact)
{
    struct dm_effective one, two;
    struct dm_error error;
    assert_int_equal(dm_engine_check(a, account, contact, &one, &error), DM_OK);
    assert_int_equal(dm_engine_check(b, account, contact, &two, &error), DM_OK);
    assert_int_equal(one.status, two.status);
    assert_int_equal(one.reason, two.reason);
    assert_int_equal(one.mode, two.mode);
    assert_int_equal(one.decision, two.decision);
    assert_int_equal(one.bot, two.bot);
    assert_int_equal(one.bot_messages, two.bot_messages);
    assert_int_equal(one.fence, two.fence);
    assert_int_equal(one.until_ms, two.until_ms);
}

/* Of both overlays, what both have says the same, by the same entry. */
static void contact_equal(struct dm_engine *a, struct dm_engine *b, uint32_t account,
                          const char *name)
{
    struct dm_key key;
    struct dm_slice one, two;
    uint64_t one_lsn, two_lsn;
    dm_key_make(&key, account, dm_slice_str(name));
    struct dm_hashed_key hashed = dm_key_hashed(dm_key_slice(&key));
    if (dm_overlay_get(a->overlay, hashed, &one, &one_lsn) &&
        dm_overlay_get(b->overlay, hashed, &two, &two_lsn)) {
        assert_int_equal(one_lsn, two_lsn);
    }
    enum dm_code code = dm_engine_find(a, hashed, &one, NULL);
    assert_int_equal(dm_engine_find(b, hashed, &two, NULL), code);
    if (code == DM_OK) {
        assert_true(dm_slice_equal(one, two));
    }
}

static void timers_equal(struct dm_engine *a, struct dm_engine *b)
{
    assert_int_equal(dm_sleepers_count(a->sleepers), dm_sleepers_count(b->sleepers));
    assert_int_equal(dm_sleepers_earliest(a->sleepers), dm_sleepers_earliest(b->sleepers));
    for (uint32_t account = 1; account <= a->accounts.count; account++) {
        for (int i = 0; i < CONTACTS; i++) {
            struct dm_key key;
            dm_key_make(&key, account, dm_slice_str(contact_names[i]));
            struct dm_hashed_key hashed = dm_key_hashed(dm_key_slice(&key));
            assert_int_equal(dm_sleepers_has(a->sleepers, hashed),
                             dm_sleepers_has(b->sleepers, hashed));
        }
    }
}

/* `a` and `b` may stand at different places of the way into the view, and nowhere else. */
static void states_equal(struct dm_engine *a, struct dm_engine *b)
{
    assert_int_equal(a->last_lsn, b->last_lsn);
    assert_int_equal(a->last_seq, b->last_seq);
    accounts_equal(&a->accounts, &b->accounts);
    for (int i = 0; i < ACCOUNTS; i++) {
        for (int j = 0; j < CONTACTS; j++) {
            const struct dm_account *account =
                dm_accounts_find(&a->accounts, dm_slice_str(account_names[i]));
            answers_equal(a, b, dm_slice_str(account_names[i]), dm_slice_str(contact_names[j]));
            if (account != NULL) {
                contact_equal(a, b, account->number, contact_names[j]);
            }
        }
    }
    timers_equal(a, b);
}

/* Who goes off when, with which fence: empties both wheels. */
static void wakes_equal(struct fixture *f, struct dm_engine *a, struct dm_engine *b)
{
    enum { DUE_MAX = ACCOUNTS * CONTACTS };
    struct dm_sleeper one[DUE_MAX], two[DUE_MAX];
    size_t all = 0;
    uint32_t total = dm_sleepers_count(a->sleepers);
    for (int64_t now_ms = f->clock.wall_ms; now_ms < f->clock.wall_ms + horizon_ms && all < total;
         now_ms += 1000) {
        bool more = true;
        size_t ones = 0, twos = 0;
        while (more) {
            ones += dm_sleepers_expired(a->sleepers, now_ms, one + ones, DUE_MAX - ones, &more);
        }
        more = true;
        while (more) {
            twos += dm_sleepers_expired(b->sleepers, now_ms, two + twos, DUE_MAX - twos, &more);
        }
        assert_int_equal(ones, twos);
        for (size_t i = 0; i < ones; i++) {
            size_t j = 0;
            while (j < twos &&
                   !dm_slice_equal(dm_key_slice(&one[i].key), dm_key_slice(&two[j].key))) {
                j++;
            }
            assert_true(j < twos);
            assert_int_equal(one[i].fence, two[j].fence);
        }
        all += ones;
    }
    assert_int_equal(dm_sleepers_count(b->sleepers), 0);
}

static void restart_equals(struct fixture *f, bool to_the_end)
{
    struct dm_store *store = dm_store_memory_clone(f->store);
    struct dm_engine *restarted = open_engine(f, store);
    states_equal(f->writer, restarted);
    if (to_the_end) {
        wakes_equal(f, f->follower, restarted);
    }
    dm_engine_close(restarted);
    dm_store_close(store);
}

static void all_ways_lead_to_the_same_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        for (int i = 0; i < STEPS; i++) {
            if (pick(&f, 8) == 0) {
                pass(&f);
            } else {
                change(&f);
            }
            follow(&f);
            states_equal(f.writer, f.follower);
            if (pick(&f, 40) == 0) {
                restart_equals(&f, false);
            }
        }
        assert_in_range(f.writer->wakes, 1, STEPS);
        assert_in_range(f.writer->applied_lsn, 1, f.writer->last_lsn);
        restart_equals(&f, true);
        end(&f);
    }
}

/* ---- what does not follow ----------------------------------------------------------------- */

static enum dm_code enact(struct dm_engine *engine, uint64_t lsn, uint64_t seq,
                          const struct dm_entry_body *body)
{
    uint8_t bytes[DM_ENTRY_SIZE_MAX];
    struct dm_error error;
    const struct dm_entry entry = {
        .lsn = lsn, .seq = seq, .payload = dm_slice(bytes, dm_entry_encode(body, bytes))};
    return dm_engine_enact_entry(engine, &entry, &error);
}

static struct dm_entry_body account_body(uint32_t number)
{
    struct dm_entry_body body = {.kind = DM_ENTRY_ACCOUNT};
    body.account = (struct dm_entry_account){.account = number, .id = dm_slice_str("acme")};
    return body;
}

static struct dm_entry_body contact_body(uint32_t account, uint8_t from, uint32_t bot, uint64_t seq)
{
    static uint8_t buffers[8][DM_RECORD_SIZE_MAX];
    static unsigned next;
    uint8_t *bytes = buffers[next++ % 8]; /* a caller may hold some of them */
    struct dm_record record;
    dm_record_clear(&record);
    record.status = DM_STATUS_INACTIVE;
    record.reason = DM_REASON_SET;
    record.bot = bot;
    record.fence = 1;
    record.last_seq = seq;
    struct dm_entry_body body = {.kind = DM_ENTRY_CONTACT};
    body.contact = (struct dm_entry_contact){
        .account = account,
        .from = from,
        .contact = dm_slice_str("c"),
        .record = dm_slice(bytes, dm_record_encode(&record, bytes)),
    };
    return body;
}

/* What a delete leaves of a record is none that a contact can have. */
static struct dm_entry_body gone_body(void)
{
    static uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_record record;
    dm_record_clear(&record);
    record.fence = 7;
    struct dm_entry_body body = contact_body(1, 0, 0, 2);
    body.contact.record = dm_slice(bytes, dm_record_encode(&record, bytes));
    return body;
}

static struct dm_entry_body delete_body(uint32_t account, uint8_t from, uint64_t floor)
{
    struct dm_entry_body body = {.kind = DM_ENTRY_DELETE};
    body.deleted = (struct dm_entry_delete){
        .account = account, .from = from, .fence_floor = floor, .contact = dm_slice_str("c")};
    return body;
}

static struct dm_entry_body bot_body(uint32_t account, uint32_t bot)
{
    struct dm_entry_body body = {.kind = DM_ENTRY_BOT};
    body.bot = (struct dm_entry_bot){.account = account, .bot = bot, .id = dm_slice_str("x")};
    return body;
}

static void what_does_not_follow_is_damage(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    struct dm_engine *engine = f.follower;
    struct dm_entry_body made = account_body(1), contact = contact_body(1, 0, 0, 1);
    struct dm_entry_body deleted = delete_body(1, DM_STATUS_INACTIVE, 5);
    assert_int_equal(enact(engine, 1, 0, &contact), DM_DATA_LOSS); /* of no account yet */
    assert_int_equal(enact(engine, 2, 0, &made), DM_DATA_LOSS);    /* one is missing */
    assert_int_equal(enact(engine, 1, 0, &made), DM_OK);
    assert_int_equal(enact(engine, 1, 0, &made), DM_DATA_LOSS); /* once more */
    assert_int_equal(enact(engine, 2, 1, &contact), DM_OK);
    assert_int_equal(enact(engine, 3, 1, &contact), DM_DATA_LOSS); /* the seq is taken */
    assert_int_equal(enact(engine, 3, 2, &contact), DM_DATA_LOSS); /* the record says another */
    assert_int_equal(enact(engine, 3, 0, &deleted), DM_OK);
    assert_int_equal(engine->last_lsn, 3);
    struct dm_entry_body nobody = contact_body(1, 0, 0, 2), nameless = account_body(2);
    nobody.contact.contact = nameless.account.id = dm_slice(NULL, 0);
    const struct dm_entry_body bad[] = {
        gone_body(),
        nobody,
        nameless,
        account_body(1),          /* the number is taken */
        account_body(3),          /* or the next is left out */
        contact_body(2, 0, 0, 2), /* no such account */
        contact_body(0, 0, 0, 2), /* likewise */
        contact_body(1, 4, 0, 2), /* no status */
        contact_body(1, 0, 1, 2), /* no such bot */
        delete_body(2, 0, 9),     /* no such account */
        delete_body(1, 9, 9),     /* no status */
        delete_body(1, 0, 4),     /* the floor goes back */
        bot_body(2, 1),           /* no such account */
        bot_body(1, 2),           /* the next number is left out */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(enact(engine, 4, 0, &bad[i]), DM_DATA_LOSS);
    }
    assert_int_equal(engine->last_lsn, 3);
    assert_int_equal(engine->last_seq, 1);
    assert_int_equal(engine->accounts.totals[DM_STATUS_INACTIVE], 0);
    end(&f);
}

/* A history goes from an event to the one before it; one that leads forward would never end. */
static void a_history_that_leads_forward_is_damage(void **state)
{
    (void)state;
    for (uint64_t previous = 0; previous < 3; previous++) {
        struct fixture f;
        uint8_t bytes[DM_ENTRY_SIZE_MAX];
        begin(&f, 1);
        struct dm_entry_body made = account_body(1), contact = contact_body(1, 0, 0, 1);
        contact.contact.previous_seq = previous;
        (void)dm_order_append(f.journal->order, dm_slice(bytes, dm_entry_encode(&made, bytes)), 0);
        (void)dm_order_append(f.journal->order, dm_slice(bytes, dm_entry_encode(&contact, bytes)),
                              1);
        dm_order_flush(f.journal->order);
        follow(&f);
        struct dm_history *history =
            dm_history_open(f.follower, dm_slice_str("acme"), dm_slice_str("c"), 0);
        struct dm_event event;
        size_t budget = SIZE_MAX;
        assert_int_equal(dm_history_next(history, &event, &budget),
                         previous == 0 ? DM_NEXT_ITEM : DM_NEXT_FAILED);
        dm_history_close(history);
        end(&f);
    }
}

/* A damaged record may have left under another status than the one it was counted under. */
static void a_count_stays_at_zero(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    struct dm_engine *engine = f.follower;
    struct dm_entry_body made = account_body(1), contact = contact_body(1, 0, 0, 1);
    struct dm_entry_body deleted = delete_body(1, DM_STATUS_ACTIVE, 2);
    assert_int_equal(enact(engine, 1, 0, &made), DM_OK);
    assert_int_equal(enact(engine, 2, 1, &contact), DM_OK);
    assert_int_equal(enact(engine, 3, 0, &deleted), DM_OK);
    const struct dm_account *account = dm_accounts_at(&engine->accounts, 1);
    assert_int_equal(account->counts[DM_STATUS_ACTIVE], 0);
    assert_int_equal(account->counts[DM_STATUS_INACTIVE], 1);
    assert_int_equal(engine->accounts.totals[DM_STATUS_ACTIVE], 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_lead_to_the_same_state),
        cmocka_unit_test(what_does_not_follow_is_damage),
        cmocka_unit_test(a_count_stays_at_zero),
        cmocka_unit_test(a_history_that_leads_forward_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

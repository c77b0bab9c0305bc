#include "sim/sim.h"

#include <stdio.h>

static const char *const actors[] = {"anna", "ben", "workflow", ""};

/* ---- what a client asks for ---------------------------------------------------------- */

static unsigned pick_account(uint64_t *random)
{
    return chance(random, 60) ? 0 : (unsigned)pick(random, ACCOUNT_COUNT);
}

static unsigned pick_contact(uint64_t *random)
{
    return (unsigned)pick(random, CONTACT_FEW);
}

/* Few ids, so that they come again: soon after, or when they are long forgotten. */
static uint64_t pick_request(uint64_t *random, enum dm_request_method method)
{
    char id[16];
    if (chance(random, 40)) {
        return 0;
    }
    (void)snprintf(id, sizeof id, "r%u", (unsigned)pick(random, 10));
    return dm_request_hash(method, dm_slice_str(id));
}

void pick_change(struct sim *sim, uint64_t *random, struct dm_change *change)
{
    static const uint8_t statuses[] = {DM_STATUS_ACTIVE, DM_STATUS_SNOOZED, DM_STATUS_SNOOZED,
                                       DM_STATUS_SNOOZED, DM_STATUS_INACTIVE};
    *change = (struct dm_change){
        .status = statuses[pick(random, sizeof statuses)],
        .reason = (uint8_t)(chance(random, 70) ? 0 : DM_REASON_MANUAL_MESSAGE),
        .unlock = chance(random, 40),
        .actor = dm_slice_str(actors[pick(random, sizeof actors / sizeof actors[0])]),
    };
    if (change->status == DM_STATUS_SNOOZED) {
        int64_t for_ms = pick_span(random, DM_SNOOZE_MS_MIN, sim->config.snooze_max_ms);
        change->has_for = chance(random, 50);
        change->has_until = !change->has_for;
        change->for_ms = change->has_for ? for_ms : 0;
        change->until_ms = change->has_until ? sim->clock.wall_ms + for_ms : 0;
    }
    change->lock = change->status == DM_STATUS_INACTIVE && chance(random, 20);
}

/* ---- one mutation, held against the model ----------------------------------------------- */

static void compare_answer(struct sim *sim, unsigned account, unsigned contact,
                           const struct dm_answer *answer, const struct dm_outcome *out)
{
    const char *name = sim->names[contact];
    const struct dm_contact *shown = &out->contact;
    sim_equal(sim, "granted", name, answer->granted, out->granted);
    sim_equal(sim, "changed", name, answer->changed, out->changed);
    sim_equal(sim, "decision", name, answer->decision, out->decision);
    sim_equal(sim, "answer: status", name, answer->status, shown->status);
    sim_equal(sim, "answer: reason", name, answer->reason, shown->reason);
    sim_equal(sim, "answer: mode", name, answer->mode, shown->mode);
    sim_equal(sim, "answer: locked", name, answer->locked, shown->locked);
    sim_equal(sim, "answer: bot_messages", name, answer->bot_messages, shown->bot_messages);
    sim_equal(sim, "answer: missed", name, answer->missed_inbound, shown->missed_inbound);
    sim_equal(sim, "answer: fence", name, answer->fence, shown->fence);
    sim_equal(sim, "answer: revision", name, answer->revision, shown->revision);
    sim_equal(sim, "answer: last_seq", name, answer->last_seq, shown->last_seq);
    sim_equal(sim, "answer: since", name, (uint64_t)answer->since_ms, (uint64_t)shown->since_ms);
    sim_equal(sim, "answer: until", name, (uint64_t)answer->until_ms, (uint64_t)shown->until_ms);
    if (!dm_slice_equal(shown->actor, dm_slice(answer->actor.bytes, answer->actor.size)) ||
        !dm_slice_equal(
            shown->bot_id,
            dm_slice_str(bot_names[sim->model->accounts[account].bots[answer->bot].name]))) {
        sim_fail(sim, "the answer about %s has another actor or bot", name);
    }
}

/* Was it rightly refused before anything was looked at? */
static bool refused(struct sim *sim, enum dm_code code, bool overlay_full,
                    const struct dm_error *error)
{
    if (overlay_full) {
        sim_equal(sim, "the code", "a full overlay", DM_RESOURCE_EXHAUSTED, code);
        return true;
    }
    if (world_writable(sim)) {
        if (code == DM_UNAVAILABLE || code == DM_RESOURCE_EXHAUSTED) {
            sim_fail(sim, "refused for no reason: %s", error->message);
        }
        return false;
    }
    sim_equal(sim, "the code", "a full journal", DM_UNAVAILABLE, code);
    return true;
}

static void note_wakes(struct sim *sim)
{
    for (int i = 0; i < sim->step.transition_count; i++) {
        sim->wakes += sim->step.transitions[i].due_ms != 0;
    }
}

static void expect(struct sim *sim, unsigned account, unsigned contact, int bot_name,
                   struct dm_op *op, enum dm_code code, const struct dm_outcome *out)
{
    struct model *model = sim->model;
    struct m_contact *its = &model->accounts[account].contacts[contact];
    model_meet_account(model, account, op->now_ms);
    uint32_t bot = its->record.bot;
    if (bot_name >= 0) {
        bot = model_meet_bot(model, account, (unsigned)bot_name);
        op->set.change.bot = bot;
    }
    uint64_t needed = model_needed(model, account, contact);
    model_step(model, account, contact, bot, op, &sim->step);
    model_commit(model, account, contact, op, &sim->step);
    note_wakes(sim);
    needed = its->lsn > needed ? its->lsn : needed;
    sim_equal(sim, "the code", sim->names[contact], sim->step.code, code);
    if (code == DM_OK && op->kind == DM_OP_DELETE) {
        sim_equal(sim, "existed", sim->names[contact], sim->step.existed, out->existed);
        needed = its->lsn;
    } else if (code == DM_OK) {
        compare_answer(sim, account, contact, &sim->step.answer, out);
    }
    world_show(sim, needed, dm_engine_barrier(sim->engine));
}

/* What the next calls are about is looked up ahead, right or wrong: it may be others, more of
 * them, in another order, or the same one twice. */
static void look_ahead(struct sim *sim, unsigned account, unsigned contact)
{
    struct dm_contact_name names[4];
    uint64_t random = sim->clock.monotonic_ns ^ (uint64_t)contact << 32 ^ sim->model->count;
    size_t count = (size_t)pick(&random, 5);
    for (size_t i = 0; i < count; i++) {
        bool same = chance(&random, 60);
        names[i] = (struct dm_contact_name){
            .account_id =
                account_slice(same || chance(&random, 70) ? account : pick_account(&random)),
            .contact_id = contact_slice(sim, same ? contact : pick_contact(&random)),
        };
    }
    dm_engine_prefetch(sim->engine, names, count);
}

/* A snooze for which there may be no timer. */
static bool timers_refuse(struct sim *sim, const struct dm_op *op)
{
    return op->kind == DM_OP_SET_STATUS && op->set.change.status == DM_STATUS_SNOOZED &&
           world_timers_out(sim);
}

static void mutate(struct sim *sim, unsigned account, unsigned contact, int bot_name,
                   struct dm_op *op)
{
    struct dm_outcome out = {0};
    struct dm_error error = {0};
    struct dm_op sent = *op;
    bool full = world_overlay_full(sim), timers_out = timers_refuse(sim, op);
    look_ahead(sim, account, contact);
    world_ask(sim);
    enum dm_code code = dm_engine_mutate(
        sim->engine, account_slice(account), contact_slice(sim, contact),
        dm_slice_str(bot_name < 0 ? "" : bot_names[bot_name]), &sent, &out, &error);
    sim_say(sim, "    %s/%s: %s", account_names[account], sim->names[contact],
            dm_code_name((int)code));
    if ((code == DM_RESOURCE_EXHAUSTED && timers_out) || refused(sim, code, full, &error)) {
        check_order(sim, "a refusal");
        return;
    }
    op->now_ms = sim->clock.wall_ms;
    if (op->kind == DM_OP_DELETE && sim->model->accounts[account].number == 0) {
        sim_equal(sim, "existed", sim->names[contact], 0, code != DM_OK || out.existed);
    } else {
        expect(sim, account, contact, bot_name, op, code, &out);
    }
    check_order(sim, "a mutation");
    check_contact(sim, account, contact);
}

static void set_status(struct sim *sim, uint64_t *random, unsigned account, unsigned contact)
{
    int bot_name = chance(random, 12) ? (int)pick(random, BOT_COUNT) : -1;
    struct dm_op op = {.kind = DM_OP_SET_STATUS,
                       .request = pick_request(random, DM_REQUEST_SET_STATUS)};
    pick_change(sim, random, &op.set.change);
    op.set.change.has_bot = bot_name >= 0;
    op.set.has_if_revision = chance(random, 10);
    op.set.if_revision = sim->model->accounts[account].contacts[contact].record.revision +
                         (chance(random, 50) ? 0 : pick(random, 3));
    sim_say(sim, "set %u for %lld until %lld lock %d unlock %d bot %d request %llx",
            op.set.change.status, (long long)op.set.change.for_ms,
            (long long)op.set.change.until_ms, op.set.change.lock, op.set.change.unlock, bot_name,
            (unsigned long long)op.request);
    mutate(sim, account, contact, bot_name, &op);
}

void do_set_status(struct sim *sim, uint64_t *random)
{
    unsigned account = pick_account(random), contact = pick_contact(random);
    set_status(sim, random, account, contact);
}

void do_commit_reply(struct sim *sim, uint64_t *random)
{
    unsigned account = pick_account(random), contact = pick_contact(random);
    struct dm_op op = {.kind = DM_OP_COMMIT_REPLY,
                       .request = pick_request(random, DM_REQUEST_COMMIT_REPLY)};
    struct dm_effective now;
    model_effective(sim->model, account, contact, sim->clock.wall_ms, &now);
    op.commit.fence = now.fence - (chance(random, 20) && now.fence > 0 ? 1 : 0);
    sim_say(sim, "commit a reply, fence %llu, request %llx", (unsigned long long)op.commit.fence,
            (unsigned long long)op.request);
    mutate(sim, account, contact, -1, &op);
}

void do_activity(struct sim *sim, uint64_t *random)
{
    unsigned account = pick_account(random), contact = pick_contact(random);
    struct dm_op op = {.kind = DM_OP_ACTIVITY,
                       .request = pick_request(random, DM_REQUEST_RECORD_ACTIVITY)};
    op.activity.activity = (uint8_t)(1 + pick(random, DM_ACTIVITY_COUNT - 1));
    if (op.activity.activity == DM_ACTIVITY_STOP_KEYWORD && chance(random, 70)) {
        op.activity.activity = DM_ACTIVITY_INBOUND_MESSAGE;
    }
    op.activity.actor = dm_slice_str(actors[pick(random, sizeof actors / sizeof actors[0])]);
    sim_say(sim, "activity %u request %llx", op.activity.activity, (unsigned long long)op.request);
    mutate(sim, account, contact, -1, &op);
}

static void forget(struct sim *sim, unsigned account, unsigned contact)
{
    struct dm_op op = {.kind = DM_OP_DELETE};
    sim_say(sim, "delete");
    mutate(sim, account, contact, -1, &op);
}

void do_delete(struct sim *sim, uint64_t *random)
{
    unsigned account = pick_account(random), contact = pick_contact(random);
    forget(sim, account, contact);
}

void change_one(struct sim *sim, uint64_t *random, unsigned account, unsigned contact)
{
    if (chance(random, 30)) {
        forget(sim, account, contact);
    } else {
        set_status(sim, random, account, contact);
    }
}

void do_burst(struct sim *sim, uint64_t *random)
{
    int64_t until_ms = sim->clock.wall_ms + pick_span(random, 2000, 60000);
    unsigned spread = 1 + (unsigned)pick(random, 3) * 100;
    sim_say(sim, "burst: all of %s until %lld", account_names[0], (long long)until_ms);
    unsigned many = sim->model->contact_count - CONTACT_FEW;
    unsigned first = (unsigned)pick(random, many);
    for (unsigned i = 0; i < many; i++) {
        unsigned c = CONTACT_FEW + (first + i) % many;
        struct dm_op op = {.kind = DM_OP_SET_STATUS};
        op.set.change = (struct dm_change){.status = DM_STATUS_SNOOZED,
                                           .has_until = true,
                                           .until_ms = until_ms + (int64_t)pick(random, spread),
                                           .actor = dm_slice_str("campaign")};
        mutate(sim, 0, c, -1, &op);
    }
}

/* ---- policies -------------------------------------------------------------------------------- */

static void pick_rule(uint64_t *random, struct dm_rule *rule, bool silences)
{
    *rule = (struct dm_rule){
        .action = (uint8_t)(DM_ACTION_NONE + pick(random, silences ? 3 : 4)),
        .repeat = (uint8_t)(DM_REPEAT_EXTEND + pick(random, 3)),
    };
    if (rule->action == DM_ACTION_SNOOZE) {
        rule->snooze_ms = pick_span(random, DM_SNOOZE_MS_MIN, 600000);
    }
}

static void pick_policy(uint64_t *random, struct dm_policy *policy)
{
    *policy = *dm_policy_default();
    policy->mode = (uint8_t)(chance(random, 15)   ? DM_MODE_OFF
                             : chance(random, 30) ? DM_MODE_SUGGESTIVE
                                                  : DM_MODE_AUTO_PILOT);
    policy->message_limit = chance(random, 60) ? (uint32_t)(1 + pick(random, 5)) : 0;
    pick_rule(random, &policy->on_limit, true);
    for (unsigned i = 1; i < DM_ACTIVITY_COUNT; i++) {
        if (i != DM_ACTIVITY_BOT_MESSAGE && chance(random, 40)) {
            pick_rule(random, &policy->rules[i], false);
        }
    }
    policy->max_snooze_ms = chance(random, 30) ? pick_span(random, DM_SNOOZE_MS_MIN, 600000) : 0;
}

void do_policy(struct sim *sim, uint64_t *random)
{
    unsigned account = pick_account(random), name = (unsigned)pick(random, BOT_COUNT);
    struct dm_policy policy;
    struct dm_error error = {0};
    pick_policy(random, &policy);
    bool has_if = chance(random, 30);
    int bot = model_bot(sim->model, account, name);
    uint64_t revision = bot < 0 ? 0 : model_policy(sim->model, account, (uint32_t)bot)->revision;
    uint64_t if_revision = revision + (chance(random, 60) ? 0 : 1);
    bool full = world_overlay_full(sim);
    enum dm_code code = dm_policy_check(&policy, NULL, &error);
    sim_equal(sim, "a policy's check", error.message, DM_OK, code);
    world_ask(sim);
    code = dm_engine_set_policy(sim->engine, account_slice(account), dm_slice_str(bot_names[name]),
                                &policy, has_if, if_revision, &error);
    sim_say(sim, "policy of %s/\"%s\": mode %u limit %u: %s", account_names[account],
            bot_names[name], policy.mode, policy.message_limit, dm_code_name((int)code));
    if (refused(sim, code, full, &error)) {
        return;
    }
    if (has_if && if_revision != revision) {
        sim_equal(sim, "the code", "set_policy", DM_ABORTED, code);
        world_show(sim, sim->model->accounts[account].policy_lsn, dm_engine_barrier(sim->engine));
    } else {
        sim_equal(sim, "the code", "set_policy", DM_OK, code);
        sim_equal(sim, "the policy's revision", bot_names[name], revision + 1, policy.revision);
        model_meet_account(sim->model, account, sim->clock.wall_ms);
        model_set_policy(sim->model, account, name, &policy);
        world_show(sim, sim->model->count, dm_engine_barrier(sim->engine));
    }
    check_order(sim, "a policy");
}

/* ---- many accounts ------------------------------------------------------------------------------
 */

/* One of those without contacts. */
static void check_extra(struct sim *sim, uint64_t *random)
{
    char name[16];
    struct dm_policy found;
    if (sim->model->extra_count == 0) {
        return;
    }
    unsigned extra = (unsigned)pick(random, sim->model->extra_count);
    (void)snprintf(name, sizeof name, "x%u", extra);
    world_ask(sim);
    dm_engine_policy(sim->engine, dm_slice_str(name), dm_slice(NULL, 0), &found);
    uint64_t lsn = sim->model->extra_policy_lsn[extra];
    sim_equal(sim, "the policy's revision", name, lsn != 0, found.revision);
    if (lsn != 0) {
        world_show(sim, lsn, dm_engine_barrier(sim->engine));
    }
}

void do_accounts(struct sim *sim, uint64_t *random)
{
    unsigned count = 1 + (unsigned)pick(random, 150), made = 0;
    struct dm_policy policy = *dm_policy_default();
    for (; made < count && sim->model->extra_count < EXTRA_MAX; made++) {
        char name[16];
        struct dm_error error = {0};
        bool full = world_overlay_full(sim);
        (void)snprintf(name, sizeof name, "x%u", sim->model->extra_count);
        world_ask(sim);
        enum dm_code code = dm_engine_set_policy(sim->engine, dm_slice_str(name), dm_slice(NULL, 0),
                                                 &policy, false, 0, &error);
        if (refused(sim, code, full, &error)) {
            break;
        }
        sim_equal(sim, "the code", "a new account's policy", DM_OK, code);
        model_meet_extra(sim->model);
        world_show(sim, sim->model->count, dm_engine_barrier(sim->engine));
    }
    sim_say(sim, "%u more accounts of %u, %u in all", made, count, sim->model->extra_count);
    check_order(sim, "new accounts");
    for (int i = 0; i < 10; i++) {
        check_extra(sim, random);
    }
}

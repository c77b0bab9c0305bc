/* Random operations on a few contacts, step by step against a naive model. The model
 * keeps no state: it has the list of all that ever happened to a contact since it was
 * born, and works out everything, fence, revision and counters too, by counting.
 * Beside that, what must hold of every step whatever the model says. */

#include "core/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEPS = 42000, SEEDS = 5, CONTACTS = 5, POLICIES = 4, FACTS_MAX = 300 };
#define T0 1700000000000LL
#define HOUR 3600000LL

/* ---- the model ------------------------------------------------------------- */

enum fact_kind { BORN, STATUS, SPOKE, RESET, MISSED, LOCK, UNLOCK, BOT, WRITTEN };

struct fact {
    enum fact_kind kind;
    uint8_t status, reason; /* BORN, STATUS */
    int64_t since, until;
    uint64_t number; /* STATUS: its seq; BORN: the fence; BOT: which */
    const char *actor;
};

struct view {
    uint8_t status, reason;
    bool locked;
    uint32_t bot, spoke, missed;
    uint64_t fence, revision, seq;
    int64_t since, until;
    const char *actor;
};

struct said {
    uint64_t request;
    struct view view;
    uint8_t mode, decision;
    bool granted, changed;
};

struct model {
    struct fact facts[FACTS_MAX];
    struct said said[FACTS_MAX];
    int fact_count, said_count; /* no facts: never seen */
};

/* What the model expects of one step. */
struct expected {
    enum dm_code code;
    bool repeated, existed;
    int count;
    struct view after[2];
    uint8_t from[2];
    bool event[2];
    int64_t due[2];
    uint32_t missed[2];
    struct said said;
};

static void happens(struct model *model, struct fact fact)
{
    assert_true(model->fact_count < FACTS_MAX);
    model->facts[model->fact_count++] = fact;
}

static struct view look(const struct model *model, uint64_t floor)
{
    struct view v = {
        .status = DM_STATUS_ACTIVE, .reason = DM_REASON_NEVER_SET, .fence = floor, .actor = ""};
    for (int i = 0; i < model->fact_count; i++) {
        const struct fact *f = &model->facts[i];
        bool awake = v.status == DM_STATUS_ACTIVE || f->status == DM_STATUS_ACTIVE;
        switch (f->kind) {
        case STATUS:
            v.missed = awake ? 0 : v.missed;
            v.spoke = f->status == DM_STATUS_ACTIVE ? 0 : v.spoke;
            v.fence++;
            v.seq = f->number;
            /* fall through */
        case BORN:
            v.fence = f->kind == BORN ? f->number : v.fence;
            v.status = f->status;
            v.reason = f->reason;
            v.since = f->since;
            v.until = f->until;
            v.actor = f->actor;
            break;
        case SPOKE:
            v.spoke++;
            break;
        case RESET:
            v.spoke = 0;
            break;
        case MISSED:
            v.missed++;
            break;
        case LOCK:
            v.locked = true;
            break;
        case UNLOCK:
            v.locked = false;
            break;
        case BOT:
            v.bot = (uint32_t)f->number;
            break;
        case WRITTEN:
            v.revision++;
            break;
        }
    }
    return v;
}

static bool over_limit(const struct dm_policy *policy, uint32_t spoke)
{
    return policy->message_limit != 0 && spoke >= policy->message_limit;
}

static uint8_t may(const struct dm_policy *policy, const struct view *v)
{
    bool silent = policy->mode == DM_MODE_OFF || v->status != DM_STATUS_ACTIVE ||
                  over_limit(policy, v->spoke);
    return silent                               ? DM_DECISION_SILENT
           : policy->mode == DM_MODE_SUGGESTIVE ? DM_DECISION_SUGGEST
                                                : DM_DECISION_REPLY;
}

struct run {
    struct model *model;
    const struct dm_policy *policy;
    const struct dm_op *op;
    struct expected *expected;
    uint64_t seq;
};

static void turns(struct run *run, uint8_t status, int64_t until, int64_t since, uint8_t reason,
                  const char *actor)
{
    happens(run->model, (struct fact){.kind = STATUS,
                                      .status = status,
                                      .reason = reason,
                                      .since = since,
                                      .until = until,
                                      .number = run->seq++,
                                      .actor = actor});
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The table of what a rule may do, status by status. */
static void rule_model(struct run *run, const struct dm_rule *rule, uint8_t reason,
                       const char *actor)
{
    struct view v = look(run->model, run->op->fence_floor);
    int64_t now = run->op->now_ms, cap = run->policy->max_snooze_ms;
    cap = cap == 0 ? INT64_MAX / 2 : cap;
    if (v.locked || rule->action == DM_ACTION_NONE) {
        return;
    }
    bool read = reason == DM_REASON_CONVERSATION_READ,
         by_limit = v.reason == DM_REASON_MESSAGE_LIMIT;
    int64_t end = least(now + rule->snooze_ms, v.since + cap);
    switch (rule->action * 10 + v.status) {
    case DM_ACTION_SNOOZE * 10 + DM_STATUS_ACTIVE:
        turns(run, DM_STATUS_SNOOZED, now + least(rule->snooze_ms, cap), now, reason, actor);
        break;
    case DM_ACTION_SNOOZE * 10 + DM_STATUS_SNOOZED:
        if (rule->repeat == DM_REPEAT_EXTEND && end < v.until) {
            end = v.until;
        }
        if (rule->repeat != DM_REPEAT_KEEP && end != v.until && end > now) {
            turns(run, DM_STATUS_SNOOZED, end, v.since, reason, actor);
        }
        break;
    case DM_ACTION_DEACTIVATE * 10 + DM_STATUS_ACTIVE:
    case DM_ACTION_DEACTIVATE * 10 + DM_STATUS_SNOOZED:
        turns(run, DM_STATUS_INACTIVE, 0, now, reason, actor);
        /* fall through */
    case DM_ACTION_DEACTIVATE * 10 + DM_STATUS_INACTIVE:
        if (rule->lock) {
            happens(run->model, (struct fact){.kind = LOCK});
        }
        break;
    case DM_ACTION_ACTIVATE * 10 + DM_STATUS_SNOOZED:
        if (by_limit ? read : rule->repeat == DM_REPEAT_REPLACE) {
            turns(run, DM_STATUS_ACTIVE, 0, now, reason, actor);
        }
        break;
    case DM_ACTION_ACTIVATE * 10 + DM_STATUS_INACTIVE:
        if (by_limit && read) {
            turns(run, DM_STATUS_ACTIVE, 0, now, reason, actor);
        }
        break;
    default:
        break;
    }
}

static void limit_model(struct run *run)
{
    struct view v = look(run->model, run->op->fence_floor);
    if (run->policy->mode != DM_MODE_OFF && over_limit(run->policy, v.spoke)) {
        rule_model(run, &run->policy->on_limit, DM_REASON_MESSAGE_LIMIT, "dormouse");
    }
}

static const char *actor_of(struct dm_slice actor);

static enum dm_code set_model(struct run *run)
{
    const struct dm_change *c = &run->op->set.change;
    struct view v = look(run->model, run->op->fence_floor);
    uint8_t reason = c->reason == 0 ? DM_REASON_SET : c->reason;
    int64_t now = run->op->now_ms;
    int64_t until = c->status != DM_STATUS_SNOOZED ? 0
                    : c->has_until                 ? c->until_ms
                                                   : now + c->for_ms;
    if (run->op->set.has_if_revision && run->op->set.if_revision != v.revision) {
        return DM_ABORTED;
    }
    if (run->policy->mode == DM_MODE_OFF || (v.locked && !c->unlock)) {
        return DM_FAILED_PRECONDITION;
    }
    bool unborn = v.revision == 0;
    if (unborn) {
        bool named = c->status == DM_STATUS_ACTIVE;
        happens(run->model, (struct fact){.kind = BORN,
                                          .status = DM_STATUS_ACTIVE,
                                          .reason = named ? reason : DM_REASON_NEVER_SET,
                                          .since = named ? now : 0,
                                          .number = run->op->fence_floor,
                                          .actor = named ? actor_of(c->actor) : ""});
    }
    if (v.locked && !c->lock) {
        happens(run->model, (struct fact){.kind = UNLOCK});
    } else if (!v.locked && c->lock) {
        happens(run->model, (struct fact){.kind = LOCK});
    }
    if (c->has_bot && c->bot != v.bot) {
        happens(run->model, (struct fact){.kind = BOT, .number = c->bot});
    }
    if (c->status != v.status || until != v.until) {
        turns(run, c->status, until, now, reason, actor_of(c->actor));
    } else if (v.status == DM_STATUS_ACTIVE && over_limit(run->policy, v.spoke)) {
        happens(run->model, (struct fact){.kind = RESET});
    }
    return DM_OK;
}

static void born(struct run *run)
{
    if (run->model->fact_count == 0) {
        happens(run->model, (struct fact){.kind = BORN,
                                          .status = DM_STATUS_ACTIVE,
                                          .reason = DM_REASON_NEVER_SET,
                                          .number = run->op->fence_floor,
                                          .actor = ""});
    }
}

static void commit_model(struct run *run)
{
    struct view v = look(run->model, run->op->fence_floor);
    struct said *said = &run->expected->said;
    said->decision = DM_DECISION_SILENT;
    if (run->op->commit.fence != v.fence || v.status != DM_STATUS_ACTIVE) {
        return;
    }
    said->decision = may(run->policy, &v);
    said->granted = said->decision != DM_DECISION_SILENT;
    if (said->granted) {
        born(run);
        happens(run->model, (struct fact){.kind = SPOKE});
    }
    limit_model(run);
}

static void activity_model(struct run *run)
{
    static const uint8_t reasons[] = {0, 8, 0, 5, 6, 9, 10, 11, 12}; /* as in dormouse.proto */
    uint8_t activity = run->op->activity.activity;
    struct view v = look(run->model, run->op->fence_floor);
    if (activity == DM_ACTIVITY_INBOUND_MESSAGE && v.status != DM_STATUS_ACTIVE) {
        happens(run->model, (struct fact){.kind = MISSED});
    }
    if (activity == DM_ACTIVITY_BOT_MESSAGE) {
        born(run);
        happens(run->model, (struct fact){.kind = SPOKE});
        if (v.status == DM_STATUS_ACTIVE || v.reason != DM_REASON_MESSAGE_LIMIT) {
            limit_model(run);
        }
        return;
    }
    if (activity == DM_ACTIVITY_CONVERSATION_READ && v.spoke > 0) {
        happens(run->model, (struct fact){.kind = RESET});
    }
    if (run->policy->mode != DM_MODE_OFF) {
        struct model before = *run->model;
        int facts = run->model->fact_count;
        born(run);
        int with_birth = run->model->fact_count;
        rule_model(run, &run->policy->rules[activity], reasons[activity],
                   actor_of(run->op->activity.actor));
        if (run->model->fact_count == with_birth && facts == 0) {
            *run->model = before; /* a rule that did nothing gives birth to nothing */
        }
    }
}

static void note(struct run *run, uint8_t from, bool event, int64_t due, uint32_t missed)
{
    struct expected *e = run->expected;
    happens(run->model, (struct fact){.kind = WRITTEN});
    e->from[e->count] = from;
    e->event[e->count] = event;
    e->due[e->count] = due;
    e->missed[e->count] = missed;
    e->after[e->count++] = look(run->model, run->op->fence_floor);
}

static void wake_model(struct run *run)
{
    struct view v = look(run->model, run->op->fence_floor);
    if (v.status == DM_STATUS_SNOOZED && v.until <= run->op->now_ms) {
        turns(run, DM_STATUS_ACTIVE, 0, v.until, DM_REASON_SNOOZE_EXPIRED, "dormouse");
        note(run, DM_STATUS_SNOOZED, true, v.until, v.missed);
    }
}

static bool repeat_model(struct run *run)
{
    const struct model *model = run->model;
    int oldest = model->said_count > DM_ANSWERS_MAX ? model->said_count - DM_ANSWERS_MAX : 0;
    for (int i = oldest; i < model->said_count; i++) {
        if (run->op->request != 0 && model->said[i].request == run->op->request) {
            run->expected->said = model->said[i];
            run->expected->repeated = true;
        }
    }
    return run->expected->repeated;
}

static void mutation_model(struct run *run)
{
    struct expected *e = run->expected;
    if (repeat_model(run)) {
        return;
    }
    wake_model(run);
    uint8_t from = run->model->fact_count == 0 ? DM_STATUS_NONE
                                               : look(run->model, run->op->fence_floor).status;
    int facts = run->model->fact_count;
    uint64_t seq = run->seq;
    if (run->op->kind == DM_OP_SET_STATUS) {
        e->code = set_model(run);
    } else if (run->op->kind == DM_OP_COMMIT_REPLY) {
        commit_model(run);
    } else {
        activity_model(run);
    }
    if (e->code != DM_OK) {
        return;
    }
    if (run->op->request != 0) {
        born(run);
    }
    if (run->model->fact_count > facts || run->op->request != 0) {
        note(run, from, run->seq > seq, 0, 0);
    }
    e->said.request = run->op->request;
    e->said.view = look(run->model, run->op->fence_floor);
    e->said.mode = run->policy->mode;
    e->said.changed = run->seq > seq;
    if (run->op->kind != DM_OP_COMMIT_REPLY) {
        e->said.decision = may(run->policy, &e->said.view);
    }
    if (run->op->request != 0) {
        run->model->said[run->model->said_count++] = e->said;
    }
}

static void model_step(struct expected *e, struct model *model, const struct dm_policy *policy,
                       const struct dm_op *op)
{
    memset(e, 0, sizeof *e);
    struct run run = {model, policy, op, e, op->next_seq};
    if (op->kind == DM_OP_DELETE) {
        e->existed = model->fact_count > 0;
        model->fact_count = model->said_count = 0;
    } else if (op->kind == DM_OP_WAKE_DUE) {
        if (look(model, op->fence_floor).fence == op->wake.fence) {
            wake_model(&run);
        }
    } else {
        mutation_model(&run);
    }
}

/* ---- comparing ------------------------------------------------------------- */

static void same_actor(const struct dm_text64 *actor, const char *expected)
{
    assert_int_equal(actor->size, strlen(expected));
    assert_memory_equal(actor->bytes, expected, actor->size);
}

#define SAME_STATE(a, v)                                    \
    do {                                                    \
        assert_int_equal((a)->status, (v)->status);         \
        assert_int_equal((a)->reason, (v)->reason);         \
        assert_int_equal((a)->locked, (v)->locked);         \
        assert_int_equal((a)->bot, (v)->bot);               \
        assert_int_equal((a)->bot_messages, (v)->spoke);    \
        assert_int_equal((a)->missed_inbound, (v)->missed); \
        assert_int_equal((a)->fence, (v)->fence);           \
        assert_int_equal((a)->revision, (v)->revision);     \
        assert_int_equal((a)->last_seq, (v)->seq);          \
        assert_int_equal((a)->since_ms, (v)->since);        \
        assert_int_equal((a)->until_ms, (v)->until);        \
        same_actor(&(a)->actor, (v)->actor);                \
    } while (0)

static void same_answer(const struct dm_answer *answer, const struct said *said)
{
    assert_int_equal(answer->request, said->request);
    assert_int_equal(answer->mode, said->mode);
    assert_int_equal(answer->decision, said->decision);
    assert_int_equal(answer->granted, said->granted);
    assert_int_equal(answer->changed, said->changed);
    SAME_STATE(answer, &said->view);
}

static void same_step(const struct dm_step *step, const struct expected *e,
                      const struct model *model, const struct dm_op *op)
{
    assert_int_equal(step->code, e->code);
    assert_int_equal(step->repeated, e->repeated);
    assert_int_equal(step->existed, e->existed);
    if (op->kind == DM_OP_DELETE) {
        assert_int_equal(step->transition_count, e->existed);
        return;
    }
    assert_int_equal(step->transition_count, e->count);
    for (int i = 0; i < e->count; i++) {
        const struct dm_transition *t = &step->transitions[i];
        assert_int_equal(t->from, e->from[i]);
        assert_int_equal(t->event, e->event[i]);
        assert_int_equal(t->due_ms, e->due[i]);
        assert_int_equal(t->missed_inbound, e->missed[i]);
        SAME_STATE(&t->record, &e->after[i]);
    }
    if (step->code != DM_OK || op->kind == DM_OP_WAKE_DUE) {
        return;
    }
    same_answer(&step->answer, &e->said);
    if (e->count > 0) {
        const struct dm_record *record = &step->transitions[e->count - 1].record;
        int oldest = model->said_count - record->answers.count;
        assert_int_equal(record->answers.count,
                         model->said_count < DM_ANSWERS_MAX ? model->said_count : DM_ANSWERS_MAX);
        for (int i = oldest; i < model->said_count; i++) {
            struct dm_answer answer;
            assert_true(dm_answers_find(&record->answers, model->said[i].request, &answer));
            same_answer(&answer, &model->said[i]);
        }
    }
}

/* ---- what must hold of every step ------------------------------------------- */

static struct dm_effective effective(const struct dm_record *record, uint64_t floor,
                                     const struct dm_policy *policy, int64_t now)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_record_head head;
    struct dm_effective out;
    assert_true(dm_record_head(&head, dm_slice(bytes, dm_record_encode(record, bytes))));
    dm_effective_at(&out, &head, floor, policy, now);
    return out;
}

/* Whoever reads a contact cannot tell whether a due wake is committed. */
static void wake_is_invisible(const struct dm_effective *before, const struct dm_effective *after)
{
    assert_true(before->expired);
    assert_false(after->expired);
    assert_int_equal(before->status, after->status);
    assert_int_equal(before->reason, after->reason);
    assert_int_equal(before->mode, after->mode);
    assert_int_equal(before->decision, after->decision);
    assert_int_equal(before->decision_reason, after->decision_reason);
    assert_int_equal(before->locked, after->locked);
    assert_int_equal(before->limited, after->limited);
    assert_int_equal(before->messages_left, after->messages_left);
    assert_int_equal(before->bot, after->bot);
    assert_int_equal(before->bot_messages, after->bot_messages);
    assert_int_equal(before->missed_inbound, after->missed_inbound);
    assert_int_equal(before->fence, after->fence);
    assert_int_equal(before->revision, after->revision);
    assert_int_equal(before->since_ms, after->since_ms);
    assert_int_equal(before->until_ms, after->until_ms);
}

/* An automatic change of `before` to `after`, caused by `activity` (0: a commit). */
static void never_weaker(const struct dm_record *before, const struct dm_record *after,
                         const struct dm_policy *policy, uint8_t activity)
{
    bool read_after_limit =
        activity == DM_ACTIVITY_CONVERSATION_READ && before->reason == DM_REASON_MESSAGE_LIMIT;
    const struct dm_rule *rule = activity == 0 || activity == DM_ACTIVITY_BOT_MESSAGE
                                     ? &policy->on_limit
                                     : &policy->rules[activity];
    assert_true(after->locked || !before->locked);
    if (before->locked || (before->status == DM_STATUS_INACTIVE && !read_after_limit)) {
        assert_int_equal(after->status, before->status);
        assert_int_equal(after->fence, before->fence);
    }
    if (before->status == DM_STATUS_SNOOZED && rule->repeat != DM_REPEAT_REPLACE &&
        !read_after_limit) {
        assert_int_not_equal(after->status, DM_STATUS_ACTIVE);
        assert_true(after->status == DM_STATUS_INACTIVE || after->until_ms >= before->until_ms);
    }
}

static void round_trip(const struct dm_record *record)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX], again[DM_RECORD_SIZE_MAX];
    struct dm_record decoded;
    size_t size = dm_record_encode(record, bytes);
    assert_true(dm_record_decode(&decoded, dm_slice(bytes, size)));
    assert_int_equal(dm_record_encode(&decoded, again), size);
    assert_memory_equal(bytes, again, size);
}

/* ---- the random world -------------------------------------------------------- */

struct contact {
    struct dm_record record;
    struct model model;
    uint64_t read_fence;  /* the newest that anyone was shown */
    uint64_t acked_fence; /* of the newest acknowledged SetStatus that changed something */
};

struct world {
    uint64_t random;
    int64_t now;
    uint64_t next_seq, floor;
    struct dm_policy policies[POLICIES];
    struct contact contacts[CONTACTS];
    uint64_t grants, wakes, events, repeats, refusals;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t dice(struct world *w, uint64_t below)
{
    uint64_t z = w->random += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (z ^ (z >> 31)) % below;
}

static const char *const actors[] = {
    "", "ann", "flow:7", "0123456789012345678901234567890123456789012345678901234567890123"};

static const char *actor_of(struct dm_slice actor)
{
    for (size_t i = 0; i < 4; i++) {
        if (dm_slice_equal(actor, dm_slice_str(actors[i]))) {
            return actors[i];
        }
    }
    fail();
    return NULL;
}

static struct dm_rule random_rule(struct world *w, bool on_limit)
{
    struct dm_rule rule = {.action = (uint8_t)(1 + dice(w, on_limit ? 3 : 4)),
                           .repeat = (uint8_t)(1 + dice(w, 3))};
    if (rule.action == DM_ACTION_SNOOZE) {
        rule.snooze_ms = (int64_t)(1 + dice(w, 6)) * HOUR / 2;
    }
    rule.lock = rule.action == DM_ACTION_DEACTIVATE && dice(w, 4) == 0;
    return rule;
}

static void random_policy(struct world *w, struct dm_policy *policy)
{
    *policy = *dm_policy_default();
    policy->mode = (uint8_t)(dice(w, 5) == 0 ? DM_MODE_OFF : 2 + dice(w, 2));
    for (int i = 1; i < DM_ACTIVITY_COUNT; i++) {
        if (i != DM_ACTIVITY_BOT_MESSAGE && dice(w, 3) != 0) {
            policy->rules[i] = random_rule(w, false);
        }
    }
    policy->on_limit = random_rule(w, true);
    policy->message_limit = (uint32_t)dice(w, 5);
    policy->max_snooze_ms = dice(w, 2) == 0 ? 0 : (int64_t)(1 + dice(w, 5)) * HOUR;
    assert_int_equal(dm_policy_check(policy, NULL, NULL), DM_OK);
}

static void random_time(struct world *w, const struct contact *contact)
{
    switch (dice(w, 8)) {
    case 0:
        w->now += (int64_t)dice(w, (uint64_t)(2 * HOUR));
        break;
    case 1: /* right before, at or after an end */
        if (contact->record.until_ms > w->now) {
            w->now = contact->record.until_ms - 1 + (int64_t)dice(w, 3);
        }
        break;
    case 2: /* half hours make ends meet */
        w->now += HOUR / 2 - (w->now - T0) % (HOUR / 2);
        break;
    case 3:
        w->now -= dice(w, 10) == 0 ? (int64_t)dice(w, (uint64_t)HOUR) : 0;
        break;
    default:
        break;
    }
}

static void random_change(struct world *w, struct dm_op *op, const struct contact *contact)
{
    static const uint8_t reasons[] = {0, 0, 2, 3, 5, 7, 12};
    struct dm_change *c = &op->set.change;
    c->status = (uint8_t)(1 + dice(w, 3));
    c->reason = reasons[dice(w, sizeof reasons)];
    if (c->status == DM_STATUS_SNOOZED) {
        c->has_for = dice(w, 2) == 0;
        c->has_until = !c->has_for;
        c->for_ms = (int64_t)(1 + dice(w, 8)) * HOUR / 2;
        c->until_ms = dice(w, 2) == 0 && contact->record.until_ms >= op->now_ms + DM_SNOOZE_MS_MIN
                          ? contact->record.until_ms
                          : op->now_ms + c->for_ms;
    }
    c->lock = c->status == DM_STATUS_INACTIVE && dice(w, 4) == 0;
    c->unlock = dice(w, 2) == 0;
    c->has_bot = dice(w, 4) == 0;
    c->bot = (uint32_t)dice(w, 3);
    c->actor = dm_slice_str(actors[dice(w, 4)]);
    op->set.has_if_revision = dice(w, 4) == 0;
    op->set.if_revision = contact->record.revision + dice(w, 2);
    assert_int_equal(dm_change_check(c, op->now_ms, NULL), DM_OK);
}

static struct dm_op random_op(struct world *w, const struct contact *contact, uint64_t fence)
{
    struct dm_op op = {.now_ms = w->now, .next_seq = w->next_seq, .fence_floor = w->floor};
    uint64_t roll = contact->model.fact_count > FACTS_MAX - 12 ? 99 : dice(w, 100);
    op.request = dice(w, 2) == 0 ? 0 : 1 + dice(w, 25);
    if (roll < 25) {
        op.kind = DM_OP_SET_STATUS;
        random_change(w, &op, contact);
    } else if (roll < 50) {
        uint64_t back = dice(w, 3) == 0 ? dice(w, 4) : 0;
        op.kind = DM_OP_COMMIT_REPLY;
        op.commit.fence = back <= fence ? fence - back : fence + 1;
    } else if (roll < 90) {
        op.kind = DM_OP_ACTIVITY;
        op.activity.activity = (uint8_t)(1 + dice(w, 8));
        op.activity.actor = dm_slice_str(actors[dice(w, 4)]);
    } else if (roll < 99) {
        op.kind = DM_OP_WAKE_DUE;
        op.wake.fence = contact->record.fence - (dice(w, 4) == 0 && contact->record.fence > 0);
    } else {
        op.kind = DM_OP_DELETE;
    }
    return op;
}

static void check_transitions(struct world *w, struct contact *contact, const struct dm_step *step,
                              const struct dm_policy *policy, const struct dm_op *op)
{
    struct dm_effective was = effective(&contact->record, w->floor, policy, op->now_ms);
    for (int i = 0; i < step->transition_count; i++) {
        const struct dm_transition *t = &step->transitions[i];
        const struct dm_record *before = i == 0 ? &contact->record : &step->transitions[0].record;
        uint64_t fence = before->status == DM_STATUS_NONE ? w->floor : before->fence;
        round_trip(&t->record);
        if (op->kind == DM_OP_DELETE) {
            assert_true(t->record.fence >= contact->read_fence);
            continue;
        }
        assert_int_equal(t->record.revision, before->revision + 1);
        assert_int_equal(t->record.fence, fence + (t->event ? 1 : 0));
        assert_int_equal(t->record.last_seq, t->event ? w->next_seq : before->last_seq);
        assert_int_equal(t->previous_seq, t->event ? before->last_seq : 0);
        w->next_seq += t->event;
        w->events += t->event;
        if (t->due_ms != 0) {
            struct dm_effective woken = effective(&t->record, w->floor, policy, op->now_ms);
            wake_is_invisible(&was, &woken);
            w->wakes++;
        } else if (op->kind != DM_OP_SET_STATUS && before->status != DM_STATUS_NONE) {
            never_weaker(before, &t->record, policy,
                         op->kind == DM_OP_ACTIVITY ? op->activity.activity : 0);
        }
    }
}

static void world_step(struct world *w)
{
    struct contact *contact = &w->contacts[dice(w, CONTACTS)];
    const struct dm_policy *policy = &w->policies[dice(w, 20) == 0 ? dice(w, POLICIES) : 0];
    if (dice(w, 50) == 0) {
        random_policy(w, &w->policies[dice(w, POLICIES)]);
    }
    random_time(w, contact);
    struct dm_effective before = effective(&contact->record, w->floor, policy, w->now);
    contact->read_fence = before.fence > contact->read_fence ? before.fence : contact->read_fence;
    struct dm_op op = random_op(w, contact, before.fence);
    struct dm_step step;
    struct expected expected;
    dm_step(&step, &contact->record, policy, &op);
    model_step(&expected, &contact->model, policy, &op);
    same_step(&step, &expected, &contact->model, &op);
    check_transitions(w, contact, &step, policy, &op);

    if (op.kind == DM_OP_COMMIT_REPLY && step.answer.granted && !step.repeated) {
        assert_int_equal(op.commit.fence, before.fence);
        assert_true(op.commit.fence >= contact->acked_fence);
        w->grants++;
    }
    if (op.kind == DM_OP_SET_STATUS && step.code == DM_OK && step.answer.changed) {
        contact->acked_fence = step.answer.fence;
    }
    if (step.transition_count > 0) {
        dm_record_copy(&contact->record, &step.transitions[step.transition_count - 1].record);
    }
    if (op.kind == DM_OP_DELETE && step.existed) {
        w->floor = contact->record.fence >= w->floor ? contact->record.fence + 1 : w->floor;
        assert_true(w->floor > contact->read_fence); /* no fence is ever seen twice */
    }
    struct dm_effective after = effective(&contact->record, w->floor, policy, w->now);
    struct view seen = look(&contact->model, w->floor);
    if (op.kind < DM_OP_WAKE_DUE && !step.repeated) { /* a mutation leaves no wake behind */
        assert_false(after.expired);
        assert_int_equal(after.decision, may(policy, &seen));
    }
    w->repeats += step.repeated;
    w->refusals += step.code != DM_OK;
}

static void every_step_is_what_the_model_says(void **state)
{
    (void)state;
    static struct world w;
    uint64_t grants = 0, wakes = 0, events = 0, repeats = 0, refusals = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&w, 0, sizeof w);
        w.random = seed;
        w.now = T0;
        w.next_seq = 1;
        for (int i = 0; i < POLICIES; i++) {
            random_policy(&w, &w.policies[i]);
        }
        for (int i = 0; i < STEPS; i++) {
            world_step(&w);
        }
        grants += w.grants;
        wakes += w.wakes;
        events += w.events;
        repeats += w.repeats;
        refusals += w.refusals;
    }
    print_message("%d steps: %llu events, %llu wakes, %llu grants, %llu repeats, %llu refusals\n",
                  SEEDS * STEPS, (unsigned long long)events, (unsigned long long)wakes,
                  (unsigned long long)grants, (unsigned long long)repeats,
                  (unsigned long long)refusals);
    /* the dice must have reached everything */
    assert_true(events > 10000 && wakes > 5000 && grants > 5000 && repeats > 5000 &&
                refusals > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_step_is_what_the_model_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

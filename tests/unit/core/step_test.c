/* The rules, one a line: a script of what happens to a contact, and the trace that
 * it must leave.
 *
 * Script: +1h lets time pass (-1h: the clock steps back). inbound, bot, manual,
 * workflow, read, stop, handover and booked are activities. set=active,
 * set=snoozed:2h (for), set=snoozed@5h (until), set=inactive, with ,lock ,unlock
 * ,bot:7 ,if:3 behind. commit uses the fence that a Check gives now, commit=3 that
 * one. wake fires the timer of the snooze there is, wake=3 that of fence 3. delete.
 * #5 behind an operation is its request id. floor=9 sets the fence floor.
 * !mode=off, !limit=3, !max=4h, !manual=snooze:1h:replace, !on_limit=deactivate:lock
 * and the like change the policy, which at first is the default one.
 *
 * Trace, for every operation: <time>:<from>><to>/<reason>[/until=][/due=/missed=]
 * for an event, "write" for a write without one, "-" for nothing; then the code of a
 * refusal, "repeated", "granted:reply", "refused" and so on. */

#include "core/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define T0 1700000000000LL

struct rule_case {
    const char *title, *script, *trace, *end;
};

struct world {
    struct dm_policy policy;
    struct dm_record record;
    int64_t now;
    uint64_t floor, next_seq;
    char trace[1024];
};

static const char *const statuses[] = {"none", "active", "snoozed", "inactive"};
static const char *const reasons[] = {
    "?",     "never_set", "set",  "bulk_set", "snooze_expired", "manual", "workflow",
    "limit", "inbound",   "read", "stop",     "handover",       "booked", "mode_off",
};
static const char *const activities[] = {"?",    "inbound", "bot",      "manual", "workflow",
                                         "read", "stop",    "handover", "booked"};
static const char *const modes[] = {"?", "off", "suggestive", "auto"};
static const char *const decisions[] = {"?", "reply", "suggest", "silent"};
static const char *const actions[] = {"?", "none", "snooze", "deactivate", "activate"};
static const char *const repeats[] = {"?", "extend", "keep", "replace"};
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- reading scripts ------------------------------------------------------- */

static uint8_t named(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return (uint8_t)i;
        }
    }
    fail_msg("no such word: %s", name);
    return 0;
}
#define NAMED(names, name) named(names, COUNT(names), name)

static int64_t duration(const char *text)
{
    char *unit;
    int64_t value = strtoll(text, &unit, 10);
    int64_t factor = strcmp(unit, "ms") == 0  ? 1
                     : strcmp(unit, "s") == 0 ? 1000
                     : strcmp(unit, "m") == 0 ? 60 * 1000
                                              : 3600 * 1000;
    return value * factor;
}

static const char *show(int64_t ms)
{
    static char text[4][32];
    static unsigned turn;
    char *out = text[turn++ % 4];
    const char *unit = ms % 3600000 == 0 ? "h"
                       : ms % 60000 == 0 ? "m"
                       : ms % 1000 == 0  ? "s"
                                         : "ms";
    int64_t factor = *unit == 'h' ? 3600000 : *unit == 's' ? 1000 : unit[1] == 's' ? 1 : 60000;
    (void)snprintf(out, sizeof text[0], "%lld%s", (long long)(ms / factor), unit);
    return out;
}

static void read_rule(struct dm_rule *rule, char *text)
{
    char *rest = text, *word = strsep(&rest, ":");
    *rule = (struct dm_rule){.action = NAMED(actions, word), .repeat = DM_REPEAT_EXTEND};
    while ((word = strsep(&rest, ":")) != NULL) {
        if (strcmp(word, "lock") == 0) {
            rule->lock = true;
        } else if (word[0] >= '0' && word[0] <= '9') {
            rule->snooze_ms = duration(word);
        } else {
            rule->repeat = NAMED(repeats, word);
        }
    }
}

static void read_policy(struct dm_policy *policy, char *text)
{
    char *value = text, *key = strsep(&value, "=");
    if (strcmp(key, "mode") == 0) {
        policy->mode = NAMED(modes, value);
    } else if (strcmp(key, "limit") == 0) {
        policy->message_limit = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "max") == 0) {
        policy->max_snooze_ms = duration(value);
    } else if (strcmp(key, "on_limit") == 0) {
        read_rule(&policy->on_limit, value);
    } else {
        read_rule(&policy->rules[NAMED(activities, key)], value);
    }
    assert_int_equal(dm_policy_check(policy, NULL, NULL), DM_OK);
}

static void read_change(struct dm_op *op, char *text)
{
    struct dm_change *change = &op->set.change;
    char *rest = text, *word = strsep(&rest, ",");
    size_t length = strcspn(word, ":@");
    change->has_for = word[length] == ':';
    change->has_until = word[length] == '@';
    change->for_ms = change->has_for ? duration(word + length + 1) : 0;
    change->until_ms = change->has_until ? T0 + duration(word + length + 1) : 0;
    word[length] = '\0';
    change->status = NAMED(statuses, word);
    change->actor = dm_slice_str("bob");
    while ((word = strsep(&rest, ",")) != NULL) {
        if (strcmp(word, "lock") == 0) {
            change->lock = true;
        } else if (strcmp(word, "unlock") == 0) {
            change->unlock = true;
        } else if (strncmp(word, "bot:", 4) == 0) {
            change->has_bot = true;
            change->bot = (uint32_t)strtoul(word + 4, NULL, 10);
        } else if (strncmp(word, "if:", 3) == 0) {
            op->set.has_if_revision = true;
            op->set.if_revision = (uint64_t)atoll(word + 3);
        } else {
            change->reason = NAMED(reasons, word);
        }
    }
    assert_int_equal(dm_change_check(change, op->now_ms, NULL), DM_OK);
}

static struct dm_effective effective(const struct world *w)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_record_head head;
    struct dm_effective state;
    assert_true(dm_record_head(&head, dm_slice(bytes, dm_record_encode(&w->record, bytes))));
    dm_effective_at(&state, &head, w->floor, &w->policy, w->now);
    return state;
}

static struct dm_op read_op(const struct world *w, char *text)
{
    struct dm_op op = {.now_ms = w->now, .next_seq = w->next_seq, .fence_floor = w->floor};
    char *request = strchr(text, '#');
    if (request != NULL) {
        *request = '\0';
        op.request = (uint64_t)atoll(request + 1);
    }
    char *value = text, *verb = strsep(&value, "=");
    if (strcmp(verb, "set") == 0) {
        op.kind = DM_OP_SET_STATUS;
        read_change(&op, value);
    } else if (strcmp(verb, "commit") == 0) {
        op.kind = DM_OP_COMMIT_REPLY;
        op.commit.fence = value != NULL ? (uint64_t)atoll(value) : effective(w).fence;
    } else if (strcmp(verb, "wake") == 0) {
        op.kind = DM_OP_WAKE_DUE;
        op.wake.fence = value != NULL ? (uint64_t)atoll(value) : w->record.fence;
    } else if (strcmp(verb, "delete") == 0) {
        op.kind = DM_OP_DELETE;
    } else {
        op.kind = DM_OP_ACTIVITY;
        op.activity.activity = NAMED(activities, verb);
        op.activity.actor = dm_slice_str("ann");
    }
    return op;
}

/* ---- writing traces -------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(struct world *w, const char *format, ...)
{
    size_t used = strlen(w->trace);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(w->trace + used, sizeof w->trace - used, format, arguments);
    va_end(arguments);
}

static void say_transition(struct world *w, const struct dm_transition *t)
{
    const struct dm_record *r = &t->record;
    if (!t->event) {
        say(w, r->status == DM_STATUS_NONE ? " deleted" : " write");
        return;
    }
    assert_int_equal(r->last_seq, w->next_seq++);
    assert_int_equal(t->previous_seq, w->record.last_seq);
    say(w, " %s:%s>%s/%s", show(w->now - T0), statuses[t->from], statuses[r->status],
        reasons[r->reason]);
    if (r->until_ms != 0) {
        say(w, "/until=%s", show(r->until_ms - T0));
    }
    if (t->due_ms != 0) {
        say(w, "/due=%s/missed=%u", show(t->due_ms - T0), t->missed_inbound);
    }
}

static void run_op(struct world *w, char *text)
{
    struct dm_op op = read_op(w, text);
    struct dm_step step;
    dm_step(&step, &w->record, &w->policy, &op);
    for (int i = 0; i < step.transition_count; i++) {
        say_transition(w, &step.transitions[i]);
        dm_record_copy(&w->record, &step.transitions[i].record);
    }
    if (step.code != DM_OK) {
        say(w, " %s", dm_code_name((int)step.code));
        return;
    }
    if (step.transition_count == 0 && !step.repeated) {
        say(w, " -");
    }
    say(w, step.repeated ? " repeated" : "");
    if (op.kind == DM_OP_COMMIT_REPLY) {
        say(w, step.answer.granted ? " granted:%s" : " refused", decisions[step.answer.decision]);
    }
}

static void say_end(struct world *w)
{
    struct dm_effective state = effective(w);
    w->trace[0] = '\0';
    say(w, "%s/%s fence=%llu revision=%llu", statuses[state.status], reasons[state.reason],
        (unsigned long long)state.fence, (unsigned long long)state.revision);
    if (state.since_ms != 0) {
        say(w, " since=%s", show(state.since_ms - T0));
    }
    if (w->record.actor.size != 0) {
        say(w, " by=%.*s", w->record.actor.size, w->record.actor.bytes);
    }
    if (state.bot_messages != 0) {
        say(w, " bot=%u", state.bot_messages);
    }
    if (state.missed_inbound != 0) {
        say(w, " missed=%u", state.missed_inbound);
    }
    say(w, "%s %s/%s", state.locked ? " locked" : "", decisions[state.decision],
        reasons[state.decision_reason]);
}

static void run_case(void **test_state)
{
    const struct rule_case *c = *test_state;
    struct world w = {.policy = *dm_policy_default(), .now = T0, .next_seq = 1};
    char script[512];
    (void)snprintf(script, sizeof script, "%s", c->script);
    char *rest = script, *word;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (word[0] == '!') {
            read_policy(&w.policy, word + 1);
        } else if (word[0] == '+' || word[0] == '-') {
            w.now += duration(word);
        } else if (strncmp(word, "floor=", 6) == 0) {
            w.floor = (uint64_t)atoll(word + 6);
        } else {
            run_op(&w, word);
        }
    }
    assert_string_equal(w.trace[0] == ' ' ? w.trace + 1 : w.trace, c->trace);
    if (c->end != NULL) {
        say_end(&w);
        assert_string_equal(w.trace, c->end);
    }
}

/* ---- the rules ------------------------------------------------------------- */

#define SNOOZED_2H "0h:none>snoozed/manual/until=2h"

static struct rule_case cases[] = {
    /* a contact never seen */
    {"a contact never seen is active and never set", "commit=1", "- refused",
     "active/never_set fence=0 revision=0 reply/never_set"},
    {"its fence is the floor, and its first change goes above it",
     "floor=7 commit=7 floor=9 set=inactive", "write granted:reply 0h:active>inactive/set",
     "inactive/set fence=8 revision=2 since=0h by=bob bot=1 silent/set"},
    {"a grant brings it into existence, active and never set", "floor=7 commit",
     "write granted:reply", "active/never_set fence=7 revision=1 bot=1 reply/never_set"},
    {"set active, it is written but not changed", "floor=7 +1h set=active", "write",
     "active/set fence=7 revision=1 since=1h by=bob reply/set"},
    {"a refusal does not bring it into existence", "!mode=off set=active", "FAILED_PRECONDITION",
     "active/never_set fence=0 revision=0 silent/mode_off"},
    {"a request id does, for the answer is kept with it", "commit=5#1", "write refused",
     "active/never_set fence=0 revision=1 reply/never_set"},
    {"an inbound message leaves an active contact unwritten", "inbound", "-", NULL},

    /* the default policy */
    {"a manual message snoozes for 2 h", "manual", SNOOZED_2H,
     "snoozed/manual fence=1 revision=1 since=0h by=ann silent/manual"},
    {"a workflow message snoozes for 2 h", "workflow", "0h:none>snoozed/workflow/until=2h", NULL},
    {"the next one extends the snooze and keeps since", "manual +1h workflow",
     SNOOZED_2H " 1h:snoozed>snoozed/workflow/until=3h",
     "snoozed/workflow fence=2 revision=2 since=0h by=ann silent/workflow"},
    {"a stop keyword deactivates and locks", "stop", "0h:none>inactive/stop",
     "inactive/stop fence=1 revision=1 since=0h by=ann locked silent/stop"},
    {"a request for a person deactivates", "handover", "0h:none>inactive/handover",
     "inactive/handover fence=1 revision=1 since=0h by=ann silent/handover"},
    {"an appointment changes nothing", "booked", "-", NULL},
    {"reading the conversation ends no manual snooze", "manual read", SNOOZED_2H " -", NULL},
    {"reading the conversation resets the count", "commit bot read",
     "write granted:reply write write", "active/never_set fence=0 revision=3 reply/never_set"},
    {"nothing automatic turns INACTIVE on or into a snooze", "handover manual workflow read booked",
     "0h:none>inactive/handover - - - -", NULL},

    /* waking */
    {"a snooze wakes when it is due", "manual +2h wake",
     SNOOZED_2H " 2h:snoozed>active/snooze_expired/due=2h/missed=0",
     "active/snooze_expired fence=2 revision=2 since=2h by=dormouse reply/snooze_expired"},
    {"never early", "manual +7199999ms wake", SNOOZED_2H " -", NULL},
    {"never twice", "manual +2h wake wake wake=1",
     SNOOZED_2H " 2h:snoozed>active/snooze_expired/due=2h/missed=0 - -", NULL},
    {"the timer of a snooze that was extended does nothing", "manual +1h manual +2h wake=1 wake=2",
     SNOOZED_2H " 1h:snoozed>snoozed/manual/until=3h - "
                "3h:snoozed>active/snooze_expired/due=3h/missed=0",
     NULL},
    {"the wake tells what was missed, and the counters start anew",
     "manual bot inbound inbound +3h wake",
     SNOOZED_2H " write write write 3h:snoozed>active/snooze_expired/due=2h/missed=2",
     "active/snooze_expired fence=2 revision=5 since=2h by=dormouse reply/snooze_expired"},
    {"an operation that meets an expired snooze first applies the wake", "manual +3h manual",
     SNOOZED_2H " 3h:snoozed>active/snooze_expired/due=2h/missed=0 "
                "3h:active>snoozed/manual/until=5h",
     "snoozed/manual fence=3 revision=3 since=3h by=ann silent/manual"},
    {"so does one that then changes nothing", "manual +3h inbound",
     SNOOZED_2H " 3h:snoozed>active/snooze_expired/due=2h/missed=0", NULL},
    {"so does one that is refused", "manual +3h set=inactive,if:1",
     SNOOZED_2H " 3h:snoozed>active/snooze_expired/due=2h/missed=0 ABORTED", NULL},
    {"setting an expired snooze active is only its wake", "manual +3h set=active",
     SNOOZED_2H " 3h:snoozed>active/snooze_expired/due=2h/missed=0",
     "active/snooze_expired fence=2 revision=2 since=2h by=dormouse reply/snooze_expired"},
    {"a repeat applies no wake", "manual#1 +3h manual#1", SNOOZED_2H " repeated", NULL},
    {"the clock steps back before a wake: the snooze goes on", "manual +3h -2h wake commit",
     SNOOZED_2H " - - refused", NULL},
    {"MODE_OFF stops no wake", "manual !mode=off +2h wake",
     SNOOZED_2H " 2h:snoozed>active/snooze_expired/due=2h/missed=0", NULL},

    /* the fence: the bot never talks over a human */
    {"a grant on the fence that Check gave", "set=inactive set=active commit=2",
     "0h:none>inactive/set 0h:inactive>active/set write granted:reply", NULL},
    {"no grant on an older fence, although active again",
     "set=inactive set=active commit=0 commit=1",
     "0h:none>inactive/set 0h:inactive>active/set - refused - refused", NULL},
    {"no grant on a newer fence than there is", "commit=1", "- refused", NULL},
    {"a wake is a change: the fence before it is old", "manual +2h commit=1 commit=2",
     SNOOZED_2H " 2h:snoozed>active/snooze_expired/due=2h/missed=0 refused write granted:reply",
     NULL},
    {"Check of an expired snooze gives the fence of its wake", "manual +2h commit",
     SNOOZED_2H " 2h:snoozed>active/snooze_expired/due=2h/missed=0 write granted:reply", NULL},
    {"SUGGESTIVE grants a suggestion", "!mode=suggestive commit", "write granted:suggest", NULL},
    {"nothing is granted while silent", "manual commit !mode=off commit",
     SNOOZED_2H " - refused - refused", NULL},

    /* SetStatus */
    {"set to a snooze for a time", "set=snoozed:90m", "0h:none>snoozed/set/until=90m", NULL},
    {"set to a snooze until a time", "+1h set=snoozed@5h,booked", "1h:none>snoozed/booked/until=5h",
     "snoozed/booked fence=1 revision=1 since=1h by=bob silent/booked"},
    {"an explicit snooze may be shorter than the running one, and starts anew",
     "manual +1h set=snoozed:1s", SNOOZED_2H " 1h:snoozed>snoozed/set/until=3601s",
     "snoozed/set fence=2 revision=2 since=1h by=bob silent/set"},
    {"the same status and end is not a change", "manual +1h set=snoozed@2h", SNOOZED_2H " -",
     "snoozed/manual fence=1 revision=1 since=0h by=ann silent/manual"},
    {"the same status with another bot is a write",
     "handover set=inactive,bot:4 set=inactive,bot:4", "0h:none>inactive/handover write -",
     "inactive/handover fence=1 revision=2 since=0h by=ann silent/handover"},
    {"a late opt-out only locks", "handover set=inactive,lock", "0h:none>inactive/handover write",
     "inactive/handover fence=1 revision=2 since=0h by=ann locked silent/handover"},
    {"waking by hand resets what was counted", "manual bot inbound set=active",
     SNOOZED_2H " write write 0h:snoozed>active/set",
     "active/set fence=2 revision=4 since=0h by=bob reply/set"},
    {"falling silent starts the missed count, not the bot's",
     "bot handover inbound set=snoozed:1h inbound",
     "write 0h:active>inactive/handover write 0h:inactive>snoozed/set/until=1h write",
     "snoozed/set fence=2 revision=5 since=0h by=bob bot=1 missed=2 silent/set"},
    {"if_revision of what is read, also of an expired snooze",
     "set=active,if:0 manual +3h set=inactive,if:3",
     "write 0h:active>snoozed/manual/until=2h 3h:snoozed>active/snooze_expired/due=2h/missed=0 "
     "3h:active>inactive/set",
     NULL},
    {"another revision aborts", "set=active set=inactive,if:0 set=inactive,if:2",
     "write ABORTED ABORTED", NULL},
    {"MODE_OFF refuses, after if_revision", "!mode=off set=active,if:1 set=active,if:0",
     "ABORTED FAILED_PRECONDITION", NULL},

    /* the lock */
    {"a locked contact refuses every change without unlock", "stop set=active set=inactive,lock",
     "0h:none>inactive/stop FAILED_PRECONDITION FAILED_PRECONDITION", NULL},
    {"unlock opens it, to the same status without an event", "stop set=inactive,unlock set=active",
     "0h:none>inactive/stop write 0h:inactive>active/set", NULL},
    {"unlock and another status in one", "stop set=active,unlock",
     "0h:none>inactive/stop 0h:inactive>active/set",
     "active/set fence=2 revision=2 since=0h by=bob reply/set"},
    {"unlock and lock again is still locked", "stop set=inactive,unlock,lock set=active",
     "0h:none>inactive/stop - FAILED_PRECONDITION", NULL},
    {"no rule touches a locked contact, counting goes on",
     "!read=activate:replace !manual=snooze:1h stop manual read handover inbound bot",
     "0h:none>inactive/stop - - - write write",
     "inactive/stop fence=1 revision=3 since=0h by=ann bot=1 missed=1 locked silent/stop"},
    {"reading resets the count of a locked contact", "bot stop read",
     "write 0h:active>inactive/stop write", NULL},
    {"an opt-out locks what was already INACTIVE", "handover stop stop",
     "0h:none>inactive/handover write -",
     "inactive/handover fence=1 revision=2 since=0h by=ann locked silent/handover"},

    /* rules */
    {"DEACTIVATE ends a snooze", "manual handover", SNOOZED_2H " 0h:snoozed>inactive/handover",
     NULL},
    {"EXTEND never shortens", "set=snoozed:5h manual", "0h:none>snoozed/set/until=5h -", NULL},
    {"EXTEND to the same end is not a change", "manual manual", SNOOZED_2H " -", NULL},
    {"KEEP leaves the running snooze", "!manual=snooze:9h:keep workflow manual",
     "0h:none>snoozed/workflow/until=2h -", NULL},
    {"REPLACE may shorten", "!manual=snooze:1h:replace workflow manual",
     "0h:none>snoozed/workflow/until=2h 0h:snoozed>snoozed/manual/until=1h", NULL},
    {"the cap holds for a new snooze", "!max=1h manual", "0h:none>snoozed/manual/until=1h", NULL},
    {"the cap counts in all, from the start of the snooze", "!max=3h manual +90m manual +1h manual",
     SNOOZED_2H " 90m:snoozed>snoozed/manual/until=3h -", NULL},
    {"the cap never shortens a running snooze", "set=snoozed:5h !max=3h +1h manual",
     "0h:none>snoozed/set/until=5h -", NULL},
    {"under REPLACE it may", "set=snoozed:5h !max=3h !manual=snooze:4h:replace +1h manual",
     "0h:none>snoozed/set/until=5h 1h:snoozed>snoozed/manual/until=3h", NULL},
    {"but not end it at once", "set=snoozed:5h !max=3h !manual=snooze:4h:replace +3h manual",
     "0h:none>snoozed/set/until=5h -", NULL},
    {"ACTIVATE without REPLACE ends no snooze", "!inbound=activate manual inbound",
     SNOOZED_2H " write", NULL},
    {"ACTIVATE with REPLACE ends a snooze", "!inbound=activate:replace manual inbound",
     SNOOZED_2H " 0h:snoozed>active/inbound",
     "active/inbound fence=2 revision=2 since=0h by=ann reply/inbound"},
    {"ACTIVATE with REPLACE ends no INACTIVE", "!inbound=activate:replace handover inbound",
     "0h:none>inactive/handover write", NULL},
    {"counting and the rule are one write", "!inbound=snooze:3h manual inbound",
     SNOOZED_2H " 0h:snoozed>snoozed/inbound/until=3h",
     "snoozed/inbound fence=2 revision=2 since=0h by=ann missed=1 silent/inbound"},
    {"MODE_OFF: counted, but no rule fires", "!mode=off manual stop handover bot read manual",
     "- - - write write -", "active/never_set fence=0 revision=2 silent/mode_off"},
    {"MODE_OFF: messages are missed all the same", "manual !mode=off inbound", SNOOZED_2H " write",
     "snoozed/manual fence=1 revision=2 since=0h by=ann missed=1 silent/mode_off"},

    /* the message limit */
    {"the message that reaches the limit is granted, then the bot is silent",
     "!limit=2 commit commit commit",
     "write granted:reply 0h:active>snoozed/limit/until=24h granted:reply - refused",
     "snoozed/limit fence=1 revision=2 since=0h by=dormouse bot=2 silent/limit"},
    {"bot messages without a commit count, too", "!limit=2 bot bot bot",
     "write 0h:active>snoozed/limit/until=24h write",
     "snoozed/limit fence=1 revision=3 since=0h by=dormouse bot=3 silent/limit"},
    {"reading wakes what the limit silenced", "!limit=1 commit read",
     "0h:none>snoozed/limit/until=24h granted:reply 0h:snoozed>active/read",
     "active/read fence=2 revision=2 since=0h by=ann reply/read"},
    {"also if it was deactivated", "!limit=1 !on_limit=deactivate commit read",
     "0h:none>inactive/limit granted:reply 0h:inactive>active/read", NULL},
    {"but not if it was locked, too", "!limit=1 !on_limit=deactivate:lock commit read",
     "0h:none>inactive/limit granted:reply write",
     "inactive/limit fence=1 revision=2 since=0h by=dormouse locked silent/limit"},
    {"no other activity does, not even with REPLACE",
     "!limit=1 !inbound=activate:replace commit inbound",
     "0h:none>snoozed/limit/until=24h granted:reply write", NULL},
    {"reading with ACTION_NONE only resets the count", "!limit=1 !read=none commit read",
     "0h:none>snoozed/limit/until=24h granted:reply write", NULL},
    {"a lowered limit silences at once, and the next commit applies on_limit",
     "commit commit !limit=1 commit",
     "write granted:reply write granted:reply 0h:active>snoozed/limit/until=24h refused", NULL},
    {"only a commit on the right fence does", "commit !limit=1 commit=9",
     "write granted:reply - refused", "active/never_set fence=0 revision=1 bot=1 silent/limit"},
    {"with ACTION_NONE the count alone silences", "!limit=1 !on_limit=none commit commit bot",
     "write granted:reply - refused write",
     "active/never_set fence=0 revision=2 bot=2 silent/limit"},
    {"then setting it active again lets it speak",
     "!limit=1 !on_limit=none commit set=active commit",
     "write granted:reply write write granted:reply", NULL},
    {"below the limit that changes nothing", "!limit=2 commit set=active", "write granted:reply -",
     "active/never_set fence=0 revision=1 bot=1 reply/never_set"},
    {"a manual snooze that reaches the limit is the limit's", "!limit=1 manual bot read",
     SNOOZED_2H " 0h:snoozed>snoozed/limit/until=24h 0h:snoozed>active/read", NULL},
    {"MODE_OFF: the limit silences nobody", "!limit=1 !mode=off bot bot", "write write", NULL},
    {"the limit's snooze ends like any other", "!limit=1 commit +24h commit",
     "0h:none>snoozed/limit/until=24h granted:reply "
     "24h:snoozed>active/snooze_expired/due=24h/missed=0 24h:active>snoozed/limit/until=48h "
     "granted:reply",
     NULL},

    /* request ids */
    {"the same request id counts once", "commit#1 commit#1 commit#1",
     "write granted:reply repeated granted:reply repeated granted:reply",
     "active/never_set fence=0 revision=1 bot=1 reply/never_set"},
    {"a refusal stays a refusal", "commit=9#1 commit=0#1", "write refused repeated refused", NULL},
    {"a grant stays a grant, whatever came since", "commit#1 handover !mode=off commit#1",
     "write granted:reply 0h:active>inactive/handover repeated granted:reply", NULL},
    {"eight are remembered, the ninth pushes the oldest out",
     "bot#1 bot#2 bot#3 bot#4 bot#5 bot#6 bot#7 bot#8 bot#1 bot#9 bot#2 bot#1",
     "write write write write write write write write repeated write repeated write", NULL},
    {"what changes nothing is remembered, too",
     "manual set=snoozed@2h#1 set=active set=snoozed@2h#1",
     SNOOZED_2H " write 0h:snoozed>active/set repeated", NULL},
    {"an error is not remembered", "set=active,if:3#1 set=active,if:0#1", "ABORTED write", NULL},

    /* deleting */
    {"a delete needs something to delete", "delete", "-", NULL},
    {"a deleted contact is never seen", "handover delete delete floor=2",
     "0h:none>inactive/handover deleted -", "active/never_set fence=2 revision=0 reply/never_set"},
    {"a delete takes an expired snooze without its wake", "manual +3h delete",
     SNOOZED_2H " deleted", NULL},
    {"a delete forgets request ids", "commit#1 delete commit#1",
     "write granted:reply deleted write granted:reply", NULL},
};

/* ---- what does not fit a line ----------------------------------------------- */

static void run(struct dm_step *step, const struct dm_record *record, const struct dm_op *op)
{
    dm_step(step, record, dm_policy_default(), op);
}

static void a_replay_gives_the_contact_as_it_was_then(void **state)
{
    (void)state;
    struct dm_step first, later, again;
    struct dm_op op = {.kind = DM_OP_ACTIVITY, .now_ms = T0, .request = 5, .next_seq = 9};
    op.activity.activity = DM_ACTIVITY_MANUAL_MESSAGE;
    op.activity.actor = dm_slice_str("ann");
    run(&first, NULL, &op);
    assert_int_equal(first.answer.request, 5);
    assert_int_equal(first.answer.revision, 1);
    assert_int_equal(first.answer.last_seq, 9);
    assert_int_equal(first.answer.decision, DM_DECISION_SILENT);
    assert_int_equal(first.answer.mode, DM_MODE_AUTO_PILOT);
    assert_true(first.answer.changed);

    struct dm_op other = {.kind = DM_OP_ACTIVITY, .now_ms = T0, .next_seq = 10};
    other.activity.activity = DM_ACTIVITY_STOP_KEYWORD;
    run(&later, &first.transitions[0].record, &other);
    assert_true(later.answer.locked);

    run(&again, &later.transitions[0].record, &op);
    assert_true(again.repeated);
    assert_int_equal(again.transition_count, 0);
    assert_int_equal(again.answer.status, DM_STATUS_SNOOZED);
    assert_int_equal(again.answer.until_ms, T0 + 7200000);
    assert_int_equal(again.answer.revision, 1);
    assert_false(again.answer.locked);
    assert_memory_equal(again.answer.actor.bytes, "ann", 3);
}

static void an_answer_without_request_id_shows_the_contact_after(void **state)
{
    (void)state;
    struct dm_step step;
    struct dm_op op = {.kind = DM_OP_SET_STATUS, .now_ms = T0, .next_seq = 3, .fence_floor = 6};
    op.set.change =
        (struct dm_change){.status = DM_STATUS_SNOOZED, .has_for = true, .for_ms = 1000};
    run(&step, NULL, &op);
    assert_int_equal(step.answer.request, 0);
    assert_int_equal(step.answer.status, DM_STATUS_SNOOZED);
    assert_int_equal(step.answer.reason, DM_REASON_SET);
    assert_int_equal(step.answer.fence, 7);
    assert_int_equal(step.answer.until_ms, T0 + 1000);
    assert_int_equal(step.transitions[0].record.answers.count, 0);
}

static void a_wake_before_does_not_make_an_answer_changed(void **state)
{
    (void)state;
    struct dm_record asleep = {.status = DM_STATUS_SNOOZED,
                               .reason = DM_REASON_SET,
                               .until_ms = T0,
                               .revision = 1,
                               .fence = 1};
    struct dm_step step;
    struct dm_op op = {.kind = DM_OP_SET_STATUS, .now_ms = T0, .next_seq = 3};
    op.set.change.status = DM_STATUS_ACTIVE;
    run(&step, &asleep, &op);
    assert_int_equal(step.transition_count, 1);
    assert_false(step.answer.changed);
    op.set.change.status = DM_STATUS_INACTIVE;
    run(&step, &asleep, &op);
    assert_int_equal(step.transition_count, 2);
    assert_true(step.answer.changed);
    assert_int_equal(step.transitions[1].previous_seq, 3);
    assert_int_equal(step.transitions[1].record.last_seq, 4);
}

static void a_delete_leaves_a_fence_that_none_was_above(void **state)
{
    (void)state;
    struct dm_record asleep = {.status = DM_STATUS_SNOOZED,
                               .reason = DM_REASON_SET,
                               .until_ms = T0,
                               .revision = 4,
                               .fence = 3,
                               .last_seq = 2};
    struct dm_step step;
    struct dm_op op = {.kind = DM_OP_DELETE, .now_ms = T0};
    run(&step, &asleep, &op);
    assert_true(step.existed);
    assert_int_equal(step.transition_count, 1);
    assert_int_equal(step.transitions[0].record.status, DM_STATUS_NONE);
    assert_int_equal(step.transitions[0].from, DM_STATUS_SNOOZED);
    assert_int_equal(step.transitions[0].record.fence, 4); /* Check had given the due wake's */
    assert_int_equal(step.transitions[0].record.revision, 0);
    assert_int_equal(step.transitions[0].record.last_seq, 0);
    struct dm_step again;
    run(&again, &step.transitions[0].record, &op);
    assert_false(again.existed);
    assert_int_equal(again.transition_count, 0);
}

static void refusals_say_what_to_do(void **state)
{
    (void)state;
    struct dm_record record = {.status = DM_STATUS_INACTIVE,
                               .reason = DM_REASON_SET,
                               .locked = true,
                               .revision = 4,
                               .fence = 3};
    struct dm_policy policy = *dm_policy_default();
    struct dm_step step;
    struct dm_op op = {.kind = DM_OP_SET_STATUS, .now_ms = T0};
    op.set.change.status = DM_STATUS_ACTIVE;
    dm_step(&step, &record, &policy, &op);
    assert_int_equal(step.error.code, DM_FAILED_PRECONDITION);
    assert_non_null(strstr(step.error.message, "unlock"));
    policy.mode = DM_MODE_OFF;
    dm_step(&step, &record, &policy, &op);
    assert_int_equal(step.error.code, DM_FAILED_PRECONDITION);
    assert_non_null(strstr(step.error.message, "the bot of this account is off"));
    op.set.has_if_revision = true;
    op.set.if_revision = 17;
    dm_step(&step, &record, &policy, &op);
    assert_int_equal(step.error.code, DM_ABORTED);
    assert_non_null(strstr(step.error.message, "revision 4, not 17"));
}

static void an_activity_that_is_none_is_refused(void **state)
{
    (void)state;
    struct dm_record asleep = {
        .status = DM_STATUS_SNOOZED, .reason = DM_REASON_SET, .until_ms = T0, .revision = 1};
    struct dm_step step;
    struct dm_op op = {.kind = DM_OP_ACTIVITY, .now_ms = T0};
    static const uint8_t bad[] = {0, DM_ACTIVITY_COUNT, 255};
    for (size_t i = 0; i < sizeof bad; i++) {
        op.activity.activity = bad[i];
        run(&step, &asleep, &op);
        assert_int_equal(step.code, DM_INVALID_ARGUMENT);
        assert_int_equal(step.transition_count, 0);
    }
    static const char longest[65] = "";
    op.activity.activity = DM_ACTIVITY_BOT_MESSAGE;
    op.activity.actor = dm_slice(longest, sizeof longest);
    run(&step, &asleep, &op);
    assert_int_equal(step.code, DM_INVALID_ARGUMENT);
}

static void counters_stop_at_their_end(void **state)
{
    (void)state;
    struct dm_record record = {.status = DM_STATUS_INACTIVE,
                               .reason = DM_REASON_SET,
                               .bot_messages = UINT32_MAX,
                               .missed_inbound = UINT32_MAX};
    struct dm_step step;
    struct dm_op op = {.kind = DM_OP_ACTIVITY, .now_ms = T0};
    op.activity.activity = DM_ACTIVITY_BOT_MESSAGE;
    run(&step, &record, &op);
    assert_int_equal(step.answer.bot_messages, UINT32_MAX);
    op.activity.activity = DM_ACTIVITY_INBOUND_MESSAGE;
    run(&step, &record, &op);
    assert_int_equal(step.answer.missed_inbound, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_replay_gives_the_contact_as_it_was_then),
        cmocka_unit_test(an_answer_without_request_id_shows_the_contact_after),
        cmocka_unit_test(a_wake_before_does_not_make_an_answer_changed),
        cmocka_unit_test(a_delete_leaves_a_fence_that_none_was_above),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(an_activity_that_is_none_is_refused),
        cmocka_unit_test(counters_stop_at_their_end),
    };
    struct CMUnitTest tests[COUNT(cases)] = {{0}};
    for (int i = 0; i < COUNT(cases); i++) {
        tests[i].name = cases[i].title;
        tests[i].test_func = run_case;
        tests[i].initial_state = &cases[i];
    }
    int failed = cmocka_run_group_tests_name("the rules", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("the step", others, NULL, NULL);
}

#ifndef DORMOUSE_MESSAGE_H
#define DORMOUSE_MESSAGE_H

/* Written by tools/gen/client.py from proto/dormouse/v1/dormouse.proto. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */

/* The messages of dormouse.v1.BotStatus as structs. What is zero is unset. Times are UTC
 * milliseconds since 1970. A text or number that may also be absent has a `has_x`. A message inside
 * another one is a pointer, NULL where it is absent; a repeated one is an array of pointers, with
 * its `x_count`. Of several in a union of the protocol ("one of") at most one is set.
 *
 * Structs grow from release to release, always at their end. So the library must know how much of
 * one your program knows: each struct that you pass says so, in struct_size. DORMOUSE() sets it:
 *
 *     struct dormouse_check request = DORMOUSE(check, .account_id = dormouse_text("acme"),
 *                                              .contact_id = dormouse_text("c1"));
 *
 * (C++ has no such literals: dormouse_check request = {}; request.struct_size = sizeof request;)
 *
 * The structs of answers are the library's; read them where they are. One that you copy has the
 * members that your program knows. In answers struct_size is 0, so that a copy cannot be passed on
 * by mistake: set it to the size of your copy first. */
#define DORMOUSE(name, ...) \
    ((struct dormouse_##name){.struct_size = sizeof(struct dormouse_##name), __VA_ARGS__})

/* Which header a program was compiled with: the number of fields of all messages. A library that
 * knows fewer refuses it (dormouse_client_create). */
#define DORMOUSE_LEVEL 140

/* Of members that came after the first release. They never lie where an older program has the
 * padding at its struct's end, which may hold anything. */
#if defined(__GNUC__)
#define DORMOUSE_LATER __attribute__((aligned(8)))
#elif defined(__cplusplus)
#define DORMOUSE_LATER alignas(8)
#else
#define DORMOUSE_LATER _Alignas(8)
#endif

/* Text or bytes, not NUL-terminated. In a request: yours, copied before the call returns.
 * In an answer: the client's, valid as long as the answer. This struct never grows. */
struct dormouse_text {
    const char *data;
    size_t size;
};

static inline struct dormouse_text dormouse_text(const char *terminated)
{
    struct dormouse_text text;
    text.data = terminated;
    text.size = terminated == NULL ? 0 : strlen(terminated);
    return text;
}

/* ---- enums: kept as int32_t, for a newer server may send more values ---- */

enum dormouse_status {
    DORMOUSE_STATUS_UNSPECIFIED = 0,
    DORMOUSE_ACTIVE = 1,  /* the bot answers all incoming messages */
    DORMOUSE_SNOOZED = 2, /* paused; wakes by itself at snoozed_until */
    DORMOUSE_INACTIVE = 3 /* off until someone sets it otherwise; no timer, no message wakes it */
};

/* What the bot may do at all. The status of a contact matters only in the last two. */
enum dormouse_mode {
    DORMOUSE_MODE_UNSPECIFIED = 0,
    DORMOUSE_MODE_OFF = 1,
    DORMOUSE_MODE_SUGGESTIVE = 2, /* drafts replies for a person to send */
    DORMOUSE_MODE_AUTO_PILOT = 3  /* sends replies itself */
};

enum dormouse_decision {
    DORMOUSE_DECISION_UNSPECIFIED = 0,
    DORMOUSE_REPLY = 1,
    DORMOUSE_SUGGEST = 2,
    DORMOUSE_SILENT = 3
};

/* Why a contact has the status that it has. */
enum dormouse_reason {
    DORMOUSE_REASON_UNSPECIFIED = 0,
    DORMOUSE_REASON_NEVER_SET = 1,
    DORMOUSE_REASON_SET = 2,      /* SetStatus or BatchSetStatus */
    DORMOUSE_REASON_BULK_SET = 3, /* BulkSetStatus */
    DORMOUSE_REASON_SNOOZE_EXPIRED = 4,
    DORMOUSE_REASON_MANUAL_MESSAGE = 5,
    DORMOUSE_REASON_WORKFLOW_MESSAGE = 6,
    DORMOUSE_REASON_MESSAGE_LIMIT = 7,
    DORMOUSE_REASON_INBOUND_MESSAGE = 8,
    DORMOUSE_REASON_CONVERSATION_READ = 9,
    DORMOUSE_REASON_STOP_KEYWORD = 10,
    DORMOUSE_REASON_HANDOVER_REQUESTED = 11,
    DORMOUSE_REASON_APPOINTMENT_BOOKED = 12,
    DORMOUSE_REASON_MODE_OFF = 13 /* only in CheckResponse: the account's bot is off */
};

enum dormouse_activity {
    DORMOUSE_ACTIVITY_UNSPECIFIED = 0,
    DORMOUSE_INBOUND_MESSAGE = 1,    /* the contact wrote */
    DORMOUSE_BOT_MESSAGE = 2,        /* the bot wrote (without a CommitReply) */
    DORMOUSE_MANUAL_MESSAGE = 3,     /* a person wrote from the inbox */
    DORMOUSE_WORKFLOW_MESSAGE = 4,   /* an automation wrote */
    DORMOUSE_CONVERSATION_READ = 5,  /* a person marked the conversation read */
    DORMOUSE_STOP_KEYWORD = 6,       /* the contact opted out */
    DORMOUSE_HANDOVER_REQUESTED = 7, /* the contact or the bot asked for a person */
    DORMOUSE_APPOINTMENT_BOOKED = 8
};

enum dormouse_list_order {
    DORMOUSE_BY_CONTACT_ID = 0, /* by contact_id */
    DORMOUSE_BY_WAKE_TIME = 1   /* soonest first; only SNOOZED contacts */
};

enum dormouse_action {
    DORMOUSE_ACTION_UNSPECIFIED = 0,
    DORMOUSE_ACTION_NONE = 1,
    DORMOUSE_ACTION_SNOOZE = 2,
    DORMOUSE_ACTION_DEACTIVATE = 3,
    DORMOUSE_ACTION_ACTIVATE = 4
};

/* What an automatic snooze does to one that is already running. */
enum dormouse_repeat {
    DORMOUSE_REPEAT_UNSPECIFIED = 0, /* REPEAT_EXTEND */
    DORMOUSE_REPEAT_EXTEND = 1,      /* to the later of the two ends; never shortens */
    DORMOUSE_REPEAT_KEEP = 2,        /* the running one stays as it is */
    DORMOUSE_REPEAT_REPLACE = 3      /* the new end, even if sooner */
};

/* ---- messages ---- */

/* The state of one contact. A contact never written to is ACTIVE with revision 0. */
struct dormouse_contact {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
    int32_t status, reason;
    struct dormouse_text actor;  /* who or what changed the status last */
    int64_t since_ms;            /* when the status last changed */
    int64_t snoozed_until_ms;    /* set while SNOOZED */
    uint64_t fence;              /* grows by one with every change of status, wakes included */
    uint64_t revision;           /* grows with every write to this contact */
    bool locked;                 /* only a SetStatus with unlock may change the status (opt-out) */
    uint32_t bot_messages;       /* counted against the limit since the last reset */
    uint32_t missed_inbound;     /* inbound messages since the bot fell silent */
    struct dormouse_text bot_id; /* which bot's policy applies; empty: the account's default */
    int32_t mode;                /* that policy's mode */
    uint64_t last_seq;           /* its newest event */
};

struct dormouse_check {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
};

struct dormouse_check_answer {
    size_t struct_size;
    int32_t decision, status, reason;
    uint64_t fence;
    /* The answer holds until then if nobody writes; unset: no timer will change it. */
    int64_t valid_until_ms;
    /* Bot messages left before the limit; unset: no limit. */
    bool has_messages_left;
    uint32_t messages_left;
};

struct dormouse_commit_reply {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
    uint64_t fence;                  /* from the Check */
    struct dormouse_text request_id; /* same id again: the same answer, nothing counted twice */
};

struct dormouse_commit_reply_answer {
    size_t struct_size;
    bool granted;
    int32_t decision;
    const struct dormouse_contact *contact;
};

struct dormouse_record_activity {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
    int32_t activity;
    struct dormouse_text actor, request_id;
};

struct dormouse_record_activity_answer {
    size_t struct_size;
    const struct dormouse_contact *contact;
    int32_t decision;
    bool changed; /* the status changed */
};

struct dormouse_get_contact {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
};

struct dormouse_batch_get {
    size_t struct_size;
    struct dormouse_text account_id;
    const struct dormouse_text *contact_ids; /* at most 1,000; answered in this order */
    size_t contact_ids_count;
};

struct dormouse_batch_get_answer {
    size_t struct_size;
    /* One whose stored record is damaged has its ids alone, and no status: GetContact says more. */
    const struct dormouse_contact *const *contacts;
    size_t contacts_count;
};

struct dormouse_list {
    size_t struct_size;
    struct dormouse_text account_id;
    int32_t status;     /* unspecified: all */
    uint32_t page_size; /* 0: 100; at most 1,000 */
    struct dormouse_text page_token;
    int32_t order;
};

struct dormouse_list_answer {
    size_t struct_size;
    const struct dormouse_contact *const *contacts;
    size_t contacts_count;
    struct dormouse_text next_page_token; /* empty: that was the last page */
};

/* A status to set. SNOOZED needs exactly one of the two times, the others none. */
struct dormouse_change {
    size_t struct_size;
    int32_t status;
    /* From the server's now on. What is kept is the end, as a time of the server's wall clock: a
     * clock that is set back by an hour afterwards makes the snooze an hour longer, one that is
     * set forward makes it shorter. That holds for Rule.snooze_for, too. */
    int64_t snooze_for_ms;       /* one of: wake */
    int64_t snooze_until_ms;     /* one of: wake */
    struct dormouse_text actor;
    int32_t reason;              /* unspecified: REASON_SET */
    bool lock;                   /* opt-out: from now on only a change with unlock may follow */
    bool unlock;
    bool has_bot_id;
    struct dormouse_text bot_id; /* also hand the contact to this bot */
};

struct dormouse_set_status {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
    const struct dormouse_change *change;
    bool has_if_revision;
    uint64_t if_revision; /* ABORTED unless the contact has this revision */
    struct dormouse_text request_id;
};

struct dormouse_set_status_answer {
    size_t struct_size;
    const struct dormouse_contact *contact;
    bool changed;
};

struct dormouse_batch_set_status {
    size_t struct_size;
    struct dormouse_text account_id;
    const struct dormouse_text *contact_ids; /* at most 1,000 */
    size_t contact_ids_count;
    const struct dormouse_change *change;
    struct dormouse_text request_id;
};

struct dormouse_batch_set_result {
    size_t struct_size;
    struct dormouse_text contact_id;
    int32_t code; /* google.rpc.Code; 0: done */
    struct dormouse_text message;
    const struct dormouse_contact *contact;
};

struct dormouse_batch_set_status_answer {
    size_t struct_size;
    const struct dormouse_batch_set_result *const *results;
    size_t results_count;
};

struct dormouse_bulk_set_status {
    size_t struct_size;
    struct dormouse_text account_id;
    int32_t if_status; /* unspecified: any */
    int32_t if_reason; /* unspecified: any */
    const struct dormouse_change *change;
    bool dry_run;
};

struct dormouse_bulk_progress {
    size_t struct_size;
    uint64_t scanned, matched, changed, skipped_locked;
    bool done;
};

struct dormouse_delete_contact {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
};

struct dormouse_delete_contact_answer {
    size_t struct_size;
    bool existed;
};

struct dormouse_event {
    size_t struct_size;
    uint64_t seq;            /* dense: 1, 2, 3, … over all accounts */
    int64_t at_ms;
    struct dormouse_text account_id, contact_id;
    int32_t from, to, reason;
    struct dormouse_text actor;
    uint64_t fence;
    int64_t snoozed_until_ms;
    int64_t due_ms;          /* of a wake: when it was due; `at` is when it was committed */
    uint32_t missed_inbound; /* of a wake: what came in while the bot slept */
};

struct dormouse_history {
    size_t struct_size;
    struct dormouse_text account_id, contact_id;
    uint32_t page_size;
    struct dormouse_text page_token;
};

struct dormouse_history_answer {
    size_t struct_size;
    const struct dormouse_event *const *events;
    size_t events_count;
    struct dormouse_text next_page_token; /* empty: that was the last page */
};

struct dormouse_watch {
    size_t struct_size;
    struct dormouse_text account_id;         /* empty: all accounts */
    const struct dormouse_text *contact_ids; /* empty: all contacts; at most 1,000 */
    size_t contact_ids_count;
    /* Events after this one; 0 with from_start unset: only what comes from now on. */
    uint64_t after_seq;
    bool from_start;                         /* from the oldest event that is kept */
};

struct dormouse_watch_message {
    size_t struct_size;
    const struct dormouse_event *event; /* one of: kind */
    /* Everything up to here was looked at: a cursor to resume from. Sent at the start and at least
     * every 5 s, also when nothing matches. */
    uint64_t progress_seq;              /* one of: kind */
};

struct dormouse_rule {
    size_t struct_size;
    int32_t on, action;
    int64_t snooze_for_ms; /* for ACTION_SNOOZE */
    int32_t repeat;
    bool lock;             /* with ACTION_DEACTIVATE: an opt-out */
};

/* How one bot of an account behaves. What is unset has the server's default (mode: AUTO_PILOT;
 * rules and on_limit: see the design). SetPolicy replaces the whole policy; GetPolicy shows it
 * with the defaults filled in. */
struct dormouse_policy {
    size_t struct_size;
    struct dormouse_text account_id;
    struct dormouse_text bot_id;          /* empty: the account's default bot */
    int32_t mode;
    /* At most one an activity; each replaces the default rule of its activity, and ACTION_NONE
     * turns that off. */
    const struct dormouse_rule *const *rules;
    size_t rules_count;
    /* After this many bot messages without a reset the bot falls silent; 0: no limit. */
    uint32_t message_limit;
    const struct dormouse_rule *on_limit; /* what reaching it does (`on` is ignored) */
    /* the longest an automatic snooze may run in all; unset: no cap */
    int64_t max_snooze_ms;
    uint64_t revision;
};

struct dormouse_get_policy {
    size_t struct_size;
    struct dormouse_text account_id, bot_id;
};

struct dormouse_set_policy {
    size_t struct_size;
    const struct dormouse_policy *policy;
    bool has_if_revision;
    uint64_t if_revision;
};

struct dormouse_get_stats {
    size_t struct_size;
    struct dormouse_text account_id; /* empty: the whole server */
};

struct dormouse_stats {
    size_t struct_size;
    uint64_t contacts, active, snoozed, inactive;
    uint64_t wakes; /* since start */
    int64_t next_wake_ms;
    /* How late wakes were committed since start. */
    int64_t wake_lag_p50_us, wake_lag_p99_us, wake_lag_max_us;
    uint64_t last_seq, oldest_seq;
};

/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif

#ifndef DM_TESTS_SIM_MODEL_H
#define DM_TESTS_SIM_MODEL_H

#include "core/step.h"

#include <stdbool.h>
#include <stdint.h>

/* What the engine should hold, kept in the simplest way: a list of all that was ordered,
 * and the state that one gets by applying it from the front. One operation's outcome is
 * asked of the pure core (which has tests of its own); order, numbering, durability,
 * wakes, counts and lists are the model's. After a crash the list is cut and the state
 * built anew. */

enum { ACCOUNT_COUNT = 3, BOT_COUNT = 3, CONTACT_MAX = 330, CONTACT_FEW = 14 };

/* Accounts beyond the few that have contacts: a number, and perhaps a policy. */
enum { EXTRA_MAX = 4000 };

enum m_kind { M_CONTACT, M_DELETE, M_ACCOUNT, M_BOT, M_EXTRA, M_EXTRA_POLICY };

/* One entry of the order; its lsn is its place in the list, from 1. */
struct m_entry {
    uint8_t kind; /* enum m_kind */
    uint8_t account;
    uint16_t contact;             /* EXTRA, EXTRA_POLICY: which of those */
    struct dm_transition *change; /* CONTACT, DELETE */
    int64_t at_ms;
    uint64_t fence_floor;     /* DELETE: of the account from now on */
    uint8_t bot_name;         /* BOT */
    struct dm_policy *policy; /* BOT; NULL: it only got its number */
};

struct m_contact {
    struct dm_record record; /* status NONE: not there */
    uint64_t lsn;            /* of its newest entry, a delete included; 0: none */
};

struct m_bot {
    uint8_t name; /* number of the name: the sim's own */
    bool has_policy;
    struct dm_policy policy;
};

struct m_account {
    uint32_t number; /* 0: nobody wrote to it */
    uint64_t fence_floor;
    uint64_t floor_lsn,
        policy_lsn; /* newest entries that changed the floor; a bot or the account */
    uint32_t bot_count;
    struct m_bot bots[BOT_COUNT];
    struct m_contact contacts[CONTACT_MAX];
};

struct model {
    struct m_entry *entries;
    uint64_t count, capacity; /* count: the newest lsn */
    uint64_t *events;         /* lsn of each seq, from seq 1 */
    uint64_t event_count, event_capacity;
    uint32_t account_count;
    uint32_t contact_count; /* names in use in every account */
    uint32_t extra_count;
    uint64_t extra_policy_lsn[EXTRA_MAX]; /* 0: it has none */
    struct m_account accounts[ACCOUNT_COUNT];
};

struct model *model_create(uint32_t contact_count);
void model_destroy(struct model *model);

/* Only what was ordered up to `lsn` has happened. */
void model_cut(struct model *model, uint64_t lsn);

/* The account's number exists from now on (an entry, if it is new). */
void model_meet_account(struct model *model, unsigned account, int64_t now_ms);
/* The number of a bot by name; -1: none. */
int model_bot(const struct model *model, unsigned account, unsigned name);
/* Its number, a new one made durable by an entry of its own. */
uint32_t model_meet_bot(struct model *model, unsigned account, unsigned name);
void model_set_policy(struct model *model, unsigned account, unsigned name,
                      const struct dm_policy *policy);
/* One more of the accounts without contacts, with a policy. */
void model_meet_extra(struct model *model);
const struct dm_policy *model_policy(const struct model *model, unsigned account, uint32_t bot);

/* What the core makes of `op`; nothing is changed yet. Fills in op's seq and floor. */
void model_step(const struct model *model, unsigned account, unsigned contact, uint32_t policy_bot,
                struct dm_op *op, struct dm_step *step);
/* Orders what came of it. */
void model_commit(struct model *model, unsigned account, unsigned contact, const struct dm_op *op,
                  const struct dm_step *step);

/* The contact is no more, its record was lost: a delete with a fence above all there were. */
void model_discard(struct model *model, unsigned account, unsigned contact, int64_t now_ms);

/* The contact as everyone should see it. */
void model_effective(const struct model *model, unsigned account, unsigned contact, int64_t now_ms,
                     struct dm_effective *out);
/* What must be durable before the contact's state may be shown. */
uint64_t model_needed(const struct model *model, unsigned account, unsigned contact);

/* An event by its seq. */
const struct m_entry *model_event(const struct model *model, uint64_t seq);

static inline bool model_exists(const struct model *model, unsigned account, unsigned contact)
{
    return model->accounts[account].contacts[contact].record.status != DM_STATUS_NONE;
}

#endif

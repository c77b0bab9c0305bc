#ifndef DM_ENGINE_ACCOUNTS_H
#define DM_ENGINE_ACCOUNTS_H

#include "base/code.h"
#include "base/index.h"
#include "base/slice.h"
#include "core/policy.h"
#include "core/types.h"

#include <stdbool.h>
#include <stdint.h>

/* Accounts and their bots, all in memory: numbers for names, policies, counts. An
 * account is never forgotten: its number is in its contacts' keys. */

struct dm_bot {
    struct dm_policy *policy; /* NULL: none was set, the defaults apply */
    bool dirty;               /* changed since its row was last written */
    uint8_t id_size;          /* 0: the default bot */
    char id[64];
};

struct dm_account {
    uint32_t number;     /* 1, 2, 3, … */
    uint32_t link;       /* chain of the index */
    uint32_t bot_count;  /* at least 1: bots[0] is the default bot */
    uint32_t dirty_next; /* number of the next changed account + 1; 0: not in the list */
    struct dm_bot *bots;
    uint64_t policy_lsn;              /* of the newest change to a bot or to the account itself */
    uint64_t fence_floor;             /* of contacts never written to: see struct dm_op */
    uint64_t floor_lsn;               /* of the delete that raised it last */
    uint64_t counts[DM_STATUS_COUNT]; /* contacts by stored status; [NONE] is unused */
    uint16_t bot_room;                /* places in `bots` */
    uint8_t id_size;
    char id[64];
};

struct dm_accounts {
    struct dm_region region;
    struct dm_account *all; /* by number - 1 */
    uint32_t count;
    uint32_t dirty;     /* list of accounts changed since their rows were last written */
    size_t dirty_bytes; /* of the overlay, that their rows and those of their bots will take */
    struct dm_index index;
    /* What the next account and the next policy will take; NULL: to be reserved. */
    struct dm_bot *spare_bots;
    struct dm_policy *spare_policy;
    uint64_t totals[DM_STATUS_COUNT];
};

bool dm_accounts_init(struct dm_accounts *accounts);
void dm_accounts_finish(struct dm_accounts *accounts);

/* NULL when it is not known. */
struct dm_account *dm_accounts_find(const struct dm_accounts *accounts, struct dm_slice id);
struct dm_account *dm_accounts_at(const struct dm_accounts *accounts, uint32_t number);
/* Each of these may add one: what is reserved before it cannot fail afterwards, so that nothing is
 * ordered which cannot be done. false at its limit, or without memory. */
bool dm_accounts_reserve(struct dm_accounts *accounts);
bool dm_account_reserve_bot(struct dm_account *account);
bool dm_accounts_reserve_policy(struct dm_accounts *accounts);

/* The next number; NULL at DM_ACCOUNTS_MAX, or without memory. */
struct dm_account *dm_accounts_add(struct dm_accounts *accounts, struct dm_slice id);
/* A write happened: its row goes with the next sweep. */
void dm_accounts_touch(struct dm_accounts *accounts, struct dm_account *account);
/* Moves one contact from one status to another (NONE: it does not exist). A count stays at 0: the
 * record of a contact may have been damaged, and it then left under another status than the one
 * that it was counted under. */
void dm_accounts_count(struct dm_accounts *accounts, struct dm_account *account, uint8_t from,
                       uint8_t to);
/* Takes one account from the list of changed ones; NULL at its end. */
struct dm_account *dm_accounts_take_dirty(struct dm_accounts *accounts);
/* Was this bot changed since its row was last written? From now on it was not. */
bool dm_accounts_take_dirty_bot(struct dm_accounts *accounts, struct dm_bot *bot);

/* -1 when the account has no bot of that name. */
int64_t dm_account_bot(const struct dm_account *account, struct dm_slice bot_id);
/* The next number; -1 at DM_BOTS_MAX, or without memory. */
int64_t dm_accounts_add_bot(struct dm_accounts *accounts, struct dm_account *account,
                            struct dm_slice bot_id);
const struct dm_policy *dm_account_policy(const struct dm_account *account, uint32_t bot);
/* false without memory. */
bool dm_accounts_set_policy(struct dm_accounts *accounts, struct dm_account *account, uint32_t bot,
                            const struct dm_policy *policy);
/* A bot changed: its row, and its account's, go with the next sweep. */
void dm_accounts_touch_bot(struct dm_accounts *accounts, struct dm_account *account, uint32_t bot);

/* Rows of ACCOUNTS and POLICIES. */
enum { DM_ACCOUNT_ROW_MAX = 40 + 64, DM_BOT_ROW_MAX = 8 + 64 + DM_POLICY_SIZE };
size_t dm_account_row(const struct dm_account *account, uint8_t out[DM_ACCOUNT_ROW_MAX]);
size_t dm_bot_row(const struct dm_bot *bot, uint8_t out[DM_BOT_ROW_MAX]);
/* Rows come in order of number, without gaps. DATA_LOSS: damaged; RESOURCE_EXHAUSTED: no
 * memory, or more than the limits allow. */
enum dm_code dm_accounts_load_account(struct dm_accounts *accounts, struct dm_slice key,
                                      struct dm_slice row);
enum dm_code dm_accounts_load_bot(struct dm_accounts *accounts, struct dm_slice key,
                                  struct dm_slice row);

#endif

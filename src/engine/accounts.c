#include "engine/accounts.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/seal.h"
#include "view/overlay.h"

#include <stdlib.h>

/* More contacts of one status than any account can have; so a row that says more is damaged, and
 * no total runs over. */
#define COUNT_MAX (UINT64_MAX / DM_ACCOUNTS_MAX)

_Static_assert(DM_ID_SIZE_MAX == sizeof((struct dm_account *)0)->id &&
                   DM_ID_SIZE_MAX == sizeof((struct dm_bot *)0)->id,
               "ids fit");
_Static_assert(DM_BOTS_MAX <= UINT16_MAX, "they fit into bot_room");

static struct dm_slice id_of(const struct dm_account *account)
{
    return dm_slice(account->id, account->id_size);
}

static uint64_t hash_of(struct dm_slice id)
{
    return dm_keyed_hash(id.data, id.size);
}

static uint32_t *index_link(void *context, uint32_t item)
{
    return &dm_accounts_at(context, item)->link;
}

static uint64_t index_hash(void *context, uint32_t item)
{
    return hash_of(id_of(dm_accounts_at(context, item)));
}

bool dm_accounts_init(struct dm_accounts *accounts)
{
    *accounts = (struct dm_accounts){0};
    if (!dm_region_init(&accounts->region, (size_t)DM_ACCOUNTS_MAX * sizeof *accounts->all) ||
        !dm_index_init(&accounts->index, DM_ACCOUNTS_MAX, index_link, index_hash, accounts)) {
        dm_accounts_finish(accounts);
        return false;
    }
    accounts->all = accounts->region.base;
    return true;
}

void dm_accounts_finish(struct dm_accounts *accounts)
{
    for (uint32_t i = 0; i < accounts->count; i++) {
        for (uint32_t b = 0; b < accounts->all[i].bot_count; b++) {
            free(accounts->all[i].bots[b].policy);
        }
        free(accounts->all[i].bots);
    }
    free(accounts->spare_bots);
    free(accounts->spare_policy);
    dm_index_finish(&accounts->index);
    dm_region_finish(&accounts->region);
    *accounts = (struct dm_accounts){0};
}

struct dm_account *dm_accounts_find(const struct dm_accounts *accounts, struct dm_slice id)
{
    uint32_t item = dm_index_first(&accounts->index, hash_of(id));
    while (item != 0) {
        struct dm_account *account = dm_accounts_at(accounts, item);
        if (dm_slice_equal(id_of(account), id)) {
            return account;
        }
        item = account->link;
    }
    return NULL;
}

struct dm_account *dm_accounts_at(const struct dm_accounts *accounts, uint32_t number)
{
    DM_ASSERT(number - 1 < accounts->count);
    return &accounts->all[number - 1];
}

bool dm_accounts_reserve(struct dm_accounts *accounts)
{
    if (accounts->count == DM_ACCOUNTS_MAX) {
        return false;
    }
    if (accounts->spare_bots == NULL) {
        accounts->spare_bots = calloc(1, sizeof *accounts->spare_bots);
    }
    return accounts->spare_bots != NULL;
}

struct dm_account *dm_accounts_add(struct dm_accounts *accounts, struct dm_slice id)
{
    DM_ASSERT(id.size <= sizeof accounts->all->id);
    if (!dm_accounts_reserve(accounts)) {
        return NULL;
    }
    struct dm_account *account = &accounts->all[accounts->count++];
    *account = (struct dm_account){
        .number = accounts->count,
        .bots = accounts->spare_bots,
        .bot_count = 1,
        .bot_room = 1,
        .id_size = (uint8_t)id.size,
    };
    accounts->spare_bots = NULL;
    memcpy(account->id, id.data, id.size);
    dm_index_insert(&accounts->index, account->number, hash_of(id));
    return account;
}

/* version, id size, 0, 0, fence floor, counts of ACTIVE, SNOOZED, INACTIVE, id; sealed from
 * version 2 on */
enum { ACCOUNT_ROW_HEAD = 36, ROW_VERSION_1 = 1, ROW_VERSION = 2 };
/* version, id size, 0, 0, id, policy (empty: none); likewise */
enum { BOT_ROW_HEAD = 4 };

static size_t account_row_bytes(const struct dm_account *account)
{
    return dm_overlay_row_size(4, (size_t)ACCOUNT_ROW_HEAD + account->id_size + DM_SEAL_SIZE);
}

/* With a policy, for it may be set before the row is written. */
static size_t bot_row_bytes(const struct dm_bot *bot)
{
    return dm_overlay_row_size(8,
                               (size_t)BOT_ROW_HEAD + bot->id_size + DM_POLICY_SIZE + DM_SEAL_SIZE);
}

void dm_accounts_touch(struct dm_accounts *accounts, struct dm_account *account)
{
    if (account->dirty_next == 0) {
        account->dirty_next = accounts->dirty + 1;
        accounts->dirty = account->number;
        accounts->dirty_bytes += account_row_bytes(account);
    }
}

void dm_accounts_touch_bot(struct dm_accounts *accounts, struct dm_account *account, uint32_t bot)
{
    DM_ASSERT(bot < account->bot_count);
    struct dm_bot *touched = &account->bots[bot];
    if (!touched->dirty) {
        touched->dirty = true;
        accounts->dirty_bytes += bot_row_bytes(touched);
    }
    dm_accounts_touch(accounts, account);
}

bool dm_accounts_take_dirty_bot(struct dm_accounts *accounts, struct dm_bot *bot)
{
    bool was = bot->dirty;
    if (was) {
        DM_ASSERT(accounts->dirty_bytes >= bot_row_bytes(bot));
        bot->dirty = false;
        accounts->dirty_bytes -= bot_row_bytes(bot);
    }
    return was;
}

void dm_accounts_count(struct dm_accounts *accounts, struct dm_account *account, uint8_t from,
                       uint8_t to)
{
    if (from == to) {
        return;
    }
    DM_ASSERT(from < DM_STATUS_COUNT && to < DM_STATUS_COUNT);
    if (from != DM_STATUS_NONE && account->counts[from] != 0) {
        DM_ASSERT(accounts->totals[from] != 0);
        account->counts[from]--;
        accounts->totals[from]--;
    }
    if (to != DM_STATUS_NONE) {
        account->counts[to]++;
        accounts->totals[to]++;
    }
    dm_accounts_touch(accounts, account);
}

struct dm_account *dm_accounts_take_dirty(struct dm_accounts *accounts)
{
    if (accounts->dirty == 0) {
        return NULL;
    }
    struct dm_account *account = dm_accounts_at(accounts, accounts->dirty);
    DM_ASSERT(account->dirty_next != 0 && accounts->dirty_bytes >= account_row_bytes(account));
    accounts->dirty = account->dirty_next - 1;
    account->dirty_next = 0;
    accounts->dirty_bytes -= account_row_bytes(account);
    return account;
}

int64_t dm_account_bot(const struct dm_account *account, struct dm_slice bot_id)
{
    for (uint32_t i = 0; i < account->bot_count; i++) {
        if (dm_slice_equal(dm_slice(account->bots[i].id, account->bots[i].id_size), bot_id)) {
            return i;
        }
    }
    return -1;
}

bool dm_account_reserve_bot(struct dm_account *account)
{
    DM_ASSERT(account->bot_count <= account->bot_room);
    if (account->bot_count < account->bot_room) {
        return true;
    }
    if (account->bot_count == DM_BOTS_MAX) {
        return false;
    }
    struct dm_bot *grown =
        realloc(account->bots, ((size_t)account->bot_count + 1) * sizeof *account->bots);
    if (grown == NULL) {
        return false;
    }
    account->bots = grown;
    account->bot_room = (uint16_t)(account->bot_count + 1);
    return true;
}

/* One that is as its row says. */
static struct dm_bot *add_clean_bot(struct dm_account *account, struct dm_slice bot_id)
{
    DM_ASSERT(bot_id.size <= sizeof account->bots->id);
    if (!dm_account_reserve_bot(account)) {
        return NULL;
    }
    struct dm_bot *bot = &account->bots[account->bot_count++];
    *bot = (struct dm_bot){.id_size = (uint8_t)bot_id.size};
    memcpy(bot->id, bot_id.data, bot_id.size);
    return bot;
}

int64_t dm_accounts_add_bot(struct dm_accounts *accounts, struct dm_account *account,
                            struct dm_slice bot_id)
{
    if (add_clean_bot(account, bot_id) == NULL) {
        return -1;
    }
    uint32_t bot = account->bot_count - 1;
    dm_accounts_touch_bot(accounts, account, bot);
    return bot;
}

const struct dm_policy *dm_account_policy(const struct dm_account *account, uint32_t bot)
{
    DM_ASSERT(bot < account->bot_count);
    const struct dm_policy *policy = account->bots[bot].policy;
    return policy != NULL ? policy : dm_policy_default();
}

bool dm_accounts_reserve_policy(struct dm_accounts *accounts)
{
    if (accounts->spare_policy == NULL) {
        accounts->spare_policy = malloc(sizeof *accounts->spare_policy);
    }
    return accounts->spare_policy != NULL;
}

static bool store_policy(struct dm_accounts *accounts, struct dm_bot *bot,
                         const struct dm_policy *policy)
{
    if (bot->policy == NULL) {
        if (!dm_accounts_reserve_policy(accounts)) {
            return false;
        }
        bot->policy = accounts->spare_policy;
        accounts->spare_policy = NULL;
    }
    *bot->policy = *policy;
    return true;
}

bool dm_accounts_set_policy(struct dm_accounts *accounts, struct dm_account *account, uint32_t bot,
                            const struct dm_policy *policy)
{
    DM_ASSERT(bot < account->bot_count);
    if (!store_policy(accounts, &account->bots[bot], policy)) {
        return false;
    }
    dm_accounts_touch_bot(accounts, account, bot);
    return true;
}

size_t dm_account_row(const struct dm_account *account, uint8_t out[DM_ACCOUNT_ROW_MAX])
{
    memset(out, 0, ACCOUNT_ROW_HEAD);
    out[0] = ROW_VERSION;
    out[1] = account->id_size;
    dm_store_le64(out + 4, account->fence_floor);
    for (size_t status = 1; status < DM_STATUS_COUNT; status++) {
        dm_store_le64(out + 4 + 8 * status, account->counts[status]);
    }
    memcpy(out + ACCOUNT_ROW_HEAD, account->id, account->id_size);
    return dm_seal(out, (size_t)ACCOUNT_ROW_HEAD + account->id_size);
}

static bool open_row(struct dm_slice *row)
{
    const uint8_t *in = row->data;
    return row->size > 0 && (in[0] == ROW_VERSION_1 || (in[0] == ROW_VERSION && dm_unseal(row)));
}

enum dm_code dm_accounts_load_account(struct dm_accounts *accounts, struct dm_slice key,
                                      struct dm_slice row)
{
    const uint8_t *in = row.data;
    if (key.size != 4 || !open_row(&row) || row.size < ACCOUNT_ROW_HEAD || in[1] > 64 ||
        row.size != (size_t)ACCOUNT_ROW_HEAD + in[1] ||
        dm_load_be32(key.data) != accounts->count + 1) {
        return DM_DATA_LOSS;
    }
    struct dm_account *account = dm_accounts_add(accounts, dm_slice(in + ACCOUNT_ROW_HEAD, in[1]));
    if (account == NULL) {
        return DM_RESOURCE_EXHAUSTED;
    }
    account->fence_floor = dm_load_le64(in + 4);
    for (size_t status = 1; status < DM_STATUS_COUNT; status++) {
        uint64_t count = dm_load_le64(in + 4 + 8 * status);
        if (count > COUNT_MAX) {
            return DM_DATA_LOSS;
        }
        account->counts[status] = count;
        accounts->totals[status] += count;
    }
    return DM_OK;
}

size_t dm_bot_row(const struct dm_bot *bot, uint8_t out[DM_BOT_ROW_MAX])
{
    out[0] = ROW_VERSION;
    out[1] = bot->id_size;
    out[2] = out[3] = 0;
    memcpy(out + BOT_ROW_HEAD, bot->id, bot->id_size);
    size_t size = (size_t)BOT_ROW_HEAD + bot->id_size;
    size += bot->policy == NULL ? 0 : dm_policy_encode(bot->policy, out + size);
    return dm_seal(out, size);
}

enum dm_code dm_accounts_load_bot(struct dm_accounts *accounts, struct dm_slice key,
                                  struct dm_slice row)
{
    const uint8_t *in = row.data;
    if (key.size != 8 || !open_row(&row) || row.size < BOT_ROW_HEAD || in[1] > 64 ||
        row.size < (size_t)BOT_ROW_HEAD + in[1]) {
        return DM_DATA_LOSS;
    }
    uint32_t number = dm_load_be32(key.data);
    uint32_t bot = dm_load_be32((const uint8_t *)key.data + 4);
    if (number == 0 || number > accounts->count) {
        return DM_DATA_LOSS;
    }
    struct dm_account *account = dm_accounts_at(accounts, number);
    if (bot != 0 && bot != account->bot_count) {
        return DM_DATA_LOSS;
    }
    if (bot != 0 && add_clean_bot(account, dm_slice(in + BOT_ROW_HEAD, in[1])) == NULL) {
        return DM_RESOURCE_EXHAUSTED;
    }
    size_t policy_at = (size_t)BOT_ROW_HEAD + in[1];
    struct dm_policy policy;
    if (row.size == policy_at) {
        return DM_OK;
    }
    if (!dm_policy_decode(&policy, dm_slice(in + policy_at, row.size - policy_at))) {
        return DM_DATA_LOSS;
    }
    return store_policy(accounts, &account->bots[bot], &policy) ? DM_OK : DM_RESOURCE_EXHAUSTED;
}

#include "engine/damage.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdio.h>

/* A disk may rot: what lies in the view may no longer be what was put there. Damage is told each
 * time it is met. It costs the contact that it hit, and nobody else. */

/* How many lines are logged at once, and how many more each second. So a client that asks for
 * such a contact all the time does not fill the disk with the log. */
enum { TOLD_AT_ONCE = 16, TOLD_PER_SECOND = 1 };

static bool may_tell(struct dm_damage *damage, uint64_t now_ns)
{
    uint64_t seconds = (now_ns - damage->earned_ns) / 1000000000U;
    if (damage->met == 0 || seconds * TOLD_PER_SECOND > TOLD_AT_ONCE) {
        damage->lines = TOLD_AT_ONCE;
        damage->earned_ns = now_ns;
    } else if (seconds > 0) {
        damage->lines += (uint32_t)seconds * TOLD_PER_SECOND;
        damage->earned_ns += seconds * 1000000000U;
    }
    damage->lines = damage->lines > TOLD_AT_ONCE ? TOLD_AT_ONCE : damage->lines;
    return damage->lines > 0;
}

static const struct dm_account *account_of(const struct dm_engine *engine, struct dm_slice key)
{
    uint32_t number = key.size < sizeof number ? 0 : dm_key_account(key);
    return number == 0 || number > engine->accounts.count
               ? NULL
               : dm_accounts_at(&engine->accounts, number);
}

/* A contact's key that this engine may have made. */
static bool key_sound(const struct dm_engine *engine, struct dm_slice key)
{
    return account_of(engine, key) != NULL &&
           dm_id_check(dm_key_contact(key), "contact_id", NULL) == DM_OK;
}

static void log_damage(const struct dm_engine *engine, const char *what, struct dm_slice key)
{
    char hex[2 * DM_STORE_KEY_SIZE_MAX + 1] = "";
    char account_id[DM_ID_SIZE_MAX + 1] = "", contact_id[DM_ID_SIZE_MAX + 1] = "";
    const struct dm_account *account = account_of(engine, key);
    const uint8_t *bytes = key.data;
    for (size_t i = 0; i < key.size && i < DM_STORE_KEY_SIZE_MAX; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    if (account != NULL) {
        memcpy(account_id, account->id, account->id_size);
    }
    if (key_sound(engine, key)) {
        memcpy(contact_id, dm_key_contact(key).data, dm_key_contact(key).size);
    }
    dm_log(DM_LOG_ERROR, "view damaged", DM_LOG_TEXT("what", what),
           DM_LOG_TEXT("account_id", account_id), DM_LOG_TEXT("contact_id", contact_id),
           DM_LOG_TEXT("key", hex));
}

void dm_engine_tell_damage(struct dm_engine *engine, const char *what, struct dm_slice key)
{
    struct dm_damage *damage = &engine->damage;
    if (may_tell(damage, dm_clock_monotonic_ns(&engine->clock))) {
        DM_ASSERT(damage->lines != 0);
        damage->lines--;
        log_damage(engine, what, key);
    }
    damage->met++;
}

bool dm_engine_sound(struct dm_engine *engine, struct dm_slice key, struct dm_slice value)
{
    struct dm_record_head head;
    if (key_sound(engine, key) && dm_record_intact(value) && dm_record_head(&head, value) &&
        head.bot < account_of(engine, key)->bot_count) {
        return true;
    }
    dm_engine_tell_damage(engine, "record", key);
    return false;
}

enum dm_code dm_engine_damaged(const struct dm_engine *engine, struct dm_slice key,
                               struct dm_error *error)
{
    const struct dm_account *account = account_of(engine, key);
    struct dm_slice contact = dm_key_contact(key);
    return dm_fail(error, DM_DATA_LOSS,
                   "the stored record of contact \"%.*s\" of account \"%.*s\" is damaged; set its "
                   "status anew with unlock, or delete it",
                   (int)contact.size, (const char *)contact.data,
                   account == NULL ? 0 : (int)account->id_size, account == NULL ? "" : account->id);
}

/* The status under which the contact is counted. The bits that say so are most likely good. If
 * they are not, the account's counts are wrong by one from then on. */
static uint8_t counted_as(struct dm_engine *engine, const struct dm_contact_ref *ref)
{
    struct dm_slice value = {0};
    (void)dm_store_get(engine->store, DM_TABLE_CONTACTS, dm_key_slice(&ref->key), &value);
    uint8_t status = dm_record_left(value).status;
    return ref->account->counts[status] != 0 ? status : (uint8_t)DM_STATUS_NONE;
}

void dm_engine_discard(struct dm_engine *engine, const struct dm_contact_ref *ref,
                       struct dm_transition *change)
{
    *change = (struct dm_transition){.from = counted_as(engine, ref)};
    /* Its fence is not known. A change raises a contact's fence by one, a delete the floor by
     * two at most, so no fence that anybody was given is above twice the number of entries. */
    change->record.fence = 2 * dm_order_last(engine->order) + 2;
}

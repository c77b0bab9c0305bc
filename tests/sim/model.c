#include "sim/model.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct model *model_create(uint32_t contact_count)
{
    DM_ASSERT(contact_count <= CONTACT_MAX);
    struct model *model = dm_xcalloc(1, sizeof *model);
    model->contact_count = contact_count;
    return model;
}

static void free_entries(struct model *model, uint64_t from)
{
    for (uint64_t i = from; i < model->count; i++) {
        free(model->entries[i].change);
        free(model->entries[i].policy);
    }
}

void model_destroy(struct model *model)
{
    free_entries(model, 0);
    free(model->entries);
    free(model->events);
    free(model);
}

/* ---- the effect of an entry --------------------------------------------------- */

static void note_event(struct model *model, uint64_t lsn)
{
    if (model->event_count == model->event_capacity) {
        model->event_capacity = model->event_capacity == 0 ? 256 : model->event_capacity * 2;
        model->events = dm_xrealloc(model->events, model->event_capacity * sizeof *model->events);
    }
    model->events[model->event_count++] = lsn;
}

static void apply_contact(struct model *model, const struct m_entry *entry, uint64_t lsn)
{
    struct m_contact *contact = &model->accounts[entry->account].contacts[entry->contact];
    dm_record_copy(&contact->record, &entry->change->record);
    contact->lsn = lsn;
    if (entry->change->event) {
        note_event(model, lsn);
        DM_ASSERT(model->event_count == entry->change->record.last_seq);
    }
}

static void apply_delete(struct model *model, const struct m_entry *entry, uint64_t lsn)
{
    struct m_account *account = &model->accounts[entry->account];
    struct m_contact *contact = &account->contacts[entry->contact];
    memset(&contact->record, 0, offsetof(struct dm_record, answers));
    contact->lsn = lsn;
    account->fence_floor = entry->fence_floor;
    account->floor_lsn = lsn;
}

static void apply_bot(struct model *model, const struct m_entry *entry, uint64_t lsn)
{
    struct m_account *account = &model->accounts[entry->account];
    int number = model_bot(model, entry->account, entry->bot_name);
    if (number < 0) {
        DM_ASSERT(account->bot_count < BOT_COUNT);
        number = (int)account->bot_count++;
        account->bots[number] = (struct m_bot){.name = entry->bot_name};
    }
    if (entry->policy != NULL) {
        account->bots[number].has_policy = true;
        account->bots[number].policy = *entry->policy;
    }
    account->policy_lsn = lsn;
}

static void apply(struct model *model, const struct m_entry *entry, uint64_t lsn)
{
    struct m_account *account = &model->accounts[entry->account];
    switch (entry->kind) {
    case M_CONTACT:
        apply_contact(model, entry, lsn);
        break;
    case M_DELETE:
        apply_delete(model, entry, lsn);
        break;
    case M_ACCOUNT:
        account->number = ++model->account_count;
        account->bot_count = 1;
        account->bots[0] = (struct m_bot){0};
        account->policy_lsn = lsn;
        break;
    case M_EXTRA:
        model->account_count++;
        model->extra_policy_lsn[model->extra_count++] = 0;
        break;
    case M_EXTRA_POLICY:
        model->extra_policy_lsn[entry->contact] = lsn;
        break;
    default:
        apply_bot(model, entry, lsn);
        break;
    }
}

static void append(struct model *model, struct m_entry entry)
{
    if (model->count == model->capacity) {
        model->capacity = model->capacity == 0 ? 256 : model->capacity * 2;
        model->entries = dm_xrealloc(model->entries, model->capacity * sizeof *model->entries);
    }
    model->entries[model->count++] = entry;
    apply(model, &entry, model->count);
}

void model_cut(struct model *model, uint64_t lsn)
{
    DM_ASSERT(lsn <= model->count);
    if (lsn == model->count) {
        return;
    }
    free_entries(model, lsn);
    model->count = lsn;
    model->event_count = 0;
    model->account_count = 0;
    model->extra_count = 0;
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        struct m_account *account = &model->accounts[a];
        memset(account, 0, offsetof(struct m_account, contacts));
        for (unsigned c = 0; c < model->contact_count; c++) {
            memset(&account->contacts[c].record, 0, offsetof(struct dm_record, answers));
            account->contacts[c].lsn = 0;
        }
    }
    for (uint64_t i = 0; i < lsn; i++) {
        apply(model, &model->entries[i], i + 1);
    }
}

/* ---- accounts and bots ---------------------------------------------------------- */

void model_meet_account(struct model *model, unsigned account, int64_t now_ms)
{
    if (model->accounts[account].number == 0) {
        append(model,
               (struct m_entry){.kind = M_ACCOUNT, .account = (uint8_t)account, .at_ms = now_ms});
    }
}

int model_bot(const struct model *model, unsigned account, unsigned name)
{
    for (uint32_t i = 0; i < model->accounts[account].bot_count; i++) {
        if (model->accounts[account].bots[i].name == name) {
            return (int)i;
        }
    }
    return -1;
}

uint32_t model_meet_bot(struct model *model, unsigned account, unsigned name)
{
    int number = model_bot(model, account, name);
    if (number >= 0) {
        return (uint32_t)number;
    }
    append(model,
           (struct m_entry){.kind = M_BOT, .account = (uint8_t)account, .bot_name = (uint8_t)name});
    return (uint32_t)model_bot(model, account, name);
}

void model_set_policy(struct model *model, unsigned account, unsigned name,
                      const struct dm_policy *policy)
{
    struct dm_policy *copy = dm_xmalloc(sizeof *copy);
    *copy = *policy;
    append(model, (struct m_entry){.kind = M_BOT,
                                   .account = (uint8_t)account,
                                   .bot_name = (uint8_t)name,
                                   .policy = copy});
}

void model_meet_extra(struct model *model)
{
    uint16_t extra = (uint16_t)model->extra_count;
    DM_ASSERT(extra < EXTRA_MAX);
    append(model, (struct m_entry){.kind = M_EXTRA, .contact = extra});
    append(model, (struct m_entry){.kind = M_EXTRA_POLICY, .contact = extra});
}

const struct dm_policy *model_policy(const struct model *model, unsigned account, uint32_t bot)
{
    const struct m_account *its = &model->accounts[account];
    return bot < its->bot_count && its->bots[bot].has_policy ? &its->bots[bot].policy
                                                             : dm_policy_default();
}

/* ---- contacts --------------------------------------------------------------------- */

void model_step(const struct model *model, unsigned account, unsigned contact, uint32_t policy_bot,
                struct dm_op *op, struct dm_step *step)
{
    op->next_seq = model->event_count + 1;
    op->fence_floor = model->accounts[account].fence_floor;
    dm_step(step, &model->accounts[account].contacts[contact].record,
            model_policy(model, account, policy_bot), op);
}

static struct dm_transition *copy_transition(const struct dm_transition *from)
{
    struct dm_transition *copy = dm_xcalloc(1, sizeof *copy);
    dm_record_copy(&copy->record, &from->record);
    copy->from = from->from;
    copy->event = from->event;
    copy->previous_seq = from->previous_seq;
    copy->due_ms = from->due_ms;
    copy->missed_inbound = from->missed_inbound;
    return copy;
}

void model_commit(struct model *model, unsigned account, unsigned contact, const struct dm_op *op,
                  const struct dm_step *step)
{
    for (int i = 0; i < step->transition_count; i++) {
        const struct dm_transition *change = &step->transitions[i];
        struct m_entry entry = {
            .kind = M_CONTACT,
            .account = (uint8_t)account,
            .contact = (uint16_t)contact,
            .change = copy_transition(change),
            .at_ms = op->now_ms,
        };
        if (change->record.status == DM_STATUS_NONE) {
            uint64_t floor = model->accounts[account].fence_floor;
            entry.kind = M_DELETE;
            entry.change->event = false;
            entry.fence_floor = change->record.fence >= floor ? change->record.fence + 1 : floor;
        }
        append(model, entry);
    }
}

void model_discard(struct model *model, unsigned account, unsigned contact, int64_t now_ms)
{
    struct dm_transition *change = dm_xcalloc(1, sizeof *change);
    change->from = model->accounts[account].contacts[contact].record.status;
    append(model, (struct m_entry){
                      .kind = M_DELETE,
                      .account = (uint8_t)account,
                      .contact = (uint16_t)contact,
                      .change = change,
                      .at_ms = now_ms,
                      .fence_floor = 2 * model->count + 3,
                  });
}

void model_effective(const struct model *model, unsigned account, unsigned contact, int64_t now_ms,
                     struct dm_effective *out)
{
    const struct m_account *its = &model->accounts[account];
    const struct dm_record *record = &its->contacts[contact].record;
    const struct dm_record_head head = {
        .status = record->status,
        .reason = record->reason,
        .locked = record->locked,
        .bot = record->bot,
        .bot_messages = record->bot_messages,
        .missed_inbound = record->missed_inbound,
        .fence = record->fence,
        .revision = record->revision,
        .last_seq = record->last_seq,
        .since_ms = record->since_ms,
        .until_ms = record->until_ms,
    };
    dm_effective_at(out, &head, its->fence_floor, model_policy(model, account, record->bot),
                    now_ms);
}

uint64_t model_needed(const struct model *model, unsigned account, unsigned contact)
{
    const struct m_account *its = &model->accounts[account];
    uint64_t needed = its->contacts[contact].lsn;
    if (its->policy_lsn > needed) {
        needed = its->policy_lsn;
    }
    if (!model_exists(model, account, contact) && its->floor_lsn > needed) {
        needed = its->floor_lsn;
    }
    return needed;
}

const struct m_entry *model_event(const struct model *model, uint64_t seq)
{
    return seq == 0 || seq > model->event_count ? NULL
                                                : &model->entries[model->events[seq - 1] - 1];
}

#include "driver.h"
#include "frame.h"
#include "modes.h"
#include "report.h"

#include "base/assert.h"
#include "client/message.h"

#include <dormouse/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Fills a server: contacts of one account are neighbours, so that a batch of them is one
 * request. Some sleep until a time by chance, the others are set inactive and active again,
 * for a contact that was never anything but active is not kept. What the server refuses because
 * it is full is asked again. */

enum { KIND_SLEEP, KIND_OFF, KIND_ON };

struct part { /* one request's contacts */
    uint32_t first, count;
    uint8_t kind;
};

struct load {
    const struct options *options;
    struct keys keys;
    uint32_t at; /* the next contact */
    int64_t from_ms;
    uint8_t pass; /* 0: sleep and off; 1: on again */
    double share;
    struct loaded *out;
    struct dm_buf payload;
    char (*ids)[CONTACT_SIZE];
    struct dormouse_text *texts;
    struct part *again; /* what is to be asked once more */
    uint32_t again_count, under_way;
    char why[160];
};

enum { FULL_PAUSE_MS = 20 };

static uint32_t account_end(const struct load *load, uint32_t key)
{
    uint64_t end = ((uint64_t)key / load->keys.per_account + 1) * load->keys.per_account;
    return end < load->keys.count ? (uint32_t)end : load->keys.count;
}

/* The contacts of an account sleep from its first one on, to their share. */
static uint32_t sleepers_end(const struct load *load, uint32_t key)
{
    uint32_t begin = key / load->keys.per_account * load->keys.per_account;
    uint32_t size = account_end(load, key) - begin;
    return begin + (uint32_t)((double)size * load->share + 0.5);
}

/* The next request's contacts: of one account, alike, at most a batch. */
static bool next_part(struct load *load, struct part *part)
{
    if (load->again_count > 0) {
        *part = load->again[--load->again_count];
        return true;
    }
    while (load->at < load->keys.count) {
        uint32_t middle = sleepers_end(load, load->at);
        bool asleep = load->at < middle;
        uint32_t end = asleep ? middle : account_end(load, load->at);
        if (asleep && load->pass == 1) {
            load->at = middle;
            continue;
        }
        uint32_t count = end - load->at;
        part->first = load->at;
        part->count = count < load->options->batch ? count : load->options->batch;
        part->kind = asleep ? KIND_SLEEP : (load->pass == 0 ? KIND_OFF : KIND_ON);
        load->at += part->count;
        return true;
    }
    return false;
}

static struct dormouse_change change_of(struct load *load, const struct part *part)
{
    static const int32_t statuses[] = {DORMOUSE_SNOOZED, DORMOUSE_INACTIVE, DORMOUSE_ACTIVE};
    struct dormouse_change change = {.status = statuses[part->kind],
                                     .actor = dormouse_text("bench")};
    if (part->kind == KIND_SLEEP) {
        double chance = (double)(keys_random(&load->keys) >> 11) * 0x1p-53;
        double over_ms = load->options->over_s * 1000;
        /* Not in the window's first tenth: the load itself takes its time. */
        change.snooze_until_ms = load->from_ms + (int64_t)(over_ms * (0.1 + 0.9 * chance)) + 2000;
    }
    return change;
}

static bool next(void *context, struct call *call, uint32_t stream, struct dm_buf *out)
{
    struct load *load = context;
    struct part part;
    if (!next_part(load, &part)) {
        return false;
    }
    char account[ACCOUNT_SIZE];
    keys_account(&load->keys, part.first, account);
    for (uint32_t i = 0; i < part.count; i++) {
        keys_contact(part.first + i, load->ids[i]);
        load->texts[i] = (struct dormouse_text){load->ids[i], CONTACT_SIZE};
    }
    dm_buf_reset(&load->payload, SIZE_MAX);
    call->key = part.first;
    call->kind = part.kind;
    load->under_way++;
    struct dormouse_change change = change_of(load, &part);
    if (load->options->batch == 1) {
        struct dormouse_set_status request = {
            .account_id = {account, ACCOUNT_SIZE}, .contact_id = load->texts[0], .change = &change};
        return dm_message_encode(&load->payload, &dm_set_status_message, &request) &&
               frame_append(out, stream, "SetStatus", dm_buf_slice(&load->payload));
    }
    struct dormouse_batch_set_status request = {.account_id = {account, ACCOUNT_SIZE},
                                                .contact_ids = load->texts,
                                                .contact_ids_count = part.count,
                                                .change = &change};
    return dm_message_encode(&load->payload, &dm_batch_set_status_message, &request) &&
           frame_append(out, stream, "BatchSetStatus", dm_buf_slice(&load->payload));
}

static void refuse(struct load *load, uint32_t count, int code, struct dormouse_text message)
{
    load->out->refused += count;
    (void)snprintf(load->why, sizeof load->why, "%s: %.*s", dm_code_name(code),
                   (int)(message.size < 120 ? message.size : 120),
                   message.size == 0 ? "" : message.data);
}

/* The part that a call was about: its end follows from where it begins. */
static struct part part_of(const struct load *load, const struct call *call)
{
    uint32_t end =
        call->kind == KIND_SLEEP ? sleepers_end(load, call->key) : account_end(load, call->key);
    uint32_t count = end - call->key;
    return (struct part){
        .first = call->key,
        .count = count < load->options->batch ? count : load->options->batch,
        .kind = call->kind,
    };
}

/* The first code of a batch's results that is not OK, or OK. */
static int worst_of(struct load *load, struct dm_slice payload, struct dormouse_text *message)
{
    struct dormouse_batch_set_status_answer answer;
    struct dm_arena arena = {0};
    int code = DM_OK;
    if (load->options->batch == 1) {
        return DM_OK;
    }
    if (!dm_message_decode(payload, &dm_batch_set_status_answer_message, &answer, &arena)) {
        code = DM_INTERNAL;
    }
    for (size_t i = 0; code == DM_OK && i < answer.results_count; i++) {
        code = answer.results[i]->code;
        *message = answer.results[i]->message;
    }
    dm_arena_finish(&arena);
    return code;
}

static void done(void *context, const struct call *call, int code, struct dm_slice payload,
                 uint64_t now)
{
    struct load *load = context;
    struct part part = part_of(load, call);
    struct dormouse_text message = {0};
    (void)now;
    load->under_way--;
    code = code == DM_OK ? worst_of(load, payload, &message) : code;
    if (code == DM_RESOURCE_EXHAUSTED) {
        load->again[load->again_count++] = part;
        const struct timespec pause = {.tv_nsec = FULL_PAUSE_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
        load->out->waits++;
        return;
    }
    if (code != DM_OK) {
        refuse(load, part.count, code, message);
        return;
    }
    load->out->contacts += part.kind == KIND_ON ? 0 : part.count;
    load->out->asleep += part.kind == KIND_SLEEP ? part.count : 0;
}

static bool over(void *context, uint64_t now)
{
    const struct load *load = context;
    (void)now;
    return load->at >= load->keys.count && load->again_count == 0 && load->under_way == 0;
}

bool load_contacts(const struct options *options, const struct keys *keys, double asleep,
                   struct loaded *out)
{
    static const struct driver_ops ops = {.next = next, .done = done, .over = over};
    struct load load = {
        .options = options, .keys = *keys, .from_ms = wall_ms(), .share = asleep, .out = out};
    struct driver driver;
    *out = (struct loaded){0};
    uint32_t depth = options->batch > 1 ? 4 : options->depth;
    load.ids = dm_xcalloc(options->batch, sizeof *load.ids);
    load.texts = dm_xcalloc(options->batch, sizeof *load.texts);
    load.again = dm_xcalloc((uint64_t)options->connections * depth, sizeof *load.again);
    uint64_t begin = now_ns();
    bool ok = driver_open(&driver, options->connect, options->connections, depth, &ops, &load);
    for (; ok && load.pass < 2; load.pass++) {
        load.at = 0;
        ok = driver_run(&driver, UINT64_MAX);
    }
    out->seconds = (double)(now_ns() - begin) / 1e9;
    if (!ok) {
        (void)complain("loading broke off", driver.why);
    } else if (out->refused != 0) {
        (void)complain("the server refused some", load.why);
    }
    driver_close(&driver);
    dm_buf_finish(&load.payload);
    free(load.ids);
    free(load.texts);
    free(load.again);
    return ok && out->refused == 0;
}

int load_mode(const struct options *options)
{
    struct keys keys;
    struct loaded loaded;
    struct report report;
    keys_init(&keys, options->contacts, options->accounts, 0, 'a', options->seed);
    bool ok = load_contacts(options, &keys, options->asleep, &loaded);
    report_begin(&report, options->json, "load");
    report_number(&report, "contacts", (double)loaded.contacts);
    report_number(&report, "asleep", (double)loaded.asleep);
    report_number(&report, "accounts", options->accounts);
    report_number(&report, "refused", (double)loaded.refused);
    report_number(&report, "waits_for_room", (double)loaded.waits);
    report_number(&report, "seconds", loaded.seconds);
    report_number(&report, "contacts_per_second",
                  loaded.seconds > 0 ? (double)loaded.contacts / loaded.seconds : 0);
    report_end(&report);
    return ok ? 0 : 1;
}

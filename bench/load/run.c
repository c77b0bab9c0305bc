#include "driver.h"
#include "frame.h"
#include "modes.h"
#include "report.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/varint.h"
#include "client/message.h"

#include <dormouse/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls by a mix. The requests are encoded once; what differs between two of one method (ids,
 * fence, seconds, request id) is written over fixed places in them. So a call costs the
 * generator a copy and a few stores. */

enum {
    FENCE_BYTES = 5,   /* a varint stretched to its longest, up to 2^35 */
    SECONDS_BYTES = 3, /* a varint from 2^14 to 2^21 */
    REQUEST_ID_SIZE = 16,
    NOWHERE = 0,
};

static const uint64_t fence_mark = (1ULL << 35) - 1;
static const int64_t seconds_mark = 1234567;
static const char account_mark[] = "ACCOUNT_", contact_mark[] = "CONTACT_____________",
                  request_mark[] = "REQUEST_________";

struct template
{
    struct dm_buf frame;
    size_t account, contact, fence, seconds, request; /* NOWHERE: has none */
};

struct run {
    const struct options *options;
    struct keys keys;
    struct template templates[METHOD_COUNT];
    uint8_t deck[1024]; /* methods by their weights, in an order by chance */
    uint32_t card;
    uint32_t *fences; /* by key, of the last answer; NULL without --fences */
    uint64_t request_id;
    uint64_t measure_ns, end_ns, issued, last_ns;
    bool measuring;
    uint64_t calls, good, granted, commits, wrong;
    uint64_t timeout_ns; /* 0: none */
    uint64_t codes[DM_CODE_COUNT];
    struct dm_histogram all, since_sent, methods[METHOD_COUNT];
    struct driver driver;
    uint64_t given_up_before; /* ... the measuring */
};

/* ---- requests ---------------------------------------------------------------- */

static size_t place_of(const struct dm_buf *frame, const void *mark, size_t size)
{
    const uint8_t *found = memmem(dm_buf_head(frame), dm_buf_size(frame), mark, size);
    return found == NULL ? NOWHERE : (size_t)(found - dm_buf_head(frame));
}

static void template_make(struct template *template, const char *method,
                          const struct dm_message *message, const void *request)
{
    static const uint8_t fence_bytes[FENCE_BYTES] = {0xff, 0xff, 0xff, 0xff, 0x7f};
    uint8_t seconds_bytes[SECONDS_BYTES] = {
        (uint8_t)(seconds_mark | 0x80),
        (uint8_t)(seconds_mark >> 7 | 0x80),
        (uint8_t)(seconds_mark >> 14),
    };
    struct dm_buf payload = {0};
    bool ok = dm_message_encode(&payload, message, request) &&
              frame_append(&template->frame, 1, method, dm_buf_slice(&payload));
    DM_ASSERT(ok);
    dm_buf_finish(&payload);
    template->account = place_of(&template->frame, account_mark, ACCOUNT_SIZE);
    template->contact = place_of(&template->frame, contact_mark, CONTACT_SIZE);
    template->fence = place_of(&template->frame, fence_bytes, FENCE_BYTES);
    template->seconds = place_of(&template->frame, seconds_bytes, SECONDS_BYTES);
    template->request = place_of(&template->frame, request_mark, REQUEST_ID_SIZE);
}

static void make_writes(struct template *templates, struct dormouse_text account,
                        struct dormouse_text contact, struct dormouse_text request)
{
    struct dormouse_commit_reply commit = {
        .account_id = account, .contact_id = contact, .fence = fence_mark, .request_id = request};
    struct dormouse_record_activity activity = {.account_id = account,
                                                .contact_id = contact,
                                                .activity = DORMOUSE_INBOUND_MESSAGE,
                                                .actor = dormouse_text("bench"),
                                                .request_id = request};
    struct dormouse_change change = {.status = DORMOUSE_SNOOZED,
                                     .snooze_for_ms = seconds_mark * 1000,
                                     .actor = dormouse_text("bench")};
    struct dormouse_set_status set = {
        .account_id = account, .contact_id = contact, .change = &change, .request_id = request};
    template_make(&templates[METHOD_COMMIT], "CommitReply", &dm_commit_reply_message, &commit);
    template_make(&templates[METHOD_ACTIVITY], "RecordActivity", &dm_record_activity_message,
                  &activity);
    activity.activity = DORMOUSE_MANUAL_MESSAGE;
    template_make(&templates[METHOD_MANUAL], "RecordActivity", &dm_record_activity_message,
                  &activity);
    template_make(&templates[METHOD_SET], "SetStatus", &dm_set_status_message, &set);
}

static void make_templates(struct template *templates, const struct options *options,
                           uint64_t timeout_ns)
{
    struct dormouse_text account = {account_mark, ACCOUNT_SIZE};
    struct dormouse_text contact = {contact_mark, CONTACT_SIZE};
    struct dormouse_text request = {request_mark, options->no_request_ids ? 0 : REQUEST_ID_SIZE};
    struct dormouse_check check = {.account_id = account, .contact_id = contact};
    struct dormouse_get_contact get = {.account_id = account, .contact_id = contact};
    struct dormouse_history history = {
        .account_id = account, .contact_id = contact, .page_size = 20};
    struct dormouse_list list = {.account_id = account, .page_size = 20};
    template_make(&templates[METHOD_CHECK], "Check", &dm_check_message, &check);
    template_make(&templates[METHOD_GET], "GetContact", &dm_get_contact_message, &get);
    template_make(&templates[METHOD_HISTORY], "GetHistory", &dm_history_message, &history);
    template_make(&templates[METHOD_LIST], "ListContacts", &dm_list_message, &list);
    make_writes(templates, account, contact, request);
    for (int i = 0; i < METHOD_COUNT && timeout_ns != 0; i++) {
        bool ok = frame_set_timeout(&templates[i].frame, timeout_ns);
        DM_ASSERT(ok);
    }
}

static void put_varint(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        to[i] = (uint8_t)((value & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
        value >>= 7;
    }
}

static void put_request_id(uint8_t *to, uint64_t id)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < REQUEST_ID_SIZE; i++) {
        to[i] = (uint8_t)digits[id >> 60];
        id <<= 4;
    }
}

/* ---- the load ---------------------------------------------------------------- */

static bool next(void *load, struct call *call, uint32_t stream, struct dm_buf *out)
{
    struct run *run = load;
    if (run->options->requests != 0 && run->issued >= run->options->requests) {
        return false;
    }
    uint8_t kind = run->deck[run->card++ % sizeof run->deck];
    const struct template *template = &run->templates[kind];
    uint32_t key = keys_next(&run->keys);
    size_t size = dm_buf_size(&template->frame);
    uint8_t *to = dm_buf_reserve(out, size);
    if (to == NULL) {
        return false;
    }
    memcpy(to, dm_buf_head(&template->frame), size);
    dm_store_be32(to + 4, stream);
    keys_account(&run->keys, key, (char *)to + template->account);
    if (template->contact != NOWHERE) {
        keys_contact(key, (char *)to + template->contact);
    }
    if (template->fence != NOWHERE) {
        put_varint(to + template->fence, run->fences == NULL ? 0 : run->fences[key], FENCE_BYTES);
    }
    if (template->seconds != NOWHERE) {
        put_varint(to + template->seconds, 20000 + keys_random(&run->keys) % 1000000,
                   SECONDS_BYTES);
    }
    if (template->request != NOWHERE) {
        put_request_id(to + template->request, ++run->request_id * 0x9e3779b97f4a7c15ULL);
    }
    dm_buf_commit(out, size);
    call->key = key;
    call->kind = kind;
    run->issued++;
    return true;
}

/* Of a CheckResponse: its first fields are numbers, decision 1 and fence 4 among them. */
static void look_at_check(struct run *run, const struct call *call, struct dm_slice payload)
{
    const uint8_t *at = payload.data, *end = at + payload.size;
    uint64_t fields[8] = {0};
    while (at + 1 < end && (*at & 7) == 0 && *at >> 3 < 8) {
        uint64_t *field = &fields[*at++ >> 3];
        if (!dm_varint_get(&at, end, field)) {
            break;
        }
    }
    run->wrong += fields[1] < 1 || fields[1] > 3;
    if (run->fences != NULL) {
        run->fences[call->key] = (uint32_t)fields[4];
    }
}

enum { ROOM_SIZE = 1024 }; /* for one contact */

static void look_at_commit(struct run *run, const struct call *call, struct dm_slice payload)
{
    struct dormouse_commit_reply_answer answer;
    max_align_t room[ROOM_SIZE / sizeof(max_align_t)];
    struct dm_arena arena;
    dm_arena_init(&arena, room, sizeof room);
    run->commits++;
    if (!dm_message_decode(payload, &dm_commit_reply_answer_message, &answer, &arena)) {
        run->wrong++;
    } else {
        run->granted += answer.granted;
        if (run->fences != NULL) {
            run->fences[call->key] = (uint32_t)answer.contact->fence;
        }
    }
    dm_arena_finish(&arena);
}

static void done(void *load, const struct call *call, int code, struct dm_slice payload,
                 uint64_t now)
{
    struct run *run = load;
    run->last_ns = now;
    if (code == DM_OK && call->kind == METHOD_CHECK) {
        look_at_check(run, call, payload);
    } else if (code == DM_OK && call->kind == METHOD_COMMIT) {
        look_at_commit(run, call, payload);
    }
    if (!run->measuring) {
        run->measuring = now >= run->measure_ns;
        run->measure_ns = run->measuring ? now : run->measure_ns;
        run->given_up_before = run->driver.given_up;
        return;
    }
    if (now > run->end_ns) {
        return; /* drained, not measured */
    }
    uint64_t latency = now > call->start_ns ? now - call->start_ns : 0;
    run->calls++;
    run->good += code == DM_OK && (run->timeout_ns == 0 || latency <= run->timeout_ns);
    run->codes[code >= 0 && code < DM_CODE_COUNT ? code : DM_UNKNOWN]++;
    dm_histogram_add(&run->all, latency);
    dm_histogram_add(&run->methods[call->kind], latency);
    if (run->options->rate > 0) {
        dm_histogram_add(&run->since_sent, now - call->sent_ns);
    }
}

static bool over(void *load, uint64_t now)
{
    const struct run *run = load;
    return now >= run->end_ns ||
           (run->options->requests != 0 && run->issued >= run->options->requests);
}

/* ---- the run ----------------------------------------------------------------- */

static void shuffle_deck(struct run *run)
{
    uint32_t total = 0, sum = 0, size = sizeof run->deck, at = 0;
    for (int i = 0; i < METHOD_COUNT; i++) {
        total += run->options->mix[i];
    }
    for (uint32_t i = 0; i < METHOD_COUNT; i++) {
        sum += run->options->mix[i];
        while (at < (uint64_t)sum * size / total) {
            run->deck[at++] = (uint8_t)i;
        }
    }
    for (uint32_t i = size - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(keys_random(&run->keys) % (i + 1));
        uint8_t card = run->deck[i];
        run->deck[i] = run->deck[j];
        run->deck[j] = card;
    }
}

static void describe(struct report *report, const struct options *options)
{
    char mix[256] = "";
    size_t size = 0;
    for (int i = 0; i < METHOD_COUNT; i++) {
        if (options->mix[i] != 0) {
            size += (size_t)snprintf(mix + size, sizeof mix - size, "%s%s=%u", size == 0 ? "" : ",",
                                     method_name((enum method)i), options->mix[i]);
        }
    }
    report_text(report, "mix", mix);
    report_number(report, "connections", options->connections);
    report_number(report, "depth", options->depth);
    report_number(report, "rate", options->rate);
    report_number(report, "keys", options->keys);
    report_number(report, "zipf", options->zipf);
}

static void tell(const struct run *run)
{
    struct report report;
    uint64_t until = run->last_ns < run->end_ns ? run->last_ns : run->end_ns;
    double seconds = until > run->measure_ns ? (double)(until - run->measure_ns) / 1e9 : 0;
    report_begin(&report, run->options->json, "run");
    describe(&report, run->options);
    report_number(&report, "seconds", seconds);
    report_number(&report, "calls", (double)run->calls);
    report_number(&report, "calls_per_second", seconds > 0 ? (double)run->calls / seconds : 0);
    if (run->timeout_ns != 0) {
        report_number(&report, "timeout_ms", (double)run->timeout_ns / 1e6);
        report_number(&report, "in_time_per_second", seconds > 0 ? (double)run->good / seconds : 0);
        report_number(&report, "given_up", (double)(run->driver.given_up - run->given_up_before));
    }
    report_errors(&report, run->codes);
    report_number(&report, "wrong_answers", (double)run->wrong);
    report_number(&report, "unanswered", (double)run->driver.under_way);
    if (run->commits != 0) {
        report_number(&report, "commits", (double)run->commits);
        report_number(&report, "granted", (double)run->granted);
    }
    report_latency(&report, "latency_us", &run->all, 1e-3);
    if (run->since_sent.count != 0) {
        report_latency(&report, "since_sent_us", &run->since_sent, 1e-3);
    }
    for (int i = 0; i < METHOD_COUNT; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s_us", method_name((enum method)i));
        if (run->methods[i].count != 0) {
            report_latency(&report, name, &run->methods[i], 1e-3);
        }
    }
    report_end(&report);
}

int run_mode(const struct options *options)
{
    static const struct driver_ops ops = {.next = next, .done = done, .over = over};
    static struct run run;
    struct driver *driver = &run.driver;
    run.options = options;
    run.timeout_ns = (uint64_t)(options->timeout_s * 1e9);
    keys_init(&run.keys, options->keys, options->accounts, options->zipf, 'a', options->seed);
    shuffle_deck(&run);
    make_templates(run.templates, options, run.timeout_ns);
    run.request_id = (uint64_t)wall_ms() << 24;
    if (options->fences) {
        run.fences = dm_xcalloc(options->keys, sizeof *run.fences);
    }
    bool ok =
        driver_open(driver, options->connect, options->connections, options->depth, &ops, &run);
    if (ok) {
        uint64_t now = now_ns();
        run.measure_ns = now + (uint64_t)(options->requests != 0 ? 0 : options->warmup_s * 1e9);
        run.end_ns = options->requests != 0
                         ? UINT64_MAX
                         : run.measure_ns + (uint64_t)(options->duration_s * 1e9);
        driver->rate = options->rate;
        driver->timeout_ns = run.timeout_ns;
        ok = driver_run(driver, 5000000000ULL);
    }
    uint64_t unanswered = driver->under_way;
    if (ok) {
        tell(&run);
    } else {
        (void)complain("the run broke off", driver->why);
    }
    driver_close(driver);
    for (int i = 0; i < METHOD_COUNT; i++) {
        dm_buf_finish(&run.templates[i].frame);
    }
    free(run.fences);
    return ok && run.wrong == 0 && run.codes[DM_OK] == run.calls && unanswered == 0 ? 0 : 1;
}

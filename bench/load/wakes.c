#include "driver.h"
#include "frame.h"
#include "modes.h"
#include "report.h"

#include "base/assert.h"
#include "client/message.h"

#include <dormouse/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Snoozes contacts to wake within a window, and watches: each must wake once, none before it is
 * due. Contact i is due at a time that follows from i. Two lags: as committed (the event's
 * time), and as it came in here. */

enum { LINGER_MS = 1000, NONE_YET = -1 };

struct wakes {
    const struct options *options;
    struct keys keys;
    int64_t first_due_ms;
    uint32_t step; /* coprime to the count: spreads the due times over the contacts */
    uint32_t loaded, refused;
    uint32_t at;
    bool watching, checking;
    int64_t last_event_ms; /* NONE_YET */
    uint8_t *seen;
    uint64_t woken, twice, early, wrong_due, foreign, last_seq, gaps;
    struct dm_histogram committed, arrived, checks; /* ms, ms, ns */
    uint64_t check_calls, check_failed, check_wrong;
    struct dm_buf payload;
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t due_of(const struct wakes *wakes, uint32_t key)
{
    uint64_t place = (uint64_t)key * wakes->step % wakes->keys.count;
    return wakes->first_due_ms +
           (int64_t)((double)place * wakes->options->within_s * 1000 / wakes->keys.count);
}

/* ---- snoozing ---------------------------------------------------------------- */

static bool next_snooze(struct wakes *wakes, struct call *call, uint32_t stream, struct dm_buf *out)
{
    if (wakes->at >= wakes->keys.count) {
        return false;
    }
    char account[ACCOUNT_SIZE], contact[CONTACT_SIZE];
    call->key = wakes->at++;
    keys_account(&wakes->keys, call->key, account);
    keys_contact(call->key, contact);
    struct dormouse_change change = {.status = DORMOUSE_SNOOZED,
                                     .snooze_until_ms = due_of(wakes, call->key)};
    struct dormouse_set_status request = {
        .account_id = {account, ACCOUNT_SIZE},
        .contact_id = {contact, CONTACT_SIZE},
        .change = &change,
    };
    dm_buf_reset(&wakes->payload, SIZE_MAX);
    return dm_message_encode(&wakes->payload, &dm_set_status_message, &request) &&
           frame_append(out, stream, "SetStatus", dm_buf_slice(&wakes->payload));
}

/* ---- checks meanwhile -------------------------------------------------------- */

static bool next_check(struct wakes *wakes, struct call *call, uint32_t stream, struct dm_buf *out)
{
    char account[ACCOUNT_SIZE], contact[CONTACT_SIZE];
    call->key = keys_next(&wakes->keys);
    keys_account(&wakes->keys, call->key, account);
    keys_contact(call->key, contact);
    struct dormouse_check request = {.account_id = {account, ACCOUNT_SIZE},
                                     .contact_id = {contact, CONTACT_SIZE}};
    /* In whole milliseconds, when it was sent at the earliest: what the answer must know. */
    call->kind = wall_ms() >= due_of(wakes, call->key);
    dm_buf_reset(&wakes->payload, SIZE_MAX);
    return dm_message_encode(&wakes->payload, &dm_check_message, &request) &&
           frame_append(out, stream, "Check", dm_buf_slice(&wakes->payload));
}

/* Sent when it was due: awake, whether the wake was done yet or not. Answered before it was
 * due: asleep. In between either is right. */
static void look_at_check(struct wakes *wakes, const struct call *call, int code,
                          struct dm_slice payload, uint64_t now)
{
    struct dormouse_check_answer answer;
    struct dm_arena arena = {0};
    wakes->check_calls++;
    dm_histogram_add(&wakes->checks, now > call->start_ns ? now - call->start_ns : 0);
    if (code != DM_OK || !dm_message_decode(payload, &dm_check_answer_message, &answer, &arena)) {
        wakes->check_failed++;
        return;
    }
    bool sent_when_due = call->kind != 0;
    bool answered_before = wall_ms() < due_of(wakes, call->key);
    wakes->check_wrong += (sent_when_due && answer.status != DORMOUSE_ACTIVE) ||
                          (answered_before && answer.status != DORMOUSE_SNOOZED);
}

static bool next(void *load, struct call *call, uint32_t stream, struct dm_buf *out)
{
    struct wakes *wakes = load;
    return wakes->checking ? next_check(wakes, call, stream, out)
                           : next_snooze(wakes, call, stream, out);
}

static void done(void *load, const struct call *call, int code, struct dm_slice payload,
                 uint64_t now)
{
    struct wakes *wakes = load;
    if (wakes->checking) {
        look_at_check(wakes, call, code, payload, now);
        return;
    }
    wakes->loaded += code == DM_OK;
    wakes->refused += code != DM_OK;
}

/* ---- the watch --------------------------------------------------------------- */

static void on_wake(struct wakes *wakes, const struct dormouse_event *event)
{
    int64_t now = wall_ms();
    char account[ACCOUNT_SIZE];
    uint32_t key = keys_parse(event->contact_id.data, event->contact_id.size);
    if (key < wakes->keys.count) {
        keys_account(&wakes->keys, key, account);
    }
    if (key >= wakes->keys.count || event->account_id.size != ACCOUNT_SIZE ||
        memcmp(account, event->account_id.data, ACCOUNT_SIZE) != 0) {
        wakes->foreign++;
        return;
    }
    int64_t due = due_of(wakes, key);
    wakes->last_event_ms = now;
    wakes->woken += wakes->seen[key] == 0;
    wakes->twice += wakes->seen[key] != 0;
    wakes->seen[key] = 1;
    wakes->early += event->at_ms < due || now < due;
    wakes->wrong_due += event->due_ms != due;
    dm_histogram_add(&wakes->committed, event->at_ms > due ? (uint64_t)(event->at_ms - due) : 0);
    dm_histogram_add(&wakes->arrived, now > due ? (uint64_t)(now - due) : 0);
}

enum { ROOM_SIZE = 1024 }; /* for one event */

static void message(void *load, struct dm_slice payload)
{
    struct wakes *wakes = load;
    struct dormouse_watch_message watched;
    max_align_t room[ROOM_SIZE / sizeof(max_align_t)];
    struct dm_arena arena;
    dm_arena_init(&arena, room, sizeof room);
    wakes->watching = true;
    if (!dm_message_decode(payload, &dm_watch_message_message, &watched, &arena)) {
        wakes->gaps++;
    } else if (watched.event != NULL) {
        /* Of all accounts, so the sequence is dense. */
        wakes->gaps += wakes->last_seq != 0 && watched.event->seq != wakes->last_seq + 1;
        wakes->last_seq = watched.event->seq;
        if (watched.event->reason == DORMOUSE_REASON_SNOOZE_EXPIRED) {
            on_wake(wakes, watched.event);
        }
    }
    dm_arena_finish(&arena);
}

/* ---- phases ------------------------------------------------------------------ */

static bool watch_begun(void *load, uint64_t now)
{
    (void)now;
    return ((const struct wakes *)load)->watching;
}

static bool snoozed(void *load, uint64_t now)
{
    (void)now;
    return ((const struct wakes *)load)->at >= ((const struct wakes *)load)->keys.count;
}

/* All have woken and a moment has passed in which one might have woken twice; or patience is
 * at its end. */
static bool awake(void *load, uint64_t now)
{
    const struct wakes *wakes = load;
    int64_t wall = wall_ms();
    int64_t end = wakes->first_due_ms + (int64_t)(wakes->options->within_s * 1000);
    (void)now;
    if (wakes->woken >= wakes->loaded) {
        return wall > end + LINGER_MS && wall > wakes->last_event_ms + LINGER_MS;
    }
    return wall > end + (int64_t)(wakes->options->grace_s * 1000);
}

static bool idle(void *load, struct call *call, uint32_t stream, struct dm_buf *out)
{
    (void)load;
    (void)call;
    (void)stream;
    (void)out;
    return false;
}

static bool begin_watch(struct driver *driver, const struct options *options)
{
    struct dm_buf frame = {0}, payload = {0};
    struct dormouse_watch request = {0};
    bool ok = dm_message_encode(&payload, &dm_watch_message, &request) &&
              frame_append(&frame, 1, "Watch", dm_buf_slice(&payload)) &&
              driver_stream(driver, options->connect, &frame);
    dm_buf_finish(&frame);
    dm_buf_finish(&payload);
    return ok;
}

static bool phases(struct driver *driver, struct wakes *wakes, int64_t *loaded_ms)
{
    static const struct driver_ops watch_ops = {
        .next = idle, .done = done, .message = message, .over = watch_begun};
    static const struct driver_ops snooze_ops = {
        .next = next, .done = done, .message = message, .over = snoozed};
    static const struct driver_ops wake_ops = {
        .next = next, .done = done, .message = message, .over = awake};
    static const struct driver_ops quiet_ops = {
        .next = idle, .done = done, .message = message, .over = awake};
    driver->ops = &watch_ops;
    if (!begin_watch(driver, wakes->options) || !driver_run(driver, 0)) {
        return false;
    }
    driver->ops = &snooze_ops;
    if (!driver_run(driver, UINT64_MAX)) {
        return false;
    }
    *loaded_ms = wall_ms();
    wakes->checking = wakes->options->checks > 0;
    driver->rate = wakes->options->checks;
    driver->ops = wakes->checking ? &wake_ops : &quiet_ops;
    return driver_run(driver, 5000000000ULL) && driver->stream_code == -1;
}

/* ---- the mode ---------------------------------------------------------------- */

static void tell(const struct wakes *wakes, int64_t loaded_ms, int64_t begin_ms)
{
    struct report report;
    report_begin(&report, wakes->options->json, "wakes");
    report_number(&report, "contacts", wakes->keys.count);
    report_number(&report, "within_s", wakes->options->within_s);
    report_number(&report, "refused", wakes->refused);
    report_number(&report, "load_s", (double)(loaded_ms - begin_ms) / 1000);
    report_number(&report, "loaded_before_due_s", (double)(wakes->first_due_ms - loaded_ms) / 1000);
    report_number(&report, "woken", (double)wakes->woken);
    report_number(&report, "missing", (double)wakes->loaded - (double)wakes->woken);
    report_number(&report, "twice", (double)wakes->twice);
    report_number(&report, "early", (double)wakes->early);
    report_number(&report, "wrong_due", (double)wakes->wrong_due);
    report_number(&report, "sequence_gaps", (double)wakes->gaps);
    report_latency(&report, "lag_committed_ms", &wakes->committed, 1);
    report_latency(&report, "lag_arrived_ms", &wakes->arrived, 1);
    if (wakes->options->checks > 0) {
        report_number(&report, "check_rate", wakes->options->checks);
        report_number(&report, "checks_failed", (double)wakes->check_failed);
        report_number(&report, "checks_wrong", (double)wakes->check_wrong);
        report_latency(&report, "check_us", &wakes->checks, 1e-3);
    }
    report_end(&report);
}

static void prepare(struct wakes *wakes, const struct options *options)
{
    double start_in_s =
        options->start_in_s > 0 ? options->start_in_s : 5 + options->contacts * 20e-6;
    int64_t begin_ms = wall_ms();
    wakes->options = options;
    wakes->last_event_ms = NONE_YET;
    /* Other accounts from run to run: contacts of the last one may still be asleep. A seed
     * names them, for who runs many times and wants no new contacts each time. */
    uint64_t turn = options->seed_given ? options->seed : (uint64_t)begin_ms / 1000;
    keys_init(&wakes->keys, options->contacts, options->accounts, 0, (char)('b' + turn % 25),
              options->seed);
    wakes->first_due_ms = begin_ms + (int64_t)(start_in_s * 1000);
    wakes->step = (uint32_t)(options->contacts * 0.618) | 1;
    while (common_divisor(wakes->step, options->contacts) != 1) {
        wakes->step += 2;
    }
    wakes->seen = dm_xcalloc(options->contacts, 1);
}

int wakes_mode(const struct options *options)
{
    static struct wakes wakes;
    struct driver driver;
    int64_t begin_ms = wall_ms(), loaded_ms = begin_ms;
    prepare(&wakes, options);
    bool ok = driver_open(&driver, options->connect, options->connections, options->depth,
                          &(const struct driver_ops){0}, &wakes) &&
              phases(&driver, &wakes, &loaded_ms);
    if (ok) {
        tell(&wakes, loaded_ms, begin_ms);
    } else {
        (void)complain("the run broke off", driver.broken ? driver.why : "the watch ended");
    }
    if (ok && loaded_ms > wakes.first_due_ms) {
        (void)complain("loading was not done before the first was due", "raise --start-in");
        ok = false;
    }
    driver_close(&driver);
    dm_buf_finish(&wakes.payload);
    free(wakes.seen);
    return ok && wakes.refused == 0 && wakes.woken == wakes.loaded && wakes.twice == 0 &&
                   wakes.early == 0 && wakes.wrong_due == 0 && wakes.gaps == 0 &&
                   wakes.check_failed == 0 && wakes.check_wrong == 0
               ? 0
               : 1;
}

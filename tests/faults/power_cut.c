/* The journal and LMDB on real files, with the power cut at any write or sync: what was
 * acknowledged is there, what is there is a beginning of what was ordered, and who sleeps
 * wakes, once.
 *
 * usage: power_cut [--cuts N] [--seed N]
 *
 * The world lives on while it is cut: what a cut would leave is built in another folder, and
 * opened there. Every third time the power goes again while that is being recovered. Every
 * second time the overlay is so small that what is recovered has to go into the view first. */
#include "base/assert.h"
#include "base/log.h"
#include "engine/engine.h"
#include "faults/cut_disk.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTACTS = 60, PATH_SIZE = 256, SEGMENT_SIZE = 65536, RETENTION = 2 * SEGMENT_SIZE };
enum { OVERLAY_LARGE = 16384, OVERLAY_SMALL = 24 };
enum { STATES_MAX = 200000, EVENTS_MAX = 200000, WORLD_CUTS = 200, SNOOZE_S_MAX = 21 };
#define START_MS INT64_C(1800000000000)

/* A contact after the write with this lsn. */
struct state {
    uint64_t lsn, fence, revision;
    int64_t until_ms;
    uint8_t status;
    uint8_t contact;
};

struct event {
    uint64_t fence;
    uint8_t to, contact;
};

/* What is open of one folder. */
struct house {
    char folder[PATH_SIZE];
    struct dm_disk *disk;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    uint32_t overlay_max;
};

static struct {
    struct virtual_clock clock;
    struct house live;
    uint64_t random, seed;
    struct state *states; /* in order of lsn */
    size_t state_count;
    struct event *events; /* by seq */
    uint64_t event_count, told_lsn, told_seq;
    uint64_t cuts, wanted, again, swept;
    int depth; /* cuts within cuts */
} world;

#define CHECK(condition)                                                                \
    do {                                                                                \
        if (!(condition)) {                                                             \
            (void)fprintf(stderr, "seed %" PRIu64 ", cut %" PRIu64 ", %s:%d: not %s\n", \
                          world.seed, world.cuts, __FILE__, __LINE__, #condition);      \
            abort();                                                                    \
        }                                                                               \
    } while (0)

static uint64_t below(uint64_t bound)
{
    return dm_test_random(&world.random) % bound;
}

/* ---- folders ------------------------------------------------------------------------------- */

static void path_of(char path[PATH_SIZE], const char *folder, const char *name)
{
    int size = snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    CHECK(size > 0 && size < PATH_SIZE);
}

static void empty_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    CHECK(entries != NULL);
    const struct dirent *entry = NULL;
    while ((entry = readdir(entries)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        if (entry->d_name[0] != '.') {
            CHECK(unlinkat(dirfd(entries), entry->d_name, 0) == 0);
        }
    }
    (void)closedir(entries);
}

static void make_folders(char *folder)
{
    char path[PATH_SIZE];
    CHECK(mkdtemp(folder) != NULL);
    path_of(path, folder, "journal");
    CHECK(mkdir(path, 0700) == 0);
    path_of(path, folder, "view");
    CHECK(mkdir(path, 0700) == 0);
}

static void remove_folders(const char *folder)
{
    static const char *const names[] = {"journal", "view"};
    char path[PATH_SIZE];
    for (int i = 0; i < 2; i++) {
        path_of(path, folder, names[i]);
        empty_folder(path);
        CHECK(rmdir(path) == 0);
    }
    CHECK(rmdir(folder) == 0);
}

static void image_of(const char *from, const char *to)
{
    static const char *const names[] = {"journal", "view"};
    char source[PATH_SIZE], target[PATH_SIZE];
    for (int i = 0; i < 2; i++) {
        path_of(source, from, names[i]);
        path_of(target, to, names[i]);
        empty_folder(target);
        cut_disk_image(source, target, &world.random);
    }
}

/* ---- opening ------------------------------------------------------------------------------- */

static void open_house(struct house *house)
{
    char path[PATH_SIZE];
    struct dm_error error = {.message = ""};
    path_of(path, house->folder, "view");
    enum dm_code code = dm_store_open_lmdb(&house->store, path, 1ULL << 30, &error);
    path_of(path, house->folder, "journal");
    house->disk = dm_disk_folder(path);
    CHECK(code == DM_OK && house->disk != NULL);
    const struct dm_journal_options journal = {.disk = house->disk,
                                               .clock = virtual_clock_port(&world.clock),
                                               .segment_size = SEGMENT_SIZE,
                                               .retention_bytes = RETENTION,
                                               .manual = true};
    code = dm_journal_open_file(&house->journal, &journal, &error);
    if (code == DM_OK) {
        const struct dm_engine_options engine = {.order = house->journal->order,
                                                 .journal = house->journal,
                                                 .store = house->store,
                                                 .clock = virtual_clock_port(&world.clock),
                                                 .horizon_ms = 10000,
                                                 .overlay_max = house->overlay_max,
                                                 .contacts_per_txn = 16,
                                                 .cache_bytes = 65536,
                                                 .manual_applier = true};
        code = dm_engine_open(&house->engine, &engine, &error);
    }
    if (code != DM_OK) {
        (void)fprintf(stderr, "%s: %s\n", house->folder, error.message);
    }
    CHECK(code == DM_OK);
}

static void close_house(struct house *house)
{
    dm_engine_close(house->engine);
    dm_journal_close(house->journal);
    house->disk->ops->destroy(house->disk);
    dm_store_close(house->store);
}

/* ---- what must be there -----------------------------------------------------------------------
 */

static void name_of(char name[16], unsigned contact)
{
    (void)snprintf(name, 16, "c%u", contact);
}

/* Reads as the wake that is due. */
static struct state effective(struct state state)
{
    if (state.status == DM_STATUS_SNOOZED && state.until_ms <= world.clock.wall_ms) {
        state.status = DM_STATUS_ACTIVE;
        state.until_ms = 0;
        state.fence++;
        state.revision++;
    }
    return state;
}

static void check_contacts(struct house *house, uint64_t last)
{
    struct state expected[CONTACTS];
    for (unsigned i = 0; i < CONTACTS; i++) {
        expected[i] = (struct state){.status = DM_STATUS_ACTIVE};
    }
    for (size_t i = 0; i < world.state_count && world.states[i].lsn <= last; i++) {
        expected[world.states[i].contact] = world.states[i];
    }
    for (unsigned i = 0; i < CONTACTS; i++) {
        char name[16];
        struct dm_contact found;
        struct state wanted = effective(expected[i]);
        name_of(name, i);
        dm_engine_get(house->engine, dm_slice_str("acme"), dm_slice_str(name), &found, NULL);
        CHECK(found.status == wanted.status && found.revision == wanted.revision);
        CHECK(found.until_ms == wanted.until_ms);
        CHECK(wanted.revision == 0 || found.fence == wanted.fence);
    }
}

static struct event event_of(const struct dm_event *event)
{
    unsigned contact = 0;
    for (size_t i = 1; i < event->contact_id.size; i++) {
        contact = contact * 10 + (unsigned)(((const char *)event->contact_id.data)[i] - '0');
    }
    return (struct event){.fence = event->fence, .to = event->to, .contact = (uint8_t)contact};
}

/* Dense from the oldest kept one, and no event is another one than it was. */
static void check_events(struct house *house)
{
    uint64_t seq = dm_engine_oldest_seq(house->engine) - 1;
    uint64_t last = dm_engine_last_seq(house->engine);
    CHECK(last >= world.told_seq);
    struct dm_feed *feed = dm_feed_open(house->engine, seq);
    struct dm_event event;
    size_t budget = 1U << 30;
    while (dm_feed_next(feed, &event, &budget) == DM_NEXT_ITEM) {
        seq++;
        CHECK(event.seq == seq);
        struct event now = event_of(&event);
        const struct event *then = &world.events[seq];
        CHECK(seq > world.told_seq ||
              (now.fence == then->fence && now.to == then->to && now.contact == then->contact));
    }
    CHECK(seq == last);
    dm_feed_close(feed);
}

static void check(struct house *house)
{
    uint64_t last = dm_order_last(house->journal->order);
    CHECK(last >= world.told_lsn && last <= dm_order_last(world.live.journal->order));
    check_contacts(house, last);
    check_events(house);
}

/* ---- what comes after ------------------------------------------------------------------------ */

static void turn(struct house *house)
{
    (void)dm_engine_turn(house->engine);
    dm_engine_flush(house->engine);
    (void)dm_journal_work(house->journal);
    (void)dm_engine_apply_work(house->engine);
}

/* The events after `seq` are wakes, not early, at most one a contact, and one of each that
 * sleeps. */
static void check_wakes(struct house *house, uint64_t seq, const int64_t until_ms[CONTACTS])
{
    unsigned woken[CONTACTS] = {0};
    struct dm_feed *feed = dm_feed_open(house->engine, seq);
    struct dm_event event;
    size_t budget = 1U << 30;
    while (dm_feed_next(feed, &event, &budget) == DM_NEXT_ITEM) {
        unsigned contact = event_of(&event).contact;
        CHECK(event.reason == DM_REASON_SNOOZE_EXPIRED && event.at_ms >= event.due_ms);
        CHECK(until_ms[contact] == 0 || event.due_ms == until_ms[contact]);
        woken[contact]++;
    }
    for (unsigned i = 0; i < CONTACTS; i++) {
        CHECK(woken[i] <= 1 && (woken[i] == 1 || until_ms[i] == 0));
    }
    dm_feed_close(feed);
}

/* Time goes on until everybody is awake. */
static void wake_all(struct house *house)
{
    struct virtual_clock then = world.clock;
    int64_t until_ms[CONTACTS] = {0};
    uint64_t seq = dm_engine_last_seq(house->engine);
    for (unsigned i = 0; i < CONTACTS; i++) {
        char name[16];
        struct dm_contact found;
        name_of(name, i);
        dm_engine_get(house->engine, dm_slice_str("acme"), dm_slice_str(name), &found, NULL);
        until_ms[i] = found.until_ms;
    }
    for (int s = 0; s < SNOOZE_S_MAX + 2; s++) {
        virtual_clock_advance(&world.clock, 1000);
        for (int i = 0; i < 4; i++) {
            turn(house);
        }
    }
    check_wakes(house, seq, until_ms);
    world.clock = then;
}

/* It works on: a write, the view brought up to date, and all is there after the next open. */
static void work_on(struct house *house)
{
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    struct dm_outcome out;
    struct dm_error error;
    op.set.change = (struct dm_change){.status = DM_STATUS_INACTIVE};
    enum dm_code code = DM_RESOURCE_EXHAUSTED;
    for (int i = 0; i < 400 && code == DM_RESOURCE_EXHAUSTED; i++) {
        dm_engine_call_begin(house->engine, 0);
        code = dm_engine_mutate(house->engine, dm_slice_str("acme"), dm_slice_str("new"),
                                dm_slice_str(""), &op, &out, &error);
        if (code == DM_RESOURCE_EXHAUSTED) { /* until the view has what was recovered */
            turn(house);
        }
    }
    CHECK(code == DM_OK);
    uint64_t barrier = dm_engine_barrier(house->engine);
    for (int i = 0; i < 400 && dm_engine_durable(house->engine) < barrier; i++) {
        turn(house);
    }
    CHECK(dm_engine_durable(house->engine) >= barrier);
    close_house(house);
    open_house(house);
    struct dm_contact found;
    dm_engine_get(house->engine, dm_slice_str("acme"), dm_slice_str("new"), &found, NULL);
    CHECK(found.status == DM_STATUS_INACTIVE);
    wake_all(house);
}

static void verify(const char *from);

/* While it recovers, the power goes again. */
static void cut_again(void *context)
{
    world.again++;
    world.depth++;
    verify(context);
    world.depth--;
}

static void verify(const char *from)
{
    struct house house = {.folder = "power_cut_XXXXXX",
                          .overlay_max = below(2) == 0 ? OVERLAY_SMALL : OVERLAY_LARGE};
    make_folders(house.folder);
    image_of(from, house.folder);
    if (world.depth == 0 && below(3) == 0) {
        cut_disk_at(1 + below(12), cut_again, house.folder);
        cut_disk_begin();
        open_house(&house);
        cut_disk_at(0, NULL, NULL);
    } else {
        open_house(&house);
    }
    struct dm_engine_stats stats;
    dm_engine_stats(house.engine, dm_slice(NULL, 0), &stats);
    world.swept += stats.applier.transactions != 0;
    check(&house);
    work_on(&house);
    close_house(&house);
    remove_folders(house.folder);
}

/* ---- the world ---------------------------------------------------------------------------------
 */

static void remember(unsigned contact, const struct dm_contact *now)
{
    CHECK(world.state_count < STATES_MAX);
    world.states[world.state_count++] =
        (struct state){.lsn = dm_order_last(world.live.journal->order),
                       .fence = now->fence,
                       .revision = now->revision,
                       .until_ms = now->until_ms,
                       .status = now->status,
                       .contact = (uint8_t)contact};
}

static void make_op(struct dm_op *op)
{
    *op = (struct dm_op){.kind = DM_OP_SET_STATUS, .request = below(4) == 0 ? below(1000) + 1 : 0};
    switch (below(8)) {
    case 0:
        *op = (struct dm_op){.kind = DM_OP_DELETE};
        break;
    case 1:
        op->kind = DM_OP_ACTIVITY;
        op->activity.activity = DM_ACTIVITY_INBOUND_MESSAGE;
        break;
    case 2:
    case 3:
        op->set.change =
            (struct dm_change){.status = below(2) == 0 ? DM_STATUS_ACTIVE : DM_STATUS_INACTIVE,
                               .actor = dm_slice_str("somebody whose name takes up some room")};
        break;
    default:
        op->set.change = (struct dm_change){
            .status = DM_STATUS_SNOOZED,
            .has_for = true,
            .for_ms = 1000 + (int64_t)below((uint64_t)(SNOOZE_S_MAX - 1) * 1000)};
        break;
    }
}

static void mutate(void)
{
    char name[16];
    struct dm_op op;
    struct dm_outcome out;
    struct dm_error error;
    unsigned contact = (unsigned)below(CONTACTS);
    uint64_t before = dm_order_last(world.live.journal->order);
    name_of(name, contact);
    make_op(&op);
    enum dm_code code = dm_engine_mutate(world.live.engine, dm_slice_str("acme"),
                                         dm_slice_str(name), dm_slice_str(""), &op, &out, &error);
    CHECK(code == DM_OK);
    if (dm_order_last(world.live.journal->order) == before) {
        return; /* nothing was written */
    }
    if (op.kind == DM_OP_DELETE) {
        out.contact = (struct dm_contact){.status = DM_STATUS_ACTIVE};
    } else {
        dm_engine_get(world.live.engine, dm_slice_str("acme"), dm_slice_str(name), &out.contact,
                      NULL);
    }
    remember(contact, &out.contact);
}

/* What a client would be told. */
static void follow(struct dm_feed *feed)
{
    struct dm_event event;
    size_t budget = 1U << 30;
    world.told_lsn = dm_engine_durable(world.live.engine);
    while (dm_feed_next(feed, &event, &budget) == DM_NEXT_ITEM) {
        CHECK(event.seq == world.told_seq + 1 && event.seq < EVENTS_MAX);
        world.told_seq = event.seq;
        world.events[event.seq] = event_of(&event);
    }
}

static void on_cut(void *context)
{
    (void)context;
    world.cuts++;
    verify(world.live.folder);
    cut_disk_at(1 + below(60), on_cut, NULL);
}

static void one_step(struct dm_feed *feed)
{
    uint64_t kind = below(16);
    if (kind < 9) {
        mutate();
    } else if (kind < 11) {
        dm_engine_flush(world.live.engine);
        (void)dm_journal_work(world.live.journal);
        follow(feed);
    } else if (kind < 13) {
        (void)dm_engine_turn(world.live.engine);
    } else if (kind < 15) {
        (void)dm_engine_apply_work(world.live.engine);
    } else {
        virtual_clock_advance(&world.clock, (int64_t)below(3000));
    }
}

/* One world of its own seed, from an empty folder on. */
static void live(uint64_t seed, uint64_t cuts)
{
    world.seed = seed;
    world.random = seed;
    world.cuts = world.state_count = world.told_lsn = world.told_seq = 0;
    world.clock = (struct virtual_clock){.wall_ms = START_MS, .monotonic_ns = 1};
    world.live = (struct house){.folder = "power_cut_XXXXXX", .overlay_max = OVERLAY_LARGE};
    make_folders(world.live.folder);
    cut_disk_begin();
    open_house(&world.live);
    cut_disk_at(1 + below(60), on_cut, NULL);
    struct dm_feed *feed = dm_feed_open(world.live.engine, 0);
    while (world.cuts < cuts) {
        one_step(feed);
    }
    cut_disk_at(0, NULL, NULL);
    dm_feed_close(feed);
    close_house(&world.live);
    cut_disk_end();
    remove_folders(world.live.folder);
}

int main(int argc, char **argv)
{
    uint64_t cuts = 300, seed = 1, total = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        *(strcmp(argv[i], "--cuts") == 0 ? &cuts : &seed) = number;
    }
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    world.states = calloc(STATES_MAX, sizeof *world.states);
    world.events = calloc(EVENTS_MAX, sizeof *world.events);
    CHECK(world.states != NULL && world.events != NULL);
    for (; total < cuts; total += WORLD_CUTS) {
        live(seed++, cuts - total < WORLD_CUTS ? cuts - total : WORLD_CUTS);
    }
    struct cut_disk_counts counts = cut_disk_counts();
    (void)printf("%" PRIu64 " power cuts, %" PRIu64 " more during recovery, %" PRIu64
                 " recovered by way of the view; %" PRIu64 " writes, %" PRIu64
                 " syncs; of the pages not synced %" PRIu64 " were lost, %" PRIu64 " torn, %" PRIu64
                 " kept\n",
                 cuts, world.again, world.swept, counts.writes, counts.syncs, counts.pages_lost,
                 counts.pages_torn, counts.pages_kept);
    free(world.states);
    free(world.events);
    return 0;
}

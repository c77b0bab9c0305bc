/* Opening a journal whose files hold anything. The input is a script that writes segments,
 * so that damage lies behind checksums that are right, too:
 *
 *   op u8 (see enum), then what it takes */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/engine.h"
#include "fuzz/session.h"
#include "journal/format.h"
#include "journal/segment.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"

#include <stdlib.h>
#include <string.h>

enum op {
    OP_BATCH,       /* payload size u8, payload: a good batch of one event */
    OP_BATCH_WRONG, /* field u8, difference u8, then as BATCH */
    OP_PLAIN,       /* as BATCH, but no event */
    OP_NEXT,        /* a new segment */
    OP_NEXT_WRONG,  /* field u8, difference u8: a new segment */
    OP_RAW,         /* size u8, bytes: at the end of what was written */
    OP_FLIP,        /* offset u16 LE, value u8: in the newest segment */
    OP_SPARE,       /* size u8 in KiB: a file that was to become a segment */
    OP_OLD,         /* segments are of version 1 from here on: they have no id */
    OP_AGE,         /* size u8, bytes: the file "age" */
    OP_COUNT,
};

enum { SEGMENT_SIZE = 65536, SEGMENTS_MAX = 4 };

struct script {
    const uint8_t *data;
    size_t size;
    struct dm_sim_disk *sim;
    struct dm_disk *disk;
    struct dm_segment_header segment;
    int file, spare;
    uint64_t offset, lsn, seq, batch;
    bool old;
    bool damaged; /* not all is as a journal would have written it */
};

static uint8_t take(struct script *s)
{
    if (s->size == 0) {
        return 0;
    }
    s->size--;
    return *s->data++;
}

static struct dm_slice take_bytes(struct script *s, size_t size)
{
    size = size < s->size ? size : s->size;
    struct dm_slice bytes = dm_slice(s->data, size);
    s->data += size;
    s->size -= size;
    return bytes;
}

static void write_at(struct script *s, uint64_t offset, const void *bytes, size_t size)
{
    int failed = s->disk->ops->pwrite(s->disk, s->file, dm_slice(bytes, size), offset);
    DM_ASSERT(failed == 0);
}

/* One of the fields becomes another number; with the right checksum. */
static void add_to(uint64_t *const *fields, size_t count, uint8_t field, uint8_t difference)
{
    *fields[field % count] += (uint64_t)(int64_t)(int8_t)difference;
}

/* As version 1 wrote it. */
static void make_old(uint8_t *block)
{
    memset(block + 72, 0, 24);
    dm_store_le32(block + 12, 1);
    dm_store_le32(block + 8, dm_crc32c(0, block + 12, DM_SEGMENT_HEADER_SIZE - 12));
}

static void next_segment(struct script *s, bool wrong)
{
    if (s->segment.number == SEGMENTS_MAX) {
        return;
    }
    char name[DM_SEGMENT_NAME_SIZE];
    uint8_t block[DM_SEGMENT_HEADER_SIZE];
    uint64_t number = s->segment.number + 1;
    s->segment = (struct dm_segment_header){.number = number,
                                            .first_lsn = s->lsn,
                                            .first_seq = s->seq,
                                            .first_batch = s->batch,
                                            .size = SEGMENT_SIZE,
                                            .salt = number * 77,
                                            .created_ms = 1700000000000,
                                            .log_id = {"sixteen bytes :)"},
                                            .seen_ms = (int64_t)number * 1000};
    struct dm_segment_header header = s->segment;
    uint64_t seen_ms = (uint64_t)header.seen_ms, id = 0;
    s->damaged |= wrong || s->offset == DM_SEGMENT_HEADER_SIZE; /* none is left empty */
    uint64_t *const fields[] = {
        &header.number, &header.first_lsn, &header.first_seq, &header.first_batch,
        &header.size,   &header.salt,      &seen_ms,          &id};
    if (wrong) {
        uint8_t field = take(s);
        add_to(fields, 8, field, take(s));
    }
    header.seen_ms = (int64_t)seen_ms;
    header.log_id.bytes[7] ^= (uint8_t)id;
    dm_segment_name(name, number);
    s->file = s->disk->ops->open(s->disk, name, true);
    DM_ASSERT(s->file >= 0);
    (void)s->disk->ops->allocate(s->disk, s->file, SEGMENT_SIZE);
    dm_segment_header_write(block, &header);
    if (s->old) {
        make_old(block);
    }
    write_at(s, 0, block, sizeof block);
    s->offset = DM_SEGMENT_HEADER_SIZE;
}

static void batch(struct script *s, bool wrong, bool event)
{
    s->damaged |= wrong;
    uint8_t field = wrong ? take(s) : 0;
    uint8_t difference = wrong ? take(s) : 0;
    struct dm_slice payload = take_bytes(s, take(s));
    uint64_t size = DM_BATCH_HEADER_SIZE + dm_entry_footprint(payload.size);
    if (s->offset + size > SEGMENT_SIZE) {
        return;
    }
    uint8_t *bytes = calloc(1, size);
    DM_ASSERT(bytes != NULL);
    uint64_t entries = 1, events = event ? 1 : 0, length = size - DM_BATCH_HEADER_SIZE;
    uint64_t lsn = s->lsn, seq = event ? s->seq : 0;
    struct dm_batch_header header = {.number = s->batch, .first_lsn = s->lsn, .first_seq = s->seq};
    uint64_t *const fields[] = {&header.number,
                                &header.first_lsn,
                                &header.first_seq,
                                &entries,
                                &events,
                                &length,
                                &lsn,
                                &seq};
    add_to(fields, 8, field, difference);
    header.entries = (uint32_t)entries;
    header.events = (uint32_t)events;
    header.bytes = (uint32_t)length;
    dm_entry_write(bytes + DM_BATCH_HEADER_SIZE, lsn, seq, payload);
    dm_batch_header_write(bytes, &header, s->segment.salt, s->offset);
    write_at(s, s->offset, bytes, size);
    free(bytes);
    s->offset += size;
    s->batch++;
    s->lsn++;
    s->seq += event ? 1 : 0;
}

static void raw(struct script *s)
{
    struct dm_slice bytes = take_bytes(s, take(s));
    s->damaged = true;
    if (s->offset + bytes.size <= SEGMENT_SIZE) {
        write_at(s, s->offset, bytes.data, bytes.size);
        s->offset += (bytes.size + 7) & ~(size_t)7;
    }
}

static void flip(struct script *s)
{
    char name[DM_SEGMENT_NAME_SIZE];
    uint64_t offset = take(s);
    s->damaged = true;
    offset |= (uint64_t)take(s) << 8;
    dm_segment_name(name, s->segment.number);
    (void)dm_sim_disk_flip(s->sim, name, offset % SEGMENT_SIZE, take(s) % 8);
}

static void spare(struct script *s)
{
    char name[] = "spare-0";
    name[6] = (char)('0' + s->spare % 10);
    s->spare++;
    int file = s->disk->ops->open(s->disk, name, true);
    DM_ASSERT(file >= 0);
    (void)s->disk->ops->allocate(s->disk, file, (uint64_t)take(s) % 64 * 1024);
    s->disk->ops->close(s->disk, file);
}

static void age(struct script *s)
{
    struct dm_slice bytes = take_bytes(s, take(s));
    int file = s->disk->ops->open(s->disk, "age", true);
    DM_ASSERT(file >= 0);
    (void)s->disk->ops->pwrite(s->disk, file, bytes, 0);
    s->disk->ops->close(s->disk, file);
}

/* From the first segment on, as it was before there were ids; later ones only, or some, are
 * no log. */
static void old(struct script *s)
{
    uint8_t block[DM_SEGMENT_HEADER_SIZE];
    s->damaged |= !s->old && s->segment.number > 1;
    s->old = true;
    if (s->segment.number == 1) {
        dm_segment_header_write(block, &s->segment);
        make_old(block);
        write_at(s, 0, block, sizeof block);
    }
}

static void run(struct script *s)
{
    next_segment(s, false);
    while (s->size != 0) {
        switch ((enum op)(take(s) % OP_COUNT)) {
        case OP_BATCH:
            batch(s, false, true);
            break;
        case OP_BATCH_WRONG:
            batch(s, true, true);
            break;
        case OP_PLAIN:
            batch(s, false, false);
            break;
        case OP_NEXT:
            next_segment(s, false);
            break;
        case OP_NEXT_WRONG:
            next_segment(s, true);
            break;
        case OP_RAW:
            raw(s);
            break;
        case OP_FLIP:
            flip(s);
            break;
        case OP_OLD:
            old(s);
            break;
        case OP_AGE:
            age(s);
            break;
        default:
            spare(s);
            break;
        }
    }
}

/* ---- opening --------------------------------------------------------------------------- */

static void read_events(struct dm_journal *journal, bool damaged)
{
    uint64_t last = dm_journal_committed_seq(journal), seq = dm_journal_oldest_seq(journal) - 1;
    struct dm_cursor *cursor = dm_journal_cursor(journal, seq);
    struct dm_entry entry;
    size_t budget = 1 << 20;
    enum dm_cursor_result result;
    while ((result = dm_cursor_next(cursor, &entry, &budget)) == DM_CURSOR_ENTRY) {
        seq++;
        DM_ASSERT(entry.seq == seq && (damaged || seq <= last));
    }
    DM_ASSERT(damaged || (result == DM_CURSOR_END && seq == last));
    dm_cursor_close(cursor);
}

/* Appends, and must find it again after the next open. */
static void append(struct dm_journal *journal)
{
    uint64_t seq = dm_journal_committed_seq(journal) + 1;
    uint64_t lsn = dm_order_append(journal->order, dm_slice_str("more"), seq);
    dm_order_flush(journal->order);
    while (dm_journal_work(journal)) {
        dm_order_flush(journal->order);
    }
    DM_ASSERT(dm_order_durable(journal->order) == lsn && dm_journal_committed_seq(journal) == seq);
}

static bool nothing(void *context, const struct dm_entry *entry)
{
    (void)context, (void)entry;
    return true;
}

static void recover(const struct dm_journal_options *options, const struct script *script)
{
    struct dm_journal *journal = NULL;
    struct dm_engine *engine = NULL;
    struct dm_error error;
    if (dm_journal_open_file(&journal, options, &error) != DM_OK) {
        DM_ASSERT(script->damaged && error.message[0] != '\0');
        return;
    }
    uint64_t first = dm_order_last(journal->order);
    DM_ASSERT(script->damaged || first == script->lsn - 1);
    struct dm_store *store = dm_store_open_memory();
    const struct dm_engine_options engine_options = {.order = journal->order,
                                                     .journal = journal,
                                                     .store = store,
                                                     .clock = options->clock,
                                                     .cache_bytes = 65536,
                                                     .manual_applier = true};
    enum dm_code code = dm_engine_open(&engine, &engine_options, &error);
    if (code == DM_OK) {
        (void)dm_engine_turn(engine);
        dm_engine_close(engine);
    }
    dm_store_close(store);
    read_events(journal, script->damaged);
    if (dm_order_last(journal->order) == first) {
        append(journal);
        first++;
    }
    dm_journal_close(journal);
    code = dm_journal_open_file(&journal, options, &error);
    DM_ASSERT(code == DM_OK && dm_order_last(journal->order) >= first);
    (void)dm_journal_each(journal, 0, nothing, NULL, &error);
    dm_journal_close(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtual_clock clock = {.wall_ms = 1800000000000, .monotonic_ns = 1};
    struct script script = {.data = data, .size = size, .lsn = 1, .seq = 1, .batch = 1};
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    script.sim = dm_sim_disk_create();
    script.disk = dm_sim_disk_port(script.sim);
    run(&script);
    dm_sim_disk_kill(script.sim);
    const struct dm_journal_options options = {.disk = script.disk,
                                               .clock = virtual_clock_port(&clock),
                                               .segment_size = SEGMENT_SIZE,
                                               .manual = true};
    recover(&options, &script);
    dm_sim_disk_destroy(script.sim);
    return 0;
}

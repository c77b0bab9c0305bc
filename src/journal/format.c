#include "journal/format.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"

#include <assert.h>
#include <string.h>

#define SEGMENT_MAGIC 0x3130474553504d44ULL /* "DMPSEG01" */
#define SEGMENT_VERSION 2U

static_assert(sizeof(struct dm_log_id) == 88 - 72, "the log's id has its place in the header");
static_assert(DM_SEGMENT_HEADER_SIZE >= 88 + 8, "a segment's header has room for its fields");
static_assert(DM_BATCH_HEADER_SIZE >= 40 + 4 && DM_ENTRY_HEADER_SIZE >= 16 + 8, "likewise");
static_assert(DM_JOURNAL_BATCH_MAX <= UINT32_MAX && DM_JOURNAL_RECORD_MAX <= UINT32_MAX,
              "sizes of batches and entries are 32 bits there");

/* magic u64, crc u32 (of all after it), version u32, then the fields, then zeros. Version 1
 * ends before the log's id. */
void dm_segment_header_write(uint8_t *block, const struct dm_segment_header *header)
{
    memset(block, 0, DM_SEGMENT_HEADER_SIZE);
    dm_store_le64(block, SEGMENT_MAGIC);
    dm_store_le32(block + 12, SEGMENT_VERSION);
    dm_store_le64(block + 16, header->number);
    dm_store_le64(block + 24, header->first_lsn);
    dm_store_le64(block + 32, header->first_seq);
    dm_store_le64(block + 40, header->first_batch);
    dm_store_le64(block + 48, header->size);
    dm_store_le64(block + 56, header->salt);
    dm_store_le64(block + 64, (uint64_t)header->created_ms);
    memcpy(block + 72, header->log_id.bytes, sizeof header->log_id.bytes);
    dm_store_le64(block + 88, (uint64_t)header->seen_ms);
    dm_store_le32(block + 8, dm_crc32c(0, block + 12, DM_SEGMENT_HEADER_SIZE - 12));
}

static bool header_whole(const uint8_t *block)
{
    return dm_load_le64(block) == SEGMENT_MAGIC &&
           dm_load_le32(block + 8) == dm_crc32c(0, block + 12, DM_SEGMENT_HEADER_SIZE - 12);
}

bool dm_segment_header_newer(const uint8_t *block)
{
    return header_whole(block) && dm_load_le32(block + 12) > SEGMENT_VERSION;
}

bool dm_segment_header_read(const uint8_t *block, struct dm_segment_header *header)
{
    uint32_t version = dm_load_le32(block + 12);
    if (!header_whole(block) || version == 0 || version > SEGMENT_VERSION) {
        return false;
    }
    *header = (struct dm_segment_header){
        .number = dm_load_le64(block + 16),
        .first_lsn = dm_load_le64(block + 24),
        .first_seq = dm_load_le64(block + 32),
        .first_batch = dm_load_le64(block + 40),
        .size = dm_load_le64(block + 48),
        .salt = dm_load_le64(block + 56),
        .created_ms = (int64_t)dm_load_le64(block + 64),
        .seen_ms = (int64_t)dm_load_le64(block + 88), /* version 1 has zeros there */
    };
    memcpy(header->log_id.bytes, block + 72, sizeof header->log_id.bytes);
    return true;
}

static uint32_t batch_crc(const uint8_t *header, uint64_t salt, uint64_t offset)
{
    uint64_t where[2] = {salt, offset};
    uint32_t crc = dm_crc32c(0, where, sizeof where);
    return dm_crc32c(crc, header + 8, DM_BATCH_HEADER_SIZE - 8);
}

/* magic u32, crc u32 (of all after it), then the fields */
void dm_batch_header_write(uint8_t *to, const struct dm_batch_header *header, uint64_t salt,
                           uint64_t offset)
{
    memset(to, 0, DM_BATCH_HEADER_SIZE);
    dm_store_le32(to, DM_BATCH_MAGIC);
    dm_store_le64(to + 8, header->number);
    dm_store_le64(to + 16, header->first_lsn);
    dm_store_le64(to + 24, header->first_seq);
    dm_store_le32(to + 32, header->entries);
    dm_store_le32(to + 36, header->events);
    dm_store_le32(to + 40, header->bytes);
    dm_store_le32(to + 4, batch_crc(to, salt, offset));
}

bool dm_batch_header_read(const uint8_t *from, struct dm_batch_header *header, uint64_t salt,
                          uint64_t offset)
{
    if (dm_load_le32(from) != DM_BATCH_MAGIC ||
        dm_load_le32(from + 4) != batch_crc(from, salt, offset)) {
        return false;
    }
    *header = (struct dm_batch_header){
        .number = dm_load_le64(from + 8),
        .first_lsn = dm_load_le64(from + 16),
        .first_seq = dm_load_le64(from + 24),
        .entries = dm_load_le32(from + 32),
        .events = dm_load_le32(from + 36),
        .bytes = dm_load_le32(from + 40),
    };
    return true;
}

/* crc u32 (of all after it, padding aside), size u32, lsn u64, seq u64, payload */
void dm_entry_write(uint8_t *to, uint64_t lsn, uint64_t seq, struct dm_slice payload)
{
    size_t end = DM_ENTRY_HEADER_SIZE + payload.size;
    dm_store_le32(to + 4, (uint32_t)payload.size);
    dm_store_le64(to + 8, lsn);
    dm_store_le64(to + 16, seq);
    if (payload.size > 0) {
        memcpy(to + DM_ENTRY_HEADER_SIZE, payload.data, payload.size);
    }
    memset(to + end, 0, dm_entry_footprint(payload.size) - end);
    dm_store_le32(to, dm_crc32c(0, to + 4, end - 4));
}

struct dm_entry_header dm_entry_header_read(const uint8_t *from)
{
    return (struct dm_entry_header){
        .size = dm_load_le32(from + 4),
        .lsn = dm_load_le64(from + 8),
        .seq = dm_load_le64(from + 16),
    };
}

bool dm_entry_intact(const uint8_t *from, uint32_t size)
{
    return dm_load_le32(from) == dm_crc32c(0, from + 4, DM_ENTRY_HEADER_SIZE - 4 + size);
}

struct dm_place dm_place_first(const struct dm_segment_header *header)
{
    return (struct dm_place){
        .segment = header->number,
        .offset = DM_SEGMENT_HEADER_SIZE,
        .batch = header->first_batch,
        .next_lsn = header->first_lsn,
        .next_seq = header->first_seq,
    };
}

static bool expected(const struct dm_place *place, const struct dm_batch_header *header,
                     uint64_t segment_size)
{
    return header->number == place->batch && header->first_lsn == place->next_lsn &&
           header->first_seq == place->next_seq && header->bytes > 0 && header->bytes % 8 == 0 &&
           place->offset + DM_BATCH_HEADER_SIZE + header->bytes <= segment_size;
}

bool dm_place_enter(struct dm_place *place, const struct dm_batch_header *header,
                    uint64_t segment_size)
{
    if (!expected(place, header, segment_size)) {
        return false;
    }
    place->offset += DM_BATCH_HEADER_SIZE;
    place->batch_end = place->offset + header->bytes;
    return true;
}

bool dm_place_skip(struct dm_place *place, const struct dm_batch_header *header,
                   uint64_t segment_size)
{
    if (!expected(place, header, segment_size)) {
        return false;
    }
    place->offset += DM_BATCH_HEADER_SIZE + header->bytes;
    place->batch++;
    place->next_lsn += header->entries;
    place->next_seq += header->events;
    return true;
}

bool dm_place_take(struct dm_place *place, const struct dm_entry_header *header)
{
    uint64_t end = place->offset + dm_entry_footprint(header->size);
    if (header->size > DM_JOURNAL_RECORD_MAX || end > place->batch_end ||
        header->lsn != place->next_lsn || (header->seq != 0 && header->seq != place->next_seq)) {
        return false;
    }
    place->offset = end;
    place->next_lsn++;
    if (header->seq != 0) {
        place->next_seq++;
    }
    if (end == place->batch_end) {
        place->batch++;
        place->batch_end = 0;
    }
    return true;
}

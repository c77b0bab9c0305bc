#ifndef DM_JOURNAL_FORMAT_H
#define DM_JOURNAL_FORMAT_H

#include "base/log_id.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* What a segment file holds, little-endian:
 *
 *   one block of 4 KiB: the segment's header
 *   batch, batch, …     each a header and its entries, aligned to 8 bytes
 *   a zeroed batch header, if there is room: the end
 *
 * A batch is what one write and one sync made durable. The batch number is dense
 * over all segments and the next batch is written only after the sync of the one
 * before, so a bad batch with a later one behind it was damaged, and one with
 * nothing behind it was torn by a crash.
 *
 * Batch checksums start from the segment's salt and the batch's offset: neither
 * what an earlier life of a recycled file left, nor a payload that looks like a
 * batch, is ever taken for one. */

#define DM_SEGMENT_HEADER_SIZE 4096U
#define DM_BATCH_HEADER_SIZE 48U
#define DM_ENTRY_HEADER_SIZE 24U
#define DM_BATCH_MAGIC 0x48434244U /* "DBCH", the first four bytes of a batch */

struct dm_segment_header {
    uint64_t number;
    uint64_t first_lsn, first_seq, first_batch; /* of what comes first here, or would */
    uint64_t size;                              /* of the file */
    uint64_t salt;
    int64_t created_ms; /* wall clock; for people */
    /* From version 2 on; zero where version 1 was read: */
    struct dm_log_id log_id; /* the same in all segments */
    int64_t seen_ms;         /* the journal's age when it was begun: see journal/age.h */
};

struct dm_batch_header {
    uint64_t number;
    uint64_t first_lsn, first_seq; /* first_seq: of its first event, or of the next one */
    uint32_t entries, events;
    uint32_t bytes; /* of all entries, with their headers and padding */
};

struct dm_entry_header {
    uint32_t size; /* of the payload */
    uint64_t lsn, seq;
};

/* `block` has DM_SEGMENT_HEADER_SIZE bytes. */
void dm_segment_header_write(uint8_t *block, const struct dm_segment_header *header);
bool dm_segment_header_read(const uint8_t *block, struct dm_segment_header *header);
/* Of a header that cannot be read: is it whole, and was it written by a newer version? */
bool dm_segment_header_newer(const uint8_t *block);

/* `offset`: of the batch in its file. Reading returns false when the magic number or the
 * checksum does not fit. */
void dm_batch_header_write(uint8_t *to, const struct dm_batch_header *header, uint64_t salt,
                           uint64_t offset);
bool dm_batch_header_read(const uint8_t *from, struct dm_batch_header *header, uint64_t salt,
                          uint64_t offset);

/* Header, payload and padding: dm_entry_footprint(payload.size) bytes. */
void dm_entry_write(uint8_t *to, uint64_t lsn, uint64_t seq, struct dm_slice payload);
struct dm_entry_header dm_entry_header_read(const uint8_t *from);
/* `from` has the header and `size` bytes of payload. */
bool dm_entry_intact(const uint8_t *from, uint32_t size);

static inline uint64_t dm_entry_footprint(uint64_t payload_size)
{
    return (DM_ENTRY_HEADER_SIZE + payload_size + 7) & ~(uint64_t)7;
}

/* ---- walking ------------------------------------------------------------- */

/* A place between two entries, and what must come there. */
struct dm_place {
    uint64_t segment, offset;
    uint64_t batch; /* the one that the place is in; with batch_end 0, the one that begins there */
    uint64_t batch_end; /* offset of its end; 0: a batch begins here */
    uint64_t next_lsn, next_seq;
};

/* Bytes between two places that an index knows: what a seek has to walk at most. */
#define DM_PLACE_SPACING 32768UL

struct dm_place dm_place_first(const struct dm_segment_header *header);
/* Steps over a batch header, an entry, a whole batch. false (nothing changed) when it
 * is not what must come there: the file is damaged. */
bool dm_place_enter(struct dm_place *place, const struct dm_batch_header *header,
                    uint64_t segment_size);
bool dm_place_take(struct dm_place *place, const struct dm_entry_header *header);
bool dm_place_skip(struct dm_place *place, const struct dm_batch_header *header,
                   uint64_t segment_size);

#endif

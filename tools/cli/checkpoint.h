#ifndef DM_CLI_CHECKPOINT_H
#define DM_CLI_CHECKPOINT_H

#include "base/hash.h"
#include "cli/out.h"

/* What an import remembers beside its file, so that the same command goes on where it was and
 * never overwrites what came after it: lines of text, only ever appended.
 *
 *     dormouse import 1 server "127.0.0.1:7400" account "acme" run ""
 *     begun 2026-12-01T10:00:00Z after 432988 key 0123456789abcdef fedcba9876543210
 *     own 5f1d6b7a90c2e348 433001   a contact (its hash) was written to: its newest event
 *     refused 17                    the row of line 17 was refused: it is tried again
 *     fixed 17                      it is no longer
 *     done 65536 9ab3c1d2           all rows up to this byte are done; CRC-32C of those bytes
 *     edited                        they are others now: all rows are looked at again
 *
 * A line that is cut or garbled, and what comes behind it, is dropped: then some rows are looked
 * at twice, which does no harm (see cli/verdict.h). No id of a contact is in it. */

/* Numbers to numbers; 0 is none. A zeroed struct is empty. */
struct dm_numbers {
    struct dm_number {
        uint64_t key, value;
    } * slots;
    size_t count, capacity;
};

/* Whose import it is: another server or account has another checkpoint. */
struct dm_checkpoint_target {
    const char *server;
    struct dormouse_text account, run;
};

struct dm_checkpoint {
    int fd; /* negative: kept in memory only */
    struct dm_out out;
    bool writable;  /* lines are appended */
    bool is_new;    /* nothing was imported before */
    bool unwritten; /* a line could not be written; what was before it stands */
    uint64_t after_seq;
    int64_t begun_ms;
    struct dm_hash_key key;
    struct dm_numbers own, refused;
    uint64_t done; /* bytes */
    uint32_t crc;
    char why[512];
};

/* Opens the checkpoint at `path`, or makes one; NULL: in memory. With `look` nothing is made nor
 * written. false: `why` says what is wrong; the file is as it was. What an import of another run
 * left is replaced. Where is_new, dm_checkpoint_begin must follow. */
bool dm_checkpoint_open(struct dm_checkpoint *checkpoint, const char *path, bool look,
                        const struct dm_checkpoint_target *target);
void dm_checkpoint_begin(struct dm_checkpoint *checkpoint, uint64_t after_seq, int64_t now_ms,
                         const struct dm_checkpoint_target *target);
/* Writes what is noted. Called now and then. */
void dm_checkpoint_flush(struct dm_checkpoint *checkpoint);
/* Flushes and closes. */
void dm_checkpoint_finish(struct dm_checkpoint *checkpoint);

/* The number that stands for a contact. */
uint64_t dm_checkpoint_contact(const struct dm_checkpoint *checkpoint,
                               struct dormouse_text account_id, struct dormouse_text contact_id);
void dm_checkpoint_own(struct dm_checkpoint *checkpoint, uint64_t contact, uint64_t seq);
bool dm_checkpoint_find_own(const struct dm_checkpoint *checkpoint, uint64_t contact,
                            uint64_t *seq);
void dm_checkpoint_refused(struct dm_checkpoint *checkpoint, uint64_t line, bool refused);
bool dm_checkpoint_was_refused(const struct dm_checkpoint *checkpoint, uint64_t line);
void dm_checkpoint_done(struct dm_checkpoint *checkpoint, uint64_t offset, uint32_t crc);
/* What was done is done no longer, for the file is another. */
void dm_checkpoint_edited(struct dm_checkpoint *checkpoint);
/* Does the file begin with the very bytes that were done? */
bool dm_checkpoint_matches(const struct dm_checkpoint *checkpoint, int fd);

#endif

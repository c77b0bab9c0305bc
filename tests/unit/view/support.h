#ifndef TESTS_UNIT_VIEW_SUPPORT_H
#define TESTS_UNIT_VIEW_SUPPORT_H

/* What the view's tests share: a folder that goes away, random numbers from a seed, and
 * contacts' keys and records. */

#include "base/bytes.h"
#include "base/slice.h"
#include "core/ident.h"
#include "core/record.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED_OK __attribute__((unused))

/* A new folder in the working directory; `path` has room for 32. */
UNUSED_OK static void folder_make(char *path)
{
    snprintf(path, 32, "view_test_XXXXXX");
    assert_non_null(mkdtemp(path));
}

UNUSED_OK static void folder_remove(const char *path)
{
    char file[64];
    snprintf(file, sizeof file, "%s/data.mdb", path);
    unlink(file);
    snprintf(file, sizeof file, "%s/lock.mdb", path);
    unlink(file);
    rmdir(path);
}

/* splitmix64 (Steele, Lea, Flood 2014). */
UNUSED_OK static uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ULL;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

UNUSED_OK static uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(random_next(state) % bound);
}

UNUSED_OK static struct dm_slice slice_text(const char *text)
{
    return dm_slice_str(text);
}

UNUSED_OK static void key_of(struct dm_key *key, uint32_t account, uint32_t contact)
{
    char id[32];
    snprintf(id, sizeof id, "contact-%u", contact);
    dm_store_be32(key->bytes, account);
    memcpy(key->bytes + 4, id, strlen(id));
    key->size = (uint8_t)(4 + strlen(id));
}

/* The number that key_of made a key of. */
UNUSED_OK static uint32_t contact_of(struct dm_slice key)
{
    uint32_t contact = 0;
    const uint8_t *bytes = key.data;
    for (size_t i = 4 + strlen("contact-"); i < key.size; i++) {
        contact = contact * 10 + (uint32_t)(bytes[i] - '0');
    }
    return contact;
}

/* An encoded record; SNOOZED when until_ms is not 0. `out` has room for
 * DM_RECORD_SIZE_MAX. */
UNUSED_OK static struct dm_slice record_bytes(uint8_t *out, uint64_t fence, int64_t until_ms,
                                              uint64_t revision)
{
    struct dm_record record = {0};
    record.status = until_ms != 0 ? DM_STATUS_SNOOZED : DM_STATUS_ACTIVE;
    record.reason = DM_REASON_SET;
    record.fence = fence;
    record.until_ms = until_ms;
    record.revision = revision;
    record.actor.size = (uint8_t)(revision % 20);
    memset(record.actor.bytes, 'a', record.actor.size);
    return dm_slice(out, dm_record_encode(&record, out));
}

#endif

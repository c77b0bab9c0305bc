/* What lies on disk: records, policies and entries. What can be decoded can be encoded, to
 * something that decodes the same. */
#include "base/assert.h"
#include "core/policy.h"
#include "core/record.h"
#include "engine/entry.h"
#include "fuzz/session.h"

#include <string.h>

static void record(struct dm_slice bytes)
{
    static struct dm_record first, second;
    uint8_t out[DM_RECORD_SIZE_MAX], again[DM_RECORD_SIZE_MAX];
    struct dm_record_head head;
    bool headed = dm_record_head(&head, bytes);
    (void)dm_record_intact(bytes);
    if (headed) {
        (void)dm_record_actor(bytes);
    }
    if (!dm_record_decode(&first, bytes)) {
        return;
    }
    DM_ASSERT(headed && head.fence == first.fence && head.until_ms == first.until_ms);
    size_t size = dm_record_encode(&first, out);
    bool good = dm_record_decode(&second, dm_slice(out, size));
    DM_ASSERT(good && dm_record_encode(&second, again) == size);
    DM_ASSERT(memcmp(out, again, size) == 0 && dm_record_intact(dm_slice(out, size)));
}

static void policy(struct dm_slice bytes)
{
    struct dm_policy first, second;
    uint8_t out[DM_POLICY_SIZE], again[DM_POLICY_SIZE];
    struct dm_error error;
    if (!dm_policy_decode(&first, bytes)) {
        return;
    }
    DM_ASSERT(dm_policy_check(&first, NULL, &error) == DM_OK);
    size_t size = dm_policy_encode(&first, out);
    bool good = dm_policy_decode(&second, dm_slice(out, size));
    DM_ASSERT(good && dm_policy_encode(&second, again) == size);
    DM_ASSERT(memcmp(out, again, size) == 0);
}

static void entry(struct dm_slice bytes)
{
    struct dm_entry_body body;
    uint8_t out[DM_ENTRY_SIZE_MAX];
    if (!dm_entry_decode(&body, bytes) || bytes.size > DM_ENTRY_SIZE_MAX) {
        return;
    }
    size_t size = dm_entry_encode(&body, out);
    DM_ASSERT(size <= sizeof out);
    bool good = dm_entry_decode(&body, dm_slice(out, size));
    DM_ASSERT(good);
    if (body.kind == DM_ENTRY_CONTACT) {
        record(body.contact.record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct dm_slice) = {record, policy, entry};
    if (size != 0) {
        kinds[data[0] % 3](dm_slice(data + 1, size - 1));
    }
    return 0;
}

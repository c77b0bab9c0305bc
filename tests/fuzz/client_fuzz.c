/* What a server may send to the C client, and every other message that its tables know. The first
 * byte: which. What can be decoded can be encoded, to something that decodes the same. */
#include "base/assert.h"
#include "client/message.h"
#include "fuzz/session.h"

#include <dormouse/message.h>
#include <string.h>

static const struct dm_message *const messages[] = {
    &dm_set_policy_message,
    &dm_check_answer_message,
    &dm_commit_reply_answer_message,
    &dm_contact_message,
    &dm_record_activity_answer_message,
    &dm_batch_get_answer_message,
    &dm_list_answer_message,
    &dm_set_status_answer_message,
    &dm_batch_set_status_answer_message,
    &dm_policy_message,
    &dm_delete_contact_answer_message,
    &dm_history_answer_message,
    &dm_stats_message,
    &dm_bulk_progress_message,
    &dm_watch_message_message,
    &dm_set_status_message,
    &dm_batch_set_status_message,
    &dm_watch_message,
};
enum { MESSAGES = sizeof messages / sizeof messages[0], STRUCT_SIZE_MAX = 1024 };

union any {
    max_align_t align;
    char bytes[STRUCT_SIZE_MAX];
};

static void round_trip(const struct dm_message *message, struct dm_slice bytes)
{
    union any first, second;
    struct dm_arena arena = {0}, again_arena = {0};
    DM_ASSERT(message->size <= sizeof first);
    if (dm_message_decode(bytes, message, &first, &arena)) {
        struct dm_buf out = {0}, again = {0};
        bool good = dm_message_encode(&out, message, &first);
        DM_ASSERT(good);
        good = dm_message_decode(dm_buf_slice(&out), message, &second, &again_arena);
        DM_ASSERT(good);
        good = dm_message_encode(&again, message, &second);
        size_t size = dm_buf_size(&out);
        DM_ASSERT(good && dm_buf_size(&again) == size);
        DM_ASSERT(size == 0 || memcmp(dm_buf_head(&out), dm_buf_head(&again), size) == 0);
        dm_buf_finish(&out);
        dm_buf_finish(&again);
    }
    dm_arena_finish(&arena);
    dm_arena_finish(&again_arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size != 0) {
        round_trip(messages[data[0] % MESSAGES], dm_slice(data + 1, size - 1));
    }
    return 0;
}

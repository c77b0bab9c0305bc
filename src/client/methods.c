#include "client/blocking.h"
#include "client/calls.h"

#include <assert.h>
#include <stddef.h>

/* The typed level: a request's struct to bytes, a call, the answer's bytes to a struct. One
 * METHOD_ line is one method, asynchronous and blocking. */

struct dm_method {
    const char *name;
    const struct dm_message *request, *answer;
    /* Calls `done`, cast back to its own type, with the decoded answer or NULL. */
    void (*give)(void (*done)(void), void *context, const struct dormouse_result *result,
                 const void *answer);
};

/* Room for most answers: those with one contact, and a little more. */
enum { ROOM_SIZE = 1024 };
static_assert(ROOM_SIZE >= sizeof(struct dormouse_contact) + sizeof(struct dormouse_stats),
              "most answers need no more memory");

/* NULL: not a valid message, or no memory. */
static const void *decode(const struct dm_method *method, struct dm_slice bytes,
                          struct dm_arena *arena)
{
    void *answer = dm_arena_alloc(arena, method->answer->size);
    bool ok = answer != NULL && dm_message_decode(bytes, method->answer, answer, arena);
    return ok ? answer : NULL;
}

static const char not_valid[] = "the answer is not a valid message";

static void finish(const struct dm_call_end *end, const struct dormouse_result *result,
                   struct dm_slice payload)
{
    const struct dm_method *method = end->method;
    max_align_t room[ROOM_SIZE / sizeof(max_align_t)];
    struct dm_arena arena;
    dm_arena_init(&arena, room, sizeof room);
    struct dormouse_result wrong = dm_result(DORMOUSE_INTERNAL, not_valid);
    const void *answer = result->code == DORMOUSE_OK ? decode(method, payload, &arena) : NULL;
    if (result->code == DORMOUSE_OK && answer == NULL) {
        result = &wrong;
    }
    method->give(end->done, end->context, result, answer);
    dm_arena_finish(&arena);
}

/* Into client->scratch. */
static enum dm_code encode(struct dormouse_client *client, const struct dm_method *method,
                           const void *request)
{
    enum dm_code code = dm_message_check(method->request, request, &client->refusal);
    dm_buf_reset(&client->scratch, SIZE_MAX);
    if (code == DM_OK && !dm_message_encode(&client->scratch, method->request, request)) {
        code = dm_client_refuse_memory(client);
    }
    return code;
}

static int begin(struct dormouse_client *client, const struct dm_method *method,
                 const void *request, uint32_t timeout_ms, void (*done)(void), void *context)
{
    enum dm_code code =
        client->closing ? dm_client_refuse_closed(client) : encode(client, method, request);
    if (code != DM_OK) {
        return (int)code;
    }
    return dm_client_begin(
        client, &(struct dm_call_begin){
                    .service = dm_slice_str(DM_CLIENT_SERVICE),
                    .method = dm_slice_str(method->name),
                    .payload = dm_buf_slice(&client->scratch),
                    .timeout_ms = timeout_ms,
                    .end = {.finish = finish, .done = done, .method = method, .context = context},
                });
}

static int wait(struct dormouse_client *client, const struct dm_method *method, const void *request,
                uint32_t timeout_ms, struct dormouse_result *result, const void **answer)
{
    *answer = NULL;
    int code = dm_client_may_wait(client, result);
    if (code != DORMOUSE_OK) {
        return code;
    }
    if (encode(client, method, request) != DM_OK) {
        return dm_client_tell_refusal(client, result);
    }
    struct dormouse_text bytes;
    code =
        dormouse_call_wait(client, dormouse_text(DM_CLIENT_SERVICE), dormouse_text(method->name),
                           dm_text_of(dm_buf_slice(&client->scratch)), timeout_ms, result, &bytes);
    if (code != DORMOUSE_OK) {
        return code;
    }
    dm_arena_finish(&client->held_arena);
    *answer = decode(method, dm_slice_of(bytes), &client->held_arena);
    if (*answer == NULL && result != NULL) {
        *result = dm_result(DORMOUSE_INTERNAL, not_valid);
    }
    return *answer == NULL ? DORMOUSE_INTERNAL : DORMOUSE_OK;
}

#define METHOD_(name_, text, request_, answer_)                                                    \
    static void give_##name_(void (*done)(void), void *context,                                    \
                             const struct dormouse_result *result, const void *answer)             \
    {                                                                                              \
        ((dormouse_##name_##_done)done)(context, result, answer);                                  \
    }                                                                                              \
    static const struct dm_method name_##_method = {                                               \
        .name = (text),                                                                            \
        .request = &dm_##request_##_message,                                                       \
        .answer = &dm_##answer_##_message,                                                         \
        .give = give_##name_,                                                                      \
    };                                                                                             \
    int dormouse_##name_(struct dormouse_client *client,                                           \
                         const struct dormouse_##request_ *request, uint32_t timeout_ms,           \
                         dormouse_##name_##_done done, void *context)                              \
    {                                                                                              \
        return begin(client, &name_##_method, request, timeout_ms, (void (*)(void))done, context); \
    }                                                                                              \
    int dormouse_##name_##_wait(struct dormouse_client *client,                                    \
                                const struct dormouse_##request_ *request, uint32_t timeout_ms,    \
                                struct dormouse_result *result,                                    \
                                const struct dormouse_##answer_ **answer)                          \
    {                                                                                              \
        const void *found;                                                                         \
        int code = wait(client, &name_##_method, request, timeout_ms, result, &found);             \
        *answer = found;                                                                           \
        return code;                                                                               \
    }

METHOD_(check, "Check", check, check_answer)
METHOD_(commit_reply, "CommitReply", commit_reply, commit_reply_answer)
METHOD_(record_activity, "RecordActivity", record_activity, record_activity_answer)
METHOD_(get_contact, "GetContact", get_contact, contact)
METHOD_(batch_get_contacts, "BatchGetContacts", batch_get, batch_get_answer)
METHOD_(list_contacts, "ListContacts", list, list_answer)
METHOD_(set_status, "SetStatus", set_status, set_status_answer)
METHOD_(batch_set_status, "BatchSetStatus", batch_set_status, batch_set_status_answer)
METHOD_(delete_contact, "DeleteContact", delete_contact, delete_contact_answer)
METHOD_(get_history, "GetHistory", history, history_answer)
METHOD_(get_policy, "GetPolicy", get_policy, policy)
METHOD_(set_policy, "SetPolicy", set_policy, policy)
METHOD_(get_stats, "GetStats", get_stats, stats)

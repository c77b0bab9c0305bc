#include "client/blocking.h"
#include "client/calls.h"

#include "base/assert.h"

/* The typed level: a request's struct to bytes, a call, the answer's bytes to a struct. One
 * METHOD_ line is one method, asynchronous and blocking. */

struct dm_method {
    const char *name;
    const struct dm_message *request, *answer;
    int change; /* offset of a struct dormouse_change in the request; -1: none */
    /* Calls `done`, cast back to its own type, with the decoded answer or NULL. */
    void (*give)(void (*done)(void), void *context, const struct dormouse_result *result,
                 const void *answer);
};

/* Room for any method's answer. */
union answer {
    struct dormouse_check_answer check;
    struct dormouse_commit_reply_answer commit_reply;
    struct dormouse_record_activity_answer record_activity;
    struct dormouse_contact contact;
    struct dormouse_batch_get_answer batch_get;
    struct dormouse_list_answer list;
    struct dormouse_set_status_answer set_status;
    struct dormouse_batch_set_status_answer batch_set_status;
    struct dormouse_delete_contact_answer delete_contact;
    struct dormouse_history_answer history;
    struct dormouse_policy policy;
    struct dormouse_stats stats;
};

static void finish(const struct dm_call_end *end, const struct dormouse_result *result,
                   struct dm_slice payload)
{
    const struct dm_method *method = end->method;
    union answer answer;
    struct dm_arena arena = {0};
    struct dormouse_result wrong =
        dm_result(DORMOUSE_INTERNAL, "the answer is not a valid message");
    DM_ASSERT(method->answer->size <= sizeof answer);
    if (result->code != DORMOUSE_OK) {
        method->give(end->done, end->context, result, NULL);
    } else if (dm_message_decode(payload, method->answer, &answer, &arena)) {
        method->give(end->done, end->context, result, &answer);
    } else {
        method->give(end->done, end->context, &wrong, NULL);
    }
    dm_arena_finish(&arena);
}

static const struct dormouse_change *change_of(const struct dm_method *method, const void *request)
{
    return method->change < 0 ? NULL
                              : (const void *)((const char *)request + (size_t)method->change);
}

/* Into client->scratch. */
static int encode(struct dormouse_client *client, const struct dm_method *method,
                  const void *request)
{
    const struct dormouse_change *change = change_of(method, request);
    if (change != NULL && !dm_change_valid(change)) {
        return DORMOUSE_INVALID_ARGUMENT;
    }
    dm_buf_reset(&client->scratch, SIZE_MAX);
    return dm_message_encode(&client->scratch, method->request, request)
               ? DORMOUSE_OK
               : DORMOUSE_RESOURCE_EXHAUSTED;
}

static int begin(struct dormouse_client *client, const struct dm_method *method,
                 const void *request, uint32_t timeout_ms, void (*done)(void), void *context)
{
    int code = client->closing ? DORMOUSE_CANCELLED : encode(client, method, request);
    if (code != DORMOUSE_OK) {
        return code;
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

static int refuse(struct dormouse_result *result, int code, const char *message)
{
    if (result != NULL) {
        *result = dm_result(code, message);
    }
    return code;
}

static int wait(struct dormouse_client *client, const struct dm_method *method, const void *request,
                uint32_t timeout_ms, struct dormouse_result *result, void *answer)
{
    int code = dm_client_may_wait(client, result);
    if (code != DORMOUSE_OK) {
        return code;
    }
    code = encode(client, method, request);
    if (code != DORMOUSE_OK) {
        return refuse(result, code, "the request cannot be encoded: two times, or no memory");
    }
    struct dormouse_text bytes;
    code =
        dormouse_call_wait(client, dormouse_text(DM_CLIENT_SERVICE), dormouse_text(method->name),
                           dm_text_of(dm_buf_slice(&client->scratch)), timeout_ms, result, &bytes);
    if (code != DORMOUSE_OK) {
        return code;
    }
    dm_arena_finish(&client->held_arena);
    if (!dm_message_decode(dm_slice_of(bytes), method->answer, answer, &client->held_arena)) {
        return refuse(result, DORMOUSE_INTERNAL, "the answer is not a valid message");
    }
    return DORMOUSE_OK;
}

#define METHOD_(name_, text, request_, answer_, change_)                                           \
    static void give_##name_(void (*done)(void), void *context,                                    \
                             const struct dormouse_result *result, const void *answer)             \
    {                                                                                              \
        ((dormouse_##name_##_done)done)(context, result, answer);                                  \
    }                                                                                              \
    static const struct dm_method name_##_method = {                                               \
        .name = (text),                                                                            \
        .request = &dm_##request_##_message,                                                       \
        .answer = &dm_##answer_##_message,                                                         \
        .change = (change_),                                                                       \
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
                                struct dormouse_result *result, struct dormouse_##answer_ *answer) \
    {                                                                                              \
        return wait(client, &name_##_method, request, timeout_ms, result, answer);                 \
    }
#define CHANGE_(type) ((int)offsetof(struct dormouse_##type, change))

METHOD_(check, "Check", check, check_answer, -1)
METHOD_(commit_reply, "CommitReply", commit_reply, commit_reply_answer, -1)
METHOD_(record_activity, "RecordActivity", record_activity, record_activity_answer, -1)
METHOD_(get_contact, "GetContact", get_contact, contact, -1)
METHOD_(batch_get_contacts, "BatchGetContacts", batch_get, batch_get_answer, -1)
METHOD_(list_contacts, "ListContacts", list, list_answer, -1)
METHOD_(set_status, "SetStatus", set_status, set_status_answer, CHANGE_(set_status))
METHOD_(batch_set_status, "BatchSetStatus", batch_set_status, batch_set_status_answer,
        CHANGE_(batch_set_status))
METHOD_(delete_contact, "DeleteContact", delete_contact, delete_contact_answer, -1)
METHOD_(get_history, "GetHistory", history, history_answer, -1)
METHOD_(get_policy, "GetPolicy", get_policy, policy, -1)
METHOD_(set_policy, "SetPolicy", set_policy, policy, -1)
METHOD_(get_stats, "GetStats", get_stats, stats, -1)

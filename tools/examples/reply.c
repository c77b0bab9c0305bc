/* What a chat backend does around one reply, with the blocking calls of libdormouse: asks whether
 * the bot may speak, has the reply granted, and hands the contact to a person; at last a list and
 * a watch.
 *
 *     cc reply.c $(pkg-config --cflags --libs dormouse) -o reply
 *     ./reply 127.0.0.1:7400 acme +491701234567 */
#include <dormouse/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct app {
    struct dormouse_client *client;
    struct dormouse_stream *watch;
    struct dormouse_text account, contact;
};

static void fail(const char *doing, const struct dormouse_result *result)
{
    fprintf(stderr, "%s: %s: %.*s\n", doing, dormouse_code_name(result->code),
            (int)result->message.size, result->message.data);
    exit(1);
}

static const char *status_name(int32_t status)
{
    switch (status) {
    case DORMOUSE_ACTIVE:
        return "active";
    case DORMOUSE_SNOOZED:
        return "snoozed";
    case DORMOUSE_INACTIVE:
        return "inactive";
    default:
        return "of a newer server"; /* more values may come */
    }
}

/* May the bot reply? If so, *fence is for the commit. */
static int may_reply(const struct app *app, uint64_t *fence)
{
    struct dormouse_check request =
        DORMOUSE(check, .account_id = app->account, .contact_id = app->contact);
    const struct dormouse_check_answer *answer;
    struct dormouse_result result;
    if (dormouse_check_wait(app->client, &request, 0, &result, &answer) != DORMOUSE_OK) {
        fail("check", &result);
    }
    *fence = answer->fence;
    return answer->decision == DORMOUSE_REPLY;
}

/* The reply is ready: it is sent only if nobody took the contact over meanwhile. */
static int commit(const struct app *app, uint64_t fence)
{
    struct dormouse_commit_reply request = DORMOUSE(commit_reply, .account_id = app->account,
                                                    .contact_id = app->contact, .fence = fence);
    const struct dormouse_commit_reply_answer *answer;
    struct dormouse_result result;
    if (dormouse_commit_reply_wait(app->client, &request, 0, &result, &answer) != DORMOUSE_OK) {
        fail("commit", &result);
    }
    return answer->granted;
}

static void snooze(const struct app *app, int64_t for_ms)
{
    struct dormouse_change change =
        DORMOUSE(change, .status = DORMOUSE_SNOOZED, .snooze_for_ms = for_ms,
                 .actor = dormouse_text("anna"));
    struct dormouse_set_status request = DORMOUSE(set_status, .account_id = app->account,
                                                  .contact_id = app->contact, .change = &change);
    const struct dormouse_set_status_answer *answer;
    struct dormouse_result result;
    if (dormouse_set_status_wait(app->client, &request, 0, &result, &answer) != DORMOUSE_OK) {
        fail("snooze", &result);
    }
    printf("%s since fence %" PRIu64 "\n", status_name(answer->contact->status),
           answer->contact->fence);
}

static void list(const struct app *app)
{
    struct dormouse_list request = DORMOUSE(list, .account_id = app->account, .page_size = 100);
    const struct dormouse_list_answer *page;
    struct dormouse_result result;
    if (dormouse_list_contacts_wait(app->client, &request, 0, &result, &page) != DORMOUSE_OK) {
        fail("list", &result);
    }
    for (size_t i = 0; i < page->contacts_count; i++) {
        const struct dormouse_contact *contact = page->contacts[i];
        printf("%.*s is %s\n", (int)contact->contact_id.size, contact->contact_id.data,
               status_name(contact->status));
    }
}

/* Each event once, also over broken connections; this example is content with the first. */
static void on_event(void *context, const struct dormouse_watch_message *message)
{
    struct app *app = context;
    if (message->event != NULL) {
        printf("event %" PRIu64 ": %s\n", message->event->seq, status_name(message->event->to));
        dormouse_stream_close(app->watch);
    }
}

static void on_end(void *context, const struct dormouse_result *result)
{
    (void)context;
    fail("watch", result);
}

static void watch(struct app *app)
{
    struct dormouse_watch request = DORMOUSE(watch, .account_id = app->account, .from_start = true);
    app->watch = dormouse_watch(app->client, &request, true, on_event, on_end, app);
    if (app->watch == NULL) {
        fputs("watch: no memory\n", stderr);
        exit(1);
    }
    dormouse_client_run(app->client); /* until no call and no stream is open */
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: reply ADDRESS ACCOUNT CONTACT\n", stderr);
        return 2;
    }
    struct dormouse_options options = DORMOUSE_OPTIONS(.address = argv[1], .timeout_ms = 30000);
    struct dormouse_result result;
    struct app app = {.account = dormouse_text(argv[2]), .contact = dormouse_text(argv[3])};
    app.client = dormouse_client_open(&options, &result);
    if (app.client == NULL) {
        fail("connecting", &result);
    }
    uint64_t fence;
    if (may_reply(&app, &fence)) {
        puts(commit(&app, fence) ? "sent" : "somebody took over");
    }
    snooze(&app, 7200000);
    puts(may_reply(&app, &fence) ? "may speak" : "must be silent");
    list(&app);
    watch(&app);
    dormouse_client_free(app.client);
    return 0;
}

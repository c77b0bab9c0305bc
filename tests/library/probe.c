/* A program that was compiled with some version of the headers, and shows what it sends and
 * understands. With -DGROWN it knows what a later version has. What a struct's padding holds
 * is garbage here, as it may be anywhere. */
#include <dormouse/client.h>

#include <inttypes.h>
#include <stdio.h>

static void dirty(void *memory, size_t size)
{
    memset(memory, 0xA5, size);
}

/* Member by member: the padding stays as it was. */
static void set(struct dormouse_client *client)
{
    struct dormouse_change change;
    struct dormouse_set_status request;
    dirty(&change, sizeof change);
    dirty(&request, sizeof request);
    change.struct_size = sizeof change;
    change.status = DORMOUSE_SNOOZED;
    change.snooze_for_ms = 5000;
    change.snooze_until_ms = 0;
    change.actor = dormouse_text("ann");
    change.reason = 0;
    change.lock = change.unlock = change.has_bot_id = false;
    change.bot_id = dormouse_text("");
    request.struct_size = sizeof request;
    request.account_id = dormouse_text("a");
    request.contact_id = dormouse_text("c");
    request.change = &change;
    request.has_if_revision = false;
    request.if_revision = 0;
    request.request_id = dormouse_text("");
#ifdef GROWN
    const struct dormouse_grown grown = DORMOUSE(grown, .text = dormouse_text("new"), .flag = true);
    change.grown_flag = true;
    change.grown_note = dormouse_text("note");
    change.grown = &grown;
#endif
    const struct dormouse_set_status_answer *answer;
    struct dormouse_result result;
    int code = dormouse_set_status_wait(client, &request, 0, &result, &answer);
    printf("set %s", dormouse_code_name(code));
    if (answer != NULL) {
        printf(" fence %" PRIu64 " changed %d", answer->contact->fence, answer->changed);
#ifdef GROWN
        printf(" note %.*s grown %zu: %.*s", (int)answer->contact->grown_note.size,
               answer->contact->grown_note.data, answer->contact->grown_count,
               (int)answer->contact->grown[0]->text.size, answer->contact->grown[0]->text.data);
#endif
    }
    printf("\n");
}

/* A rule ends with a bool, and so with padding. */
static void set_policy(struct dormouse_client *client)
{
    struct dormouse_rule rule;
    dirty(&rule, sizeof rule);
    rule.struct_size = sizeof rule;
    rule.on = DORMOUSE_STOP_KEYWORD;
    rule.action = DORMOUSE_ACTION_DEACTIVATE;
    rule.snooze_for_ms = 0;
    rule.repeat = 0;
    rule.lock = true;
#ifdef GROWN
    rule.grown_flag = true;
#endif
    const struct dormouse_rule *const rules[] = {&rule, &rule};
    struct dormouse_policy policy = DORMOUSE(policy, .rules = rules, .rules_count = 2);
    struct dormouse_set_policy request = DORMOUSE(set_policy, .policy = &policy);
    const struct dormouse_policy *answer;
    int code = dormouse_set_policy_wait(client, &request, 0, NULL, &answer);
    printf("policy %s\n", dormouse_code_name(code));
}

static void list(struct dormouse_client *client)
{
    struct dormouse_list request = DORMOUSE(list, .account_id = dormouse_text("a"));
    const struct dormouse_list_answer *answer;
    int code = dormouse_list_contacts_wait(client, &request, 0, NULL, &answer);
    printf("list %s", dormouse_code_name(code));
    for (size_t i = 0; answer != NULL && i < answer->contacts_count; i++) {
        printf(" %.*s=%" PRIu64, (int)answer->contacts[i]->contact_id.size,
               answer->contacts[i]->contact_id.data, answer->contacts[i]->last_seq);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct dormouse_options options =
        DORMOUSE_OPTIONS(.address = argv[argc - 1], .timeout_ms = 30000);
    struct dormouse_result result;
    struct dormouse_client *client = dormouse_client_open(&options, &result);
    if (client == NULL) {
        printf("no client: %.*s\n", (int)result.message.size, result.message.data);
        return 1;
    }
    set(client);
    set_policy(client);
    list(client);
    return dormouse_client_free(client);
}

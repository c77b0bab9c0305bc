#include "fixture.h"

/* Nothing is told that could still be lost, whichever way it is asked: every method, over states
 * that are ordered and not durable yet, and its refusals. */

struct question {
    const char *method, *request;
};

/* "quiet" is inactive and durable; "late" was made inactive and "gone" deleted, and for questions
 * about policies one was set; none of that is durable. */
static const struct question questions[] = {
    {"Check", "{'accountId':'acme','contactId':'late'}"},
    {"Check", "{'accountId':'acme','contactId':'gone'}"},
    {"Check", "{'accountId':'acme','contactId':'never'}"}, /* fences begin above that of "gone" */
    {"CommitReply", "{'accountId':'acme','contactId':'late','fence':'77'}"},
    {"RecordActivity",
     "{'accountId':'acme','contactId':'late','activity':'ACTIVITY_CONVERSATION_READ'}"},
    {"RecordActivity",
     "{'accountId':'acme','contactId':'gone','activity':'ACTIVITY_CONVERSATION_READ'}"},
    {"GetContact", "{'accountId':'acme','contactId':'late'}"},
    {"GetContact", "{'accountId':'acme','contactId':'gone'}"},
    {"BatchGetContacts", "{'accountId':'acme','contactIds':['quiet','late']}"},
    {"BatchGetContacts", "{'accountId':'acme','contactIds':['gone','quiet']}"},
    {"ListContacts", "{'accountId':'acme'}"},
    {"ListContacts", "{'accountId':'acme','status':'STATUS_SNOOZED'}"}, /* has none of them */
    {"ListContacts", "{'accountId':'acme','order':'LIST_ORDER_WAKE_TIME'}"},
    {"SetStatus", "{'accountId':'acme','contactId':'late','change':{'status':'STATUS_INACTIVE'}}"},
    {"SetStatus", "{'accountId':'acme','contactId':'late','ifRevision':'9',"
                  "'change':{'status':'STATUS_ACTIVE'}}"},
    {"BatchSetStatus", "{'accountId':'acme','contactIds':['late'],"
                       "'change':{'status':'STATUS_INACTIVE'}}"},
    {"BulkSetStatus", "{'accountId':'acme','dryRun':true,'change':{'status':'STATUS_ACTIVE'}}"},
    {"BulkSetStatus", "{'accountId':'acme','ifStatus':'STATUS_SNOOZED',"
                      "'change':{'status':'STATUS_ACTIVE'}}"}, /* matches nobody */
    {"BulkSetStatus", "{'accountId':'acme','change':{'status':'STATUS_INACTIVE'}}"}, /* no change */
    {"DeleteContact", "{'accountId':'acme','contactId':'gone'}"},
    {"GetHistory", "{'accountId':'acme','contactId':'late'}"},
    {"GetHistory", "{'accountId':'acme','contactId':'gone'}"}, /* is empty */
    {"GetPolicy", "{'accountId':'acme'}"},
    {"SetPolicy", "{'policy':{'accountId':'acme'},'ifRevision':'9'}"},
    {"GetStats", "{'accountId':'acme'}"},
    {"GetStats", "{}"},
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static uint64_t ask(struct fixture *f, struct notebook *book, const char *method, const char *text)
{
    char json[256];
    size_t size = strlen(text);
    assert_true(size < sizeof json);
    for (size_t i = 0; i <= size; i++) {
        json[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    }
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str(BOT_STATUS),
        .method = dm_slice_str(method),
        .payload = dm_slice(json, size),
        .json = true,
    };
    dm_rpc_call(f->rpc, &book->sink, &request);
    return f->last_id;
}

static void prepare(struct fixture *f, bool policy)
{
    set_and_settle(f, "quiet", INACTIVE, 0);
    set_and_settle(f, "gone", INACTIVE, 0);
    dm_journal_memory_hold(f->journal, true);
    if (policy) {
        (void)ask(f, &f->two, "SetPolicy", "{'policy':{'accountId':'acme','messageLimit':5}}");
    } else {
        (void)ask(f, &f->two, "DeleteContact", "{'accountId':'acme','contactId':'gone'}");
        (void)set_status(f, &f->two, "late", INACTIVE, 0, 0);
    }
    (void)settle(f);
    expect_nothing(&f->two);
    notebook_clear(&f->one);
}

static void nothing_is_told_before_it_is_durable(void **state)
{
    (void)state;
    for (size_t i = 0; i < QUESTIONS; i++) {
        void *fresh = NULL;
        (void)setup(&fresh);
        struct fixture *f = fresh;
        prepare(f, strstr(questions[i].method, "Policy") != NULL);
        uint64_t id = ask(f, &f->one, questions[i].method, questions[i].request);
        (void)settle(f);
        const struct said *said = next_said(&f->one);
        if (said != NULL) {
            fail_msg("%s %s was answered at once: %s %s", questions[i].method, questions[i].request,
                     dm_code_name((int)said->code), said->message);
        }
        dm_journal_memory_hold(f->journal, false);
        (void)settle(f);
        said = next_said(&f->one);
        assert_non_null(said);
        assert_int_equal(said->id, id);
        assert_int_not_equal(said->code, DM_INVALID_ARGUMENT); /* the question was one */
        (void)teardown(&fresh);
    }
}

/* Watch has durable events alone, and says so with its first word. */
static bool tells_only_events(const struct dm_method *method)
{
    return dm_slice_equal(method->name, dm_slice_str("Watch"));
}

/* Who adds a method asks it here, too. */
static void every_method_is_asked(void **state)
{
    (void)state;
    for (uint32_t m = 0; m < dm_methods.count; m++) {
        bool asked = !dm_slice_equal(dm_methods.items[m].service, dm_slice_str(BOT_STATUS)) ||
                     tells_only_events(&dm_methods.items[m]);
        for (size_t i = 0; i < QUESTIONS; i++) {
            asked |= dm_slice_equal(dm_methods.items[m].name, dm_slice_str(questions[i].method));
        }
        if (!asked) {
            fail_msg("%s is not among the questions", (const char *)dm_methods.items[m].name.data);
        }
    }
}

/* A list that was gathered leaves out who was changed since: that is told, too. */
static void a_list_waits_for_what_it_leaves_out(void **state)
{
    struct fixture *f = *state;
    for (int i = 1999; i >= 0; i--) { /* the newest is looked at first */
        char name[16];
        (void)snprintf(name, sizeof name, "c%04d", i);
        set_and_settle(f, name, INACTIVE, 0);
        notebook_clear(&f->one);
    }
    uint64_t id = ask(f, &f->one, "ListContacts",
                      "{'accountId':'acme','status':'STATUS_INACTIVE','pageSize':1000}");
    (void)dm_rpc_turn(f->rpc);
    dm_journal_memory_hold(f->journal, true);
    uint64_t set = set_status(f, &f->two, "c0000", ACTIVE, 0, 0);
    (void)settle(f);
    expect_nothing(&f->one);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
    (void)expect(&f->two, SAID_REPLY, set);
}

/* What has nothing to do with it does not wait. */
static void others_are_answered_at_once(void **state)
{
    struct fixture *f = *state;
    prepare(f, true);
    uint64_t id = ask(f, &f->one, "Check", "{'accountId':'other','contactId':'late'}");
    (void)expect(&f->one, SAID_REPLY, id);
    id = ask(f, &f->one, "GetPolicy", "{'accountId':'other'}");
    (void)expect(&f->one, SAID_REPLY, id);
    id = ask(f, &f->one, "SetStatus", "{'accountId':'acme'}");
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "contact_id");
    id = ask(f, &f->one, "GetHistory", "{'accountId':'other','contactId':'gone'}");
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_told_before_it_is_durable),
        cmocka_unit_test(every_method_is_asked),
        T(a_list_waits_for_what_it_leaves_out),
        T(others_are_answered_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

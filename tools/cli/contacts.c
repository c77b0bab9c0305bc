#include "cli/cli.h"
#include "cli/show.h"
#include "cli/words.h"

#include <inttypes.h>

/* Commands about one contact, or the few that are named: check, commit, activity, get, set,
 * snooze, wake, delete. */

enum { BATCH_MAX = 1000, CONTACTS_MAX = 1000000 };

static size_t widest(const struct dormouse_contact *contacts, size_t count)
{
    size_t width = 0;
    for (size_t i = 0; i < count; i++) {
        size_t this = dm_out_width(contacts[i].contact_id);
        width = this > width ? this : width;
    }
    return width;
}

/* ---- check ------------------------------------------------------------------------ */

static const struct dm_option check_options[] = {
    {"exit-code", 0, NULL, "0: the bot may reply, 10: it may only suggest, 20: it must be silent"},
};

static int check_code(int32_t decision)
{
    return decision == DORMOUSE_REPLY     ? DM_EXIT_OK
           : decision == DORMOUSE_SUGGEST ? DM_EXIT_SUGGEST
                                          : DM_EXIT_SILENT;
}

static int check(struct dm_cli *cli)
{
    struct dormouse_check request = {.account_id = cli->account, .contact_id = dm_cli_word(cli, 0)};
    struct dormouse_check_answer answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_check_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_check(&cli->out, &answer);
    } else {
        dm_show_check(&cli->out, &answer, dm_cli_now_ms());
    }
    dm_cli_line(cli);
    return dm_args_flag(&cli->args, "exit-code") ? check_code(answer.decision) : DM_EXIT_OK;
}

/* ---- commit ----------------------------------------------------------------------- */

static const struct dm_option commit_options[] = {
    {"fence", 0, "N", "from the check; required"},
    {"request-id", 0, "ID", "the same id again gets the same answer"},
};

static int commit(struct dm_cli *cli)
{
    struct dormouse_commit_reply request = {
        .account_id = cli->account,
        .contact_id = dm_cli_word(cli, 0),
        .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")),
    };
    if (!dm_args_flag(&cli->args, "fence")) {
        return dm_cli_usage(cli, "commit needs --fence N, from the check");
    }
    if (!dm_args_number(&cli->args, "fence", UINT64_MAX, &request.fence)) {
        return dm_cli_args_usage(cli);
    }
    struct dormouse_commit_reply_answer answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_commit_reply_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_commit(&cli->out, &answer);
    } else {
        dm_out_str(&cli->out, answer.granted ? "granted      " : "not granted  ");
        dm_show_contact(&cli->out, &answer.contact, dm_cli_now_ms());
        if (!answer.granted && answer.contact.fence != request.fence) {
            dm_out_format(&cli->out, "  (not %" PRIu64 ": the status has changed since that check)",
                          request.fence);
        }
    }
    dm_cli_line(cli);
    return answer.granted ? DM_EXIT_OK : DM_EXIT_REFUSED;
}

/* ---- activity --------------------------------------------------------------------- */

static const struct dm_option activity_options[] = {
    {"actor", 0, "NAME", "who did it"},
    {"request-id", 0, "ID", "the same id again gets the same answer; nothing is done twice"},
};

static int activity(struct dm_cli *cli)
{
    struct dormouse_record_activity request = {
        .account_id = cli->account,
        .contact_id = dm_cli_word(cli, 0),
        .actor = dormouse_text(dm_args_value(&cli->args, "actor")),
        .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")),
    };
    if (!dm_cli_parse_word(cli, "KIND", &dm_activity_words, cli->args.words[2],
                           &request.activity)) {
        return DM_EXIT_USAGE;
    }
    struct dormouse_record_activity_answer answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_record_activity_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_activity(&cli->out, &answer);
    } else {
        dm_out_str(&cli->out, answer.changed ? "changed    " : "unchanged  ");
        dm_show_contact(&cli->out, &answer.contact, dm_cli_now_ms());
    }
    dm_cli_line(cli);
    return DM_EXIT_OK;
}

/* ---- get -------------------------------------------------------------------------- */

static void show_contacts(struct dm_cli *cli, const struct dormouse_contact *contacts, size_t count)
{
    int64_t now_ms = dm_cli_now_ms();
    size_t width = widest(contacts, count);
    for (size_t i = 0; i < count; i++) {
        if (cli->json) {
            dm_json_contact(&cli->out, &contacts[i]);
        } else if (dm_cli_words(cli) == 1) {
            dm_show_contact(&cli->out, &contacts[i], now_ms);
        } else {
            dm_show_contact_line(&cli->out, &contacts[i], width, now_ms);
        }
        dm_out_str(&cli->out, "\n");
    }
    dm_cli_flush(cli);
}

/* The ids of up to BATCH_MAX words from `first` on, of `count` in all. */
static size_t batch_ids(const struct dm_cli *cli, size_t first, size_t count,
                        struct dormouse_text ids[BATCH_MAX])
{
    size_t filled = 0;
    while (filled < BATCH_MAX && first + filled < count) {
        ids[filled] = dm_cli_word(cli, first + filled);
        filled++;
    }
    return filled;
}

static int get(struct dm_cli *cli)
{
    static struct dormouse_text ids[BATCH_MAX];
    size_t count = dm_cli_words(cli);
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    for (size_t i = 0; i < count; i += BATCH_MAX) {
        struct dormouse_batch_get request = {
            .account_id = cli->account,
            .contact_ids = ids,
            .contact_ids_count = batch_ids(cli, i, count, ids),
        };
        struct dormouse_batch_get_answer answer;
        struct dormouse_result result;
        if (dormouse_batch_get_contacts_wait(cli->client, &request, cli->timeout_ms, &result,
                                             &answer) != DORMOUSE_OK) {
            return dm_cli_failed(dormouse_text(""), result.code, result.message);
        }
        show_contacts(cli, answer.contacts, answer.contacts_count);
    }
    return DM_EXIT_OK;
}

/* ---- set, snooze, wake ------------------------------------------------------------- */

#define CHANGE_OPTIONS                                                                         \
    {"reason", 0, "REASON", "why, e.g. manual_message, appointment_booked; default: set"},     \
        {"actor", 0, "NAME", "who does it"}, {"bot", 0, "ID", "hand the contact to this bot"}, \
        {"if-revision", 0, "N", "only if the contact still has this revision (one contact)"},  \
    {                                                                                          \
        "request-id", 0, "ID", "the same id again gets the same answer; nothing is done twice" \
    }

static const struct dm_option set_options[] = {
    {"lock", 0, NULL, "an opt-out (with inactive): only a change with --unlock may follow"},
    {"unlock", 0, NULL, "change the contact even if it is locked"},
    CHANGE_OPTIONS,
};
static const struct dm_option wake_options[] = {
    {"unlock", 0, NULL, "change the contact even if it is locked"},
    CHANGE_OPTIONS,
};
static const struct dm_option snooze_options[] = {
    {"for", 0, "DURATION", "2h, 1h30m, 3d; 1 s to 366 days"},
    {"until", 0, "TIME", "2026-12-01T09:00:00Z"},
    {"unlock", 0, NULL, "change the contact even if it is locked"},
    CHANGE_OPTIONS,
};

static int set_one(struct dm_cli *cli, const struct dormouse_change *change)
{
    struct dormouse_set_status request = {
        .account_id = cli->account,
        .contact_id = dm_cli_word(cli, 0),
        .change = *change,
        .has_if_revision = dm_args_flag(&cli->args, "if-revision"),
        .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")),
    };
    if (!dm_args_number(&cli->args, "if-revision", UINT64_MAX, &request.if_revision)) {
        return dm_cli_args_usage(cli);
    }
    struct dormouse_set_status_answer answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_set_status_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_set(&cli->out, &answer.contact, answer.changed);
    } else {
        dm_show_contact(&cli->out, &answer.contact, dm_cli_now_ms());
        dm_out_str(&cli->out, answer.changed ? "" : "  (unchanged)");
    }
    dm_cli_line(cli);
    return DM_EXIT_OK;
}

static int show_results(struct dm_cli *cli, const struct dormouse_batch_set_status *request,
                        const struct dormouse_batch_set_status_answer *answer)
{
    int code = DM_EXIT_OK;
    size_t width = 0;
    for (size_t i = 0; i < answer->results_count; i++) {
        size_t this = dm_out_width(answer->results[i].contact_id);
        width = this > width ? this : width;
    }
    for (size_t i = 0; i < answer->results_count; i++) {
        const struct dormouse_batch_set_result *result = &answer->results[i];
        if (cli->json) {
            dm_json_batch_result(&cli->out, result);
            dm_cli_line(cli);
        } else if (result->code == DORMOUSE_OK) {
            dm_show_contact_line(&cli->out, &result->contact, width, dm_cli_now_ms());
            dm_cli_line(cli);
        }
        if (result->code != DORMOUSE_OK) {
            struct dormouse_text id =
                i < request->contact_ids_count ? request->contact_ids[i] : result->contact_id;
            int failed = dm_cli_failed(id, result->code, result->message);
            code = failed > code ? failed : code;
        }
    }
    return code;
}

static int set_many(struct dm_cli *cli, size_t count, const struct dormouse_change *change)
{
    static struct dormouse_text ids[BATCH_MAX];
    int code = DM_EXIT_OK;
    if (dm_args_flag(&cli->args, "if-revision")) {
        return dm_cli_usage(cli, "--if-revision is for one contact only");
    }
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    for (size_t i = 0; i < count; i += BATCH_MAX) {
        struct dormouse_batch_set_status request = {
            .account_id = cli->account,
            .contact_ids = ids,
            .contact_ids_count = batch_ids(cli, i, count, ids),
            .change = *change,
            .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")),
        };
        struct dormouse_batch_set_status_answer answer;
        struct dormouse_result result;
        if (dormouse_batch_set_status_wait(cli->client, &request, cli->timeout_ms, &result,
                                           &answer) != DORMOUSE_OK) {
            return dm_cli_failed(dormouse_text(""), result.code, result.message);
        }
        int failed = show_results(cli, &request, &answer);
        code = failed > code ? failed : code;
    }
    return code;
}

static int change_contacts(struct dm_cli *cli, size_t count, int32_t status)
{
    struct dormouse_change change = {.status = status};
    if (!dm_cli_change(cli, &change)) {
        return DM_EXIT_USAGE;
    }
    return count == 1 ? set_one(cli, &change) : set_many(cli, count, &change);
}

static int set(struct dm_cli *cli)
{
    size_t last = dm_cli_words(cli) - 1;
    int32_t status;
    if (!dm_cli_parse_word(cli, "the last word", &dm_status_words, cli->args.words[last + 1],
                           &status)) {
        return DM_EXIT_USAGE;
    }
    if (status == DORMOUSE_SNOOZED) {
        return dm_cli_usage(cli, "use: dormouse snooze CONTACT... --for 2h");
    }
    return change_contacts(cli, last, status);
}

static int snooze(struct dm_cli *cli)
{
    return change_contacts(cli, dm_cli_words(cli), DORMOUSE_SNOOZED);
}

static int wake(struct dm_cli *cli)
{
    return change_contacts(cli, dm_cli_words(cli), DORMOUSE_ACTIVE);
}

/* ---- delete ----------------------------------------------------------------------- */

static int delete_contacts(struct dm_cli *cli)
{
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    int code = DM_EXIT_OK;
    for (size_t i = 0; i < dm_cli_words(cli); i++) {
        struct dormouse_delete_contact request = {.account_id = cli->account,
                                                  .contact_id = dm_cli_word(cli, i)};
        struct dormouse_delete_contact_answer answer;
        struct dormouse_result result;
        if (dormouse_delete_contact_wait(cli->client, &request, cli->timeout_ms, &result,
                                         &answer) != DORMOUSE_OK) {
            int failed = dm_cli_failed(request.contact_id, result.code, result.message);
            if (failed == DM_EXIT_UNREACHABLE) {
                return failed;
            }
            code = failed;
            continue;
        }
        if (cli->json) {
            dm_json_deleted(&cli->out, request.contact_id, answer.existed);
        } else {
            (void)dm_out_safe(&cli->out, request.contact_id);
            dm_out_str(&cli->out, answer.existed ? "  deleted" : "  was not there");
        }
        dm_cli_line(cli);
    }
    return code;
}

static const struct dm_command commands[] = {
    {.name = "check",
     .usage = "CONTACT [--exit-code]",
     .summary = "may the bot answer this contact now?",
     .help = "  dormouse check +491701234567\n"
             "  if dormouse check \"$c\" --exit-code >/dev/null; then reply; fi\n",
     DM_OPTIONS(check_options),
     .words_min = 1,
     .words_max = 1,
     .needs_account = true,
     .run = check},
    {.name = "commit",
     .usage = "CONTACT --fence N [--request-id ID]",
     .summary = "grant one reply, if nobody changed the status since the check",
     .help =
         "Exit code 1: not granted. Then check again: somebody changed the status, or the bot is\n"
         "to be silent.\n\n"
         "  dormouse commit +491701234567 --fence 7\n",
     DM_OPTIONS(commit_options),
     .words_min = 1,
     .words_max = 1,
     .needs_account = true,
     .changes = true,
     .run = commit},
    {.name = "activity",
     .usage = "CONTACT KIND [--actor NAME] [--request-id ID]",
     .summary = "record what happened in a conversation; the account's policy acts on it",
     .help = "KIND: inbound_message, bot_message, manual_message, workflow_message,\n"
             "conversation_read, stop_keyword, handover_requested, appointment_booked\n\n"
             "  dormouse activity +491701234567 manual_message --actor anna\n",
     DM_OPTIONS(activity_options),
     .words_min = 2,
     .words_max = 2,
     .needs_account = true,
     .changes = true,
     .run = activity},
    {.name = "get",
     .usage = "CONTACT...",
     .summary = "show contacts",
     .help = "  dormouse get +491701234567\n  dormouse --json get c1 c2 c3 | jq -r .status\n",
     .words_min = 1,
     .words_max = CONTACTS_MAX,
     .needs_account = true,
     .run = get},
    {.name = "set",
     .usage = "CONTACT... active|inactive [OPTIONS]",
     .summary = "let the bot speak, or switch it off until someone switches it on",
     .help = "  dormouse set +491701234567 inactive --actor anna --reason stop_keyword --lock\n"
             "  dormouse set c1 c2 c3 active --unlock\n",
     DM_OPTIONS(set_options),
     .words_min = 2,
     .words_max = CONTACTS_MAX,
     .needs_account = true,
     .changes = true,
     .run = set},
    {.name = "snooze",
     .usage = "CONTACT... (--for DURATION | --until TIME) [OPTIONS]",
     .summary = "silence the bot until a time; it wakes by itself",
     .help =
         "What is kept is the time when the snooze ends. If the server's wall clock is set back "
         "by\n"
         "an hour meanwhile, the snooze lasts an hour longer; see README, \"The wall clock\".\n\n"
         "  dormouse snooze +491701234567 --for 2h --actor anna\n"
         "  dormouse snooze c1 c2 --until 2026-12-01T09:00:00Z --reason appointment_booked\n",
     DM_OPTIONS(snooze_options),
     .words_min = 1,
     .words_max = CONTACTS_MAX,
     .needs_account = true,
     .changes = true,
     .run = snooze},
    {.name = "wake",
     .usage = "CONTACT... [OPTIONS]",
     .summary = "the same as set CONTACT... active",
     .help = "  dormouse wake +491701234567 --actor anna\n",
     DM_OPTIONS(wake_options),
     .words_min = 1,
     .words_max = CONTACTS_MAX,
     .needs_account = true,
     .changes = true,
     .run = wake},
    {.name = "delete",
     .usage = "CONTACT...",
     .summary = "forget contacts",
     .help = "A deleted contact is like one never seen: active, without a history. Its old events\n"
             "stay in the server's journal until they are past --retention-age or\n"
             "--retention-bytes.\n\n"
             "  dormouse delete +491701234567\n",
     .words_min = 1,
     .words_max = CONTACTS_MAX,
     .needs_account = true,
     .changes = true,
     .run = delete_contacts},
};
const struct dm_commands dm_contact_commands = DM_COMMANDS(commands);

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/words.h"

#include <inttypes.h>

/* Commands about one contact, or the few that are named: check, commit, activity, get. Those that
 * set a status or delete are in change.c. */

static size_t widest(const struct dormouse_contact *const *contacts, size_t count)
{
    size_t width = 0;
    for (size_t i = 0; i < count; i++) {
        size_t this = dm_out_width(contacts[i]->contact_id);
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
    struct dormouse_check request =
        DORMOUSE(check, .account_id = cli->account, .contact_id = dm_cli_word(cli, 0));
    const struct dormouse_check_answer *answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_check_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_check(&cli->out, answer);
    } else {
        dm_show_check(&cli->out, answer, dm_cli_now_ms());
    }
    dm_cli_line(cli);
    return dm_args_flag(&cli->args, "exit-code") ? check_code(answer->decision) : DM_EXIT_OK;
}

/* ---- commit ----------------------------------------------------------------------- */

static const struct dm_option commit_options[] = {
    {"fence", 0, "N", "from the check; required"},
    {"request-id", 0, "ID", "the same id again gets the same answer"},
};

static int commit(struct dm_cli *cli)
{
    struct dormouse_commit_reply request =
        DORMOUSE(commit_reply, .account_id = cli->account, .contact_id = dm_cli_word(cli, 0),
                 .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")));
    if (!dm_args_flag(&cli->args, "fence")) {
        return dm_cli_usage(cli, "commit needs --fence N, from the check");
    }
    if (!dm_args_number(&cli->args, "fence", UINT64_MAX, &request.fence)) {
        return dm_cli_args_usage(cli);
    }
    const struct dormouse_commit_reply_answer *answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_commit_reply_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_commit(&cli->out, answer);
    } else {
        dm_out_str(&cli->out, answer->granted ? "granted      " : "not granted  ");
        dm_show_contact(&cli->out, answer->contact, dm_cli_now_ms());
        if (!answer->granted && answer->contact->fence != request.fence) {
            dm_out_format(&cli->out, "  (not %" PRIu64 ": the status has changed since that check)",
                          request.fence);
        }
    }
    dm_cli_line(cli);
    return answer->granted ? DM_EXIT_OK : DM_EXIT_REFUSED;
}

/* ---- activity --------------------------------------------------------------------- */

static const struct dm_option activity_options[] = {
    {"actor", 0, "NAME", "who did it"},
    {"request-id", 0, "ID", "the same id again gets the same answer; nothing is done twice"},
};

static int activity(struct dm_cli *cli)
{
    struct dormouse_record_activity request =
        DORMOUSE(record_activity, .account_id = cli->account, .contact_id = dm_cli_word(cli, 0),
                 .actor = dormouse_text(dm_args_value(&cli->args, "actor")),
                 .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")));
    if (!dm_cli_parse_word(cli, "KIND", &dm_activity_words, cli->args.words[2],
                           &request.activity)) {
        return DM_EXIT_USAGE;
    }
    const struct dormouse_record_activity_answer *answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_record_activity_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_activity(&cli->out, answer);
    } else {
        dm_out_str(&cli->out, answer->changed ? "changed    " : "unchanged  ");
        dm_show_contact(&cli->out, answer->contact, dm_cli_now_ms());
    }
    dm_cli_line(cli);
    return DM_EXIT_OK;
}

/* ---- get -------------------------------------------------------------------------- */

static void show_contacts(struct dm_cli *cli, const struct dormouse_contact *const *contacts,
                          size_t count)
{
    int64_t now_ms = dm_cli_now_ms();
    size_t width = widest(contacts, count);
    for (size_t i = 0; i < count; i++) {
        if (cli->json) {
            dm_json_contact(&cli->out, contacts[i]);
        } else if (dm_cli_words(cli) == 1) {
            dm_show_contact(&cli->out, contacts[i], now_ms);
        } else {
            dm_show_contact_line(&cli->out, contacts[i], width, now_ms);
        }
        dm_out_str(&cli->out, "\n");
    }
    dm_cli_flush(cli);
}

static int get(struct dm_cli *cli)
{
    static struct dormouse_text ids[DM_CLI_BATCH_MAX];
    size_t count = dm_cli_words(cli);
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    for (size_t i = 0; i < count; i += DM_CLI_BATCH_MAX) {
        struct dormouse_batch_get request =
            DORMOUSE(batch_get, .account_id = cli->account, .contact_ids = ids,
                     .contact_ids_count = dm_cli_ids(cli, i, count, ids));
        const struct dormouse_batch_get_answer *answer;
        struct dormouse_result result;
        if (dormouse_batch_get_contacts_wait(cli->client, &request, cli->timeout_ms, &result,
                                             &answer) != DORMOUSE_OK) {
            return dm_cli_failed(dormouse_text(""), result.code, result.message);
        }
        show_contacts(cli, answer->contacts, answer->contacts_count);
    }
    return DM_EXIT_OK;
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
     .words_max = DM_CLI_CONTACTS_MAX,
     .needs_account = true,
     .run = get},
};
const struct dm_commands dm_contact_commands = DM_COMMANDS(commands);

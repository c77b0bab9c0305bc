#include "cli/cli.h"
#include "cli/show.h"
#include "cli/words.h"

/* Commands that change the contacts that are named: set, snooze, wake, delete. */

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
    struct dormouse_set_status request =
        DORMOUSE(set_status, .account_id = cli->account, .contact_id = dm_cli_word(cli, 0),
                 .change = change, .has_if_revision = dm_args_flag(&cli->args, "if-revision"),
                 .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")));
    if (!dm_args_number(&cli->args, "if-revision", UINT64_MAX, &request.if_revision)) {
        return dm_cli_args_usage(cli);
    }
    const struct dormouse_set_status_answer *answer;
    struct dormouse_result result;
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    if (dormouse_set_status_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
        DORMOUSE_OK) {
        return dm_cli_failed(request.contact_id, result.code, result.message);
    }
    if (cli->json) {
        dm_json_set(&cli->out, answer->contact, answer->changed);
    } else {
        dm_show_contact(&cli->out, answer->contact, dm_cli_now_ms());
        dm_out_str(&cli->out, answer->changed ? "" : "  (unchanged)");
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
        size_t this = dm_out_width(answer->results[i]->contact_id);
        width = this > width ? this : width;
    }
    for (size_t i = 0; i < answer->results_count; i++) {
        const struct dormouse_batch_set_result *result = answer->results[i];
        if (cli->json) {
            dm_json_batch_result(&cli->out, result);
            dm_cli_line(cli);
        } else if (result->code == DORMOUSE_OK) {
            dm_show_contact_line(&cli->out, result->contact, width, dm_cli_now_ms());
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
    static struct dormouse_text ids[DM_CLI_BATCH_MAX];
    int code = DM_EXIT_OK;
    if (dm_args_flag(&cli->args, "if-revision")) {
        return dm_cli_usage(cli, "--if-revision is for one contact only");
    }
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    for (size_t i = 0; i < count; i += DM_CLI_BATCH_MAX) {
        struct dormouse_batch_set_status request =
            DORMOUSE(batch_set_status, .account_id = cli->account, .contact_ids = ids,
                     .contact_ids_count = dm_cli_ids(cli, i, count, ids), .change = change,
                     .request_id = dormouse_text(dm_args_value(&cli->args, "request-id")));
        const struct dormouse_batch_set_status_answer *answer;
        struct dormouse_result result;
        if (dormouse_batch_set_status_wait(cli->client, &request, cli->timeout_ms, &result,
                                           &answer) != DORMOUSE_OK) {
            return dm_cli_failed(dormouse_text(""), result.code, result.message);
        }
        int failed = show_results(cli, &request, answer);
        code = failed > code ? failed : code;
    }
    return code;
}

static int change_contacts(struct dm_cli *cli, size_t count, int32_t status)
{
    struct dormouse_change change = DORMOUSE(change, .status = status);
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
        struct dormouse_delete_contact request =
            DORMOUSE(delete_contact, .account_id = cli->account, .contact_id = dm_cli_word(cli, i));
        const struct dormouse_delete_contact_answer *answer;
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
            dm_json_deleted(&cli->out, request.contact_id, answer->existed);
        } else {
            (void)dm_out_safe(&cli->out, request.contact_id);
            dm_out_str(&cli->out, answer->existed ? "  deleted" : "  was not there");
        }
        dm_cli_line(cli);
    }
    return code;
}

static const struct dm_command commands[] = {
    {.name = "set",
     .usage = "CONTACT... active|inactive [OPTIONS]",
     .summary = "let the bot speak, or switch it off until someone switches it on",
     .help = "  dormouse set +491701234567 inactive --actor anna --reason stop_keyword --lock\n"
             "  dormouse set c1 c2 c3 active --unlock\n",
     DM_OPTIONS(set_options),
     .words_min = 2,
     .words_max = DM_CLI_CONTACTS_MAX,
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
     .words_max = DM_CLI_CONTACTS_MAX,
     .needs_account = true,
     .changes = true,
     .run = snooze},
    {.name = "wake",
     .usage = "CONTACT... [OPTIONS]",
     .summary = "the same as set CONTACT... active",
     .help = "  dormouse wake +491701234567 --actor anna\n",
     DM_OPTIONS(wake_options),
     .words_min = 1,
     .words_max = DM_CLI_CONTACTS_MAX,
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
     .words_max = DM_CLI_CONTACTS_MAX,
     .needs_account = true,
     .changes = true,
     .run = delete_contacts},
};
const struct dm_commands dm_change_commands = DM_COMMANDS(commands);

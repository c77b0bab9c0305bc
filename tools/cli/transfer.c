#include "cli/import.h"
#include "cli/pages.h"
#include "cli/row.h"
#include "cli/target.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* import and export: contacts from and to files. */

static const struct dm_option import_options[] = {
    {"format", 0, "csv|ndjson", "default: NDJSON if the file begins with {, else CSV"},
    {"dry-run", 0, NULL, "change nothing; only say what would become of each row"},
    {"refused", 0, "FILE",
     "rows refused or skipped, as CSV: line, code, reason, account_id, contact_id"},
    {"expired", 0, "refuse|active",
     "what to do with snoozes that are already over; default: refuse"},
    {"unlock", 0, NULL, "change locked contacts as well"},
    {"checkpoint", 0, "FILE", "where progress is kept; default: the file's name with .import"},
    {"as-of", 0, "SEQ", "skip contacts changed after this event; default: the newest one now"},
    {"run", 0, "NAME", "apply the file again over what came since; each new NAME does so once"},
    {"in-flight", 0, "N", "calls under way at once; default: 512"},
};

static const struct dm_option export_options[] = {
    {"format", 0, "csv|ndjson", "default: csv"},
    {"output", 'o', "FILE",
     "else standard output; FILE appears when it is complete, for its user alone"},
    {"status", 0, "STATUS", "only those that are active, snoozed or inactive"},
};

struct exporting {
    struct dm_cli *cli;
    FILE *file;
    bool ndjson;
    bool ok;
    int why; /* errno, when it is not */
};

static bool export_page(void *context, const struct dormouse_contact *const *contacts, size_t count)
{
    struct exporting *exporting = context;
    struct dm_out *out = &exporting->cli->out;
    for (size_t i = 0; i < count; i++) {
        if (exporting->ndjson) {
            dm_row_ndjson(out, contacts[i]);
        } else {
            dm_row_csv(out, contacts[i]);
        }
    }
    exporting->ok = dm_out_flush(out, exporting->file);
    exporting->why = errno;
    return exporting->ok;
}

static int export_rows(struct exporting *exporting, int32_t status)
{
    struct dm_cli *cli = exporting->cli;
    struct dm_listing listing = {.status = status, .page = export_page, .context = exporting};
    if (!exporting->ndjson) {
        dm_row_csv_header(&cli->out);
    }
    return dm_list_contacts(cli, &listing);
}

static int export_stdout(struct exporting *exporting, int32_t status)
{
    exporting->file = stdout;
    int code = export_rows(exporting, status);
    if (!exporting->ok || fflush(stdout) != 0) {
        dm_cli_output_failed(exporting->cli);
    }
    return code;
}

static int export_file(struct exporting *exporting, int32_t status, const char *path)
{
    struct dm_target target;
    if (!dm_target_open(&target, path)) {
        (void)fprintf(stderr, "dormouse: %s: %s\n", path, strerror(errno));
        return DM_EXIT_REFUSED;
    }
    exporting->file = target.file;
    int code = export_rows(exporting, status);
    if (code != DM_EXIT_OK) {
        dm_target_abandon(&target);
        return code;
    }
    if (!exporting->ok) {
        dm_target_abandon(&target);
    } else if (dm_target_commit(&target)) {
        return DM_EXIT_OK;
    } else {
        exporting->why = errno;
    }
    (void)fprintf(stderr, "dormouse: %s: %s\n", path, strerror(exporting->why));
    return DM_EXIT_REFUSED;
}

static int export(struct dm_cli *cli)
{
    const char *format = dm_args_value(&cli->args, "format");
    const char *path = dm_args_value(&cli->args, "output");
    int32_t status = DORMOUSE_STATUS_UNSPECIFIED;
    struct exporting exporting = {
        .cli = cli, .ok = true, .ndjson = format != NULL && strcmp(format, "ndjson") == 0};
    if (format != NULL && !exporting.ndjson && strcmp(format, "csv") != 0) {
        return dm_cli_usage(cli, "--format: \"%.64s\" is not one of csv, ndjson", format);
    }
    if (!dm_cli_word_option(cli, "status", &dm_status_words, &status)) {
        return DM_EXIT_USAGE;
    }
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    return path == NULL || strcmp(path, "-") == 0 ? export_stdout(&exporting, status)
                                                  : export_file(&exporting, status, path);
}

static const struct dm_command commands[] = {
    {.name = "import",
     .usage = "FILE|- [OPTIONS]",
     .summary = "set the status of many contacts from a CSV or NDJSON file",
     .help =
         "CSV has a header row that names its columns, in any order: account_id, contact_id,\n"
         "status, snoozed_until (RFC 3339), snooze_for (2h), reason, actor, bot_id, locked.\n"
         "contact_id and status are required; without account_id, --account is used. NDJSON has\n"
         "one object per line with the same names, or those of proto JSON (accountId).\n\n"
         "Nothing that happened after the import began is overwritten: a contact that somebody\n"
         "else has changed or deleted since is skipped. The summary says how many rows changed\n"
         "their contact, were already so, were skipped, or were refused.\n\n"
         "Progress is kept beside the file, in FILE.import:\n"
         "  interrupted     the same command goes on where it stopped\n"
         "  run twice       rows that are done are not looked at again; refused ones are tried\n"
         "                  again\n"
         "  file edited     all rows are looked at; those that are already so stay as they are\n"
         "  rows appended   only those are done\n"
         "  --run NAME      all rows are done again, over whatever happened since\n"
         "In the first four cases it still counts what happened after the import first began.\n"
         "A pipe (-) has no such file: give it --as-of when it may have to be repeated. Of two\n"
         "rows for one contact the later one wins. --dry-run judges each row by the contact as\n"
         "it is now.\n\n"
         "Exit codes: 0, done, even if rows were skipped; 1, rows were refused or the file cannot\n"
         "be read; 3, the server went away; 130, interrupted.\n\n"
         "  dormouse import contacts.csv --refused refused.csv\n"
         "  dormouse --account old export | dormouse --server new:7400 import -\n",
     DM_OPTIONS(import_options),
     .words_min = 1,
     .words_max = 1,
     .changes = true,
     .run = dm_import},
    {.name = "export",
     .usage = "[--format csv|ndjson] [-o FILE] [--status STATUS]",
     .summary = "write all contacts of an account, as import reads them",
     .help = "Goes through the account page by page: what changes meanwhile may be in or not.\n\n"
             "  dormouse --account acme export -o acme.csv\n"
             "  dormouse --account acme export --format ndjson --status snoozed | wc -l\n",
     DM_OPTIONS(export_options),
     .needs_account = true,
     .run = export},
};
const struct dm_commands dm_transfer_commands = DM_COMMANDS(commands);

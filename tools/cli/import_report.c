#include "cli/importing.h"
#include "cli/when.h"

#include <inttypes.h>

/* What an import tells, on stderr and in the file of refused rows. */

enum { SHOWN_MAX = 20 };

/* One row that was not applied. */
static void tell_row(struct dm_importing *importing, const struct dm_row *row, int code,
                     struct dormouse_text why)
{
    struct dm_out line = {.colour = false};
    uint64_t told = importing->refused + importing->skipped;
    if (told <= SHOWN_MAX) {
        dm_progress_clear(&importing->progress);
        dm_out_format(&line, "line %" PRIu64 ": %s: ", row->line, dormouse_code_name(code));
        (void)dm_out_safe(&line, why);
        dm_out_str(&line, "\n");
        if (told == SHOWN_MAX) {
            dm_out_str(&line, "(no more are shown; --refused FILE gets them all)\n");
        }
        (void)dm_out_flush(&line, stderr);
    }
    if (importing->refused_file != NULL) {
        dm_out_format(&line, "%" PRIu64 ",%s,", row->line, dormouse_code_name(code));
        dm_out_csv(&line, why);
        dm_out_str(&line, ",");
        dm_out_csv(&line, row->fields[DM_ACCOUNT_ID]);
        dm_out_str(&line, ",");
        dm_out_csv(&line, row->fields[DM_CONTACT_ID]);
        dm_out_str(&line, "\n");
        (void)dm_out_flush(&line, importing->refused_file);
    }
    dm_out_finish(&line);
}

void dm_import_refuse(struct dm_importing *importing, const struct dm_row *row, int code,
                      struct dormouse_text why)
{
    importing->refused++;
    dm_checkpoint_refused(&importing->checkpoint, row->line, true);
    tell_row(importing, row, code, why);
}

void dm_import_skip(struct dm_importing *importing, const struct dm_row *row,
                    const struct dm_import_seen *seen)
{
    struct dm_out why = {.colour = false};
    importing->skipped++;
    dm_out_str(&why, "skipped: the contact was ");
    if (seen->exists) {
        dm_out_str(&why, "changed by ");
        dm_out_bytes(&why, seen->actor, seen->actor_size);
        dm_out_str(&why, seen->actor_size == 0 ? "somebody, " : ", ");
        dm_time_print(&why, seen->since_ms);
        dm_out_format(&why, " (event %" PRIu64 "), after this import began", seen->seq);
    } else {
        dm_out_str(&why, "deleted after this import wrote to it");
    }
    struct dm_slice text = dm_buf_slice(&why.buf);
    tell_row(importing, row, DORMOUSE_ABORTED, (struct dormouse_text){text.data, text.size});
    dm_out_finish(&why);
}

static void count(struct dm_out *out, const char *before, uint64_t number, const char *after)
{
    dm_out_str(out, before);
    dm_out_count(out, number);
    dm_out_str(out, after);
}

static void count_any(struct dm_out *out, uint64_t number, const char *after)
{
    if (number > 0) {
        count(out, ", ", number, after);
    }
}

void dm_import_progress(struct dm_importing *importing)
{
    int64_t now_ms = dm_cli_monotonic_ms();
    if (!dm_progress_due(&importing->progress, now_ms)) {
        return;
    }
    struct dm_out words = {.colour = false};
    count(&words, "", importing->rows, " rows");
    count_any(&words, dm_progress_rate(&importing->progress, now_ms, importing->rows), "/s");
    count_any(&words, importing->skipped, " skipped");
    count_any(&words, importing->refused, " refused");
    if (importing->again != NULL) {
        dm_out_format(&words, ", waiting: %s", dormouse_code_name(importing->last_code));
    }
    double fraction = importing->file_size == 0
                          ? -1.0
                          : (double)importing->source.consumed / (double)importing->file_size;
    struct dm_slice text = dm_buf_slice(&words.buf);
    dm_progress_show(&importing->progress, now_ms, fraction,
                     (struct dormouse_text){text.data, text.size});
    dm_out_finish(&words);
}

static void summary_json(struct dm_importing *importing, int64_t spent_ms)
{
    struct dm_out *out = &importing->cli->out;
    dm_out_format(out, "{\"dryRun\":%s,\"rows\":\"%" PRIu64 "\",\"changed\":\"%" PRIu64 "\"",
                  importing->dry_run ? "true" : "false", importing->rows, importing->changed);
    dm_out_format(out, ",\"same\":\"%" PRIu64 "\",\"skipped\":\"%" PRIu64 "\"", importing->same,
                  importing->skipped);
    dm_out_format(out, ",\"refused\":\"%" PRIu64 "\",\"before\":\"%" PRIu64 "\"",
                  importing->refused, importing->before);
    dm_out_format(out, ",\"seconds\":%" PRId64 ".%03" PRId64 "}", spent_ms / 1000, spent_ms % 1000);
    dm_cli_line(importing->cli);
}

void dm_import_summary(struct dm_importing *importing)
{
    int64_t now_ms = dm_cli_monotonic_ms();
    int64_t spent_ms = now_ms - importing->progress.started_ms;
    dm_progress_clear(&importing->progress);
    if (importing->cli->json) {
        summary_json(importing, spent_ms);
        return;
    }
    struct dm_out line = {.colour = false};
    count(&line, importing->dry_run ? "dry run: " : "", importing->rows, " rows: ");
    count(&line, "", importing->changed, importing->dry_run ? " would change" : " changed");
    count(&line, ", ", importing->same, " already so");
    count_any(&line, importing->skipped, " skipped, for somebody changed the contact since");
    count_any(&line, importing->refused, " refused");
    count_any(&line, importing->before, " done by an earlier run");
    dm_out_format(&line, "; %" PRId64 ".%" PRId64 " s", spent_ms / 1000, spent_ms / 100 % 10);
    count(&line, " (", dm_progress_rate(&importing->progress, now_ms, importing->rows), "/s)\n");
    importing->cli->output_lost = !dm_out_flush(&line, stderr) || importing->cli->output_lost;
    dm_out_finish(&line);
}

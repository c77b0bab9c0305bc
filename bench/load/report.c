#include "report.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
static const char *const quantile_names[] = {"p50", "p90", "p99", "p99.9"};
enum { QUANTILES = 4 };

static void key(struct report *report, const char *name)
{
    if (report->json) {
        (void)printf("%s\"%s\":", report->first ? "" : ",", name);
    } else {
        (void)printf("%-22s ", name);
    }
    report->first = false;
}

void report_begin(struct report *report, bool json, const char *mode)
{
    struct utsname machine;
    *report = (struct report){.json = json, .first = true};
    if (json) {
        (void)putchar('{');
    }
    report_text(report, "mode", mode);
    if (uname(&machine) == 0) {
        report_text(report, "kernel", machine.release);
    }
    report_number(report, "processors", (double)sysconf(_SC_NPROCESSORS_ONLN));
}

/* Keys and texts are our own words or options: quotes in them are the one thing to mind. */
void report_text(struct report *report, const char *name, const char *value)
{
    key(report, name);
    if (!report->json) {
        (void)puts(value);
        return;
    }
    (void)putchar('"');
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') {
            (void)putchar('\\');
        }
        (void)putchar((unsigned char)*value < 0x20 ? ' ' : *value);
    }
    (void)putchar('"');
}

void report_number(struct report *report, const char *name, double value)
{
    key(report, name);
    bool whole = value > -1e15 && value < 1e15 && value == (double)(int64_t)value;
    (void)printf(whole ? "%.0f" : "%.6g", value);
    (void)fputs(report->json ? "" : "\n", stdout);
}

void report_latency(struct report *report, const char *name, const struct dm_histogram *histogram,
                    double scale)
{
    key(report, name);
    if (report->json) {
        (void)printf("{\"count\":%llu", (unsigned long long)histogram->count);
        for (int i = 0; i < QUANTILES; i++) {
            (void)printf(",\"%s\":%.6g", quantile_names[i],
                         (double)dm_histogram_quantile(histogram, quantiles[i]) * scale);
        }
        (void)printf(",\"max\":%.6g}", (double)histogram->max * scale);
        return;
    }
    for (int i = 0; i < QUANTILES; i++) {
        (void)printf("%s %-9.6g ", quantile_names[i],
                     (double)dm_histogram_quantile(histogram, quantiles[i]) * scale);
    }
    (void)printf("max %-9.6g (%llu)\n", (double)histogram->max * scale,
                 (unsigned long long)histogram->count);
}

void report_errors(struct report *report, const uint64_t codes[DM_CODE_COUNT])
{
    bool first = true;
    key(report, "errors");
    (void)fputs(report->json ? "{" : "", stdout);
    for (int i = 1; i < DM_CODE_COUNT; i++) {
        if (codes[i] != 0) {
            (void)printf(report->json ? "%s\"%s\":%llu" : "%s%s %llu", first ? "" : ",",
                         dm_code_name(i), (unsigned long long)codes[i]);
            first = false;
        }
    }
    (void)fputs(report->json ? "}" : (first ? "none\n" : "\n"), stdout);
}

void report_end(struct report *report)
{
    (void)fputs(report->json ? "}\n" : "", stdout);
    (void)fflush(stdout);
}

int complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "dormouse-bench: %s: %s\n", what, why);
    return 1;
}

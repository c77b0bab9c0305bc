#include "server/metrics.h"

#include "base/assert.h"
#include "base/log.h"
#include "loop/drain.h"
#include "rpc/metrics.h"
#include "rpc/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LINE_SIZE = 512 };

__attribute__((format(printf, 2, 3))) static void put(struct dm_buf *out, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    DM_ASSERT(size < LINE_SIZE); /* names and helps are ours */
    if (size > 0) {
        (void)dm_buf_append(out, line, (size_t)size); /* no memory: the scrape is short */
    }
}

static void head(struct dm_buf *out, const char *name, const char *type, const char *help)
{
    put(out, "# HELP dormouse_%s %s\n# TYPE dormouse_%s %s\n", name, help, name, type);
}

static void gauge(struct dm_buf *out, const char *name, uint64_t value, const char *help)
{
    head(out, name, "gauge", help);
    put(out, "dormouse_%s %llu\n", name, (unsigned long long)value);
}

static void counter(struct dm_buf *out, const char *name, uint64_t value, const char *help)
{
    head(out, name, "counter", help);
    put(out, "dormouse_%s %llu\n", name, (unsigned long long)value);
}

/* One histogram's lines. `labels`: "method=\"x\"", or "". `scale`: units in one of those
 * shown; `bounds` in units, ended by 0. */
static void histogram(struct dm_buf *out, const char *name, const char *labels,
                      const struct dm_histogram *values, double scale, const uint64_t *bounds)
{
    const char *comma = labels[0] == '\0' ? "" : ",";
    const char *open = labels[0] == '\0' ? "" : "{";
    const char *close = labels[0] == '\0' ? "" : "}";
    for (; *bounds != 0; bounds++) {
        put(out, "dormouse_%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma,
            (double)*bounds / scale, (unsigned long long)dm_histogram_count_le(values, *bounds));
    }
    put(out, "dormouse_%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
        (unsigned long long)values->count);
    put(out, "dormouse_%s_sum%s%s%s %.9g\n", name, open, labels, close,
        (double)values->sum / scale);
    put(out, "dormouse_%s_count%s%s%s %llu\n", name, open, labels, close,
        (unsigned long long)values->count);
}

/* 50 µs to 10 s, and 1 ms to 1 h. */
static const uint64_t bounds_us[] = {50,     100,     250,     500,     1000,     2500,
                                     5000,   10000,   25000,   50000,   100000,   250000,
                                     500000, 1000000, 2500000, 5000000, 10000000, 0};
static const uint64_t bounds_ms[] = {1,    2,    5,    10,    25,    50,    100,    250,     500,
                                     1000, 2500, 5000, 10000, 30000, 60000, 300000, 3600000, 0};
static const uint64_t bounds_count[] = {1,   2,   4,   8,    16,   32,    64,
                                        128, 256, 512, 1024, 4096, 16384, 0};

static void put_cell(void *context, const struct dm_rpc_cell *cell)
{
    put(context,
        "dormouse_rpc_calls_total{service=\"%s\",method=\"%s\",protocol=\"%s\",code=\"%s\"} %llu\n",
        cell->service, cell->method, cell->protocol, dm_code_name((int)cell->code),
        (unsigned long long)cell->calls);
}

static void put_rpc(struct dm_buf *out, const struct dm_rpc *rpc)
{
    struct dm_rpc_watchers watchers = {0};
    head(out, "rpc_calls_total", "counter", "Calls that ended, by method, protocol and code.");
    dm_rpc_metrics(rpc, put_cell, out);
    head(out, "rpc_duration_seconds", "histogram", "Time from a request to its answer.");
    struct dm_rpc_latency latency;
    for (uint32_t i = 0; (latency = dm_rpc_latency(rpc, i)).values != NULL; i++) {
        char labels[LINE_SIZE / 2];
        if (latency.values->count != 0) {
            (void)snprintf(labels, sizeof labels, "service=\"%s\",method=\"%s\"", latency.service,
                           latency.method);
            histogram(out, "rpc_duration_seconds", labels, latency.values, 1e6, bounds_us);
        }
    }
    gauge(out, "rpc_open_calls", dm_rpc_open_calls(rpc), "Calls not answered yet, streams too.");
    dm_rpc_watchers(rpc, &watchers);
    gauge(out, "watchers", watchers.count, "Watch streams that are open.");
    gauge(out, "watchers_slowest_behind_events", watchers.slowest_behind,
          "Events that the slowest watcher has still to be sent.");
}

static void put_journal(struct dm_buf *out, const struct dm_engine_stats *stats)
{
    const struct dm_order_stats *order = &stats->order;
    const struct dm_journal_stats *journal = &stats->journal;
    counter(out, "journal_entries_total", order->last_lsn, "Entries ordered, ever.");
    counter(out, "journal_events_total", order->last_seq, "Events ordered, ever.");
    gauge(out, "journal_lag_entries", order->last_lsn - order->durable_lsn,
          "Entries ordered and not yet on disk.");
    gauge(out, "journal_pending_bytes", order->pending_bytes, "Bytes ordered and not yet on disk.");
    gauge(out, "journal_kept_bytes", journal->kept_bytes, "Size of the journal on disk.");
    gauge(out, "journal_oldest_seq", journal->oldest_seq, "Oldest event that is kept.");
    counter(out, "journal_appended_bytes_total", order->appended_bytes,
            "Bytes appended since start.");
    head(out, "journal_sync_seconds", "histogram", "Time until a batch was durable.");
    histogram(out, "journal_sync_seconds", "", &order->batch_us, 1e6, bounds_us);
    head(out, "journal_batch_entries", "histogram", "Entries that one sync made durable.");
    histogram(out, "journal_batch_entries", "", &order->batch_entries, 1, bounds_count);
}

static void put_view(struct dm_buf *out, const struct dm_engine_stats *stats)
{
    const struct dm_applier_stats *applier = &stats->applier;
    gauge(out, "overlay_contacts", stats->overlay_contacts, "Changed contacts not yet applied.");
    gauge(out, "overlay_bytes", stats->overlay_bytes, "Memory of the overlay.");
    gauge(out, "check_cache_bytes", stats->cache_bytes,
          "Memory that the cache of Checks may use now.");
    counter(out, "check_cache_hits_total", stats->cache_hits, "Checks answered from the cache.");
    counter(out, "check_cache_misses_total", stats->cache_misses,
            "Checks that looked into overlay or view.");
    gauge(out, "view_bytes", stats->view_bytes, "Size of the view on disk.");
    counter(out, "view_damage_total", stats->damage,
            "Damaged records and index entries met in the view since start; the log names them.");
    gauge(out, "view_lag_entries", stats->order.last_lsn - stats->applied_lsn,
          "Entries ordered and not yet applied to the view.");
    counter(out, "view_sweeps_total", applier->sweeps, "Sweeps since start.");
    counter(out, "view_contacts_total", applier->contacts, "Contacts applied since start.");
    counter(out, "view_transactions_total", applier->transactions, "Transactions since start.");
    counter(out, "view_failures_total", applier->failures, "Commits that failed since start.");
    head(out, "view_last_sweep_seconds", "gauge", "Time of the last sweep.");
    put(out, "dormouse_view_last_sweep_seconds %g\n", (double)applier->last_sweep_us / 1e6);
    head(out, "view_longest_commit_seconds", "gauge", "Longest commit since start.");
    put(out, "dormouse_view_longest_commit_seconds %g\n", (double)applier->longest_commit_us / 1e6);
}

static void put_engine(struct dm_buf *out, struct dm_engine *engine)
{
    static struct dm_histogram none;
    struct dm_engine_stats stats = {0};
    struct dm_error error = {0};
    dm_engine_stats(engine, dm_slice(NULL, 0), &stats);
    gauge(out, "writable", dm_engine_writable(engine, &error) == DM_OK, "1: changes are taken.");
    head(out, "contacts", "gauge", "Contacts by the status that they were set to.");
    put(out, "dormouse_contacts{status=\"active\"} %llu\n",
        (unsigned long long)stats.counts.active);
    put(out, "dormouse_contacts{status=\"snoozed\"} %llu\n",
        (unsigned long long)stats.counts.snoozed);
    put(out, "dormouse_contacts{status=\"inactive\"} %llu\n",
        (unsigned long long)stats.counts.inactive);
    gauge(out, "accounts", stats.accounts, "Accounts known.");
    gauge(out, "sleepers", stats.sleepers, "Sleeping contacts in memory, due within the horizon.");
    gauge(out, "sleepers_bytes", stats.sleeper_bytes, "Memory of sleeping contacts.");
    counter(out, "wakes_total", stats.wakes, "Snoozes that ended by themselves since start.");
    head(out, "wake_lag_seconds", "histogram", "From a wake's due time to its commit.");
    histogram(out, "wake_lag_seconds", "", stats.wake_lag_ms == NULL ? &none : stats.wake_lag_ms,
              1e3, bounds_ms);
    put_journal(out, &stats);
    put_view(out, &stats);
}

static void put_loop(struct dm_buf *out, const struct dm_loop *loop)
{
    const struct dm_loop_stats *stats = dm_loop_stats(loop);
    head(out, "connections", "gauge", "Open connections by protocol.");
    for (int i = 0; i < DM_PROTOCOL_COUNT; i++) {
        put(out, "dormouse_connections{protocol=\"%s\"} %u\n", dm_protocol_name(i),
            stats->connections[i]);
    }
    gauge(out, "connections_max", stats->connections_max, "Past it new connections are closed.");
    gauge(out, "connections_waiting", stats->waiting,
          "Connections with output that their client does not take.");
    counter(out, "connections_accepted_total", stats->accepted, "Connections accepted.");
    counter(out, "connections_refused_total", stats->refused, "Connections over the limit.");
    counter(out, "connections_unknown_total", stats->unknown,
            "Connections closed for bytes that begin no protocol.");
    head(out, "connections_closed_total", "counter",
         "Connections closed because their client took too long or held too much.");
    for (int i = 0; i < DM_CLOSED_COUNT; i++) {
        put(out, "dormouse_connections_closed_total{reason=\"%s\"} %llu\n", dm_closed_name(i),
            (unsigned long long)stats->closed[i]);
    }
    gauge(out, "connection_buffers_bytes", stats->buffers,
          "Half-received requests and unread answers of all connections, beyond 32 KiB each.");
    gauge(out, "connection_buffers_max_bytes", stats->buffers_max,
          "Past it, who holds most is closed; from 7/8 of it on, large requests are refused.");
    counter(out, "connection_buffers_refused_total", stats->crowded,
            "Requests over 16 KiB refused because of that.");
    counter(out, "received_bytes_total", stats->bytes_in, "Bytes read from connections.");
    counter(out, "sent_bytes_total", stats->bytes_out, "Bytes written to connections.");
    counter(out, "clock_steps_total", stats->clock_steps, "Times the wall clock was set.");
    head(out, "loop_turn_seconds", "histogram", "Time of one turn of the loop.");
    histogram(out, "loop_turn_seconds", "", &stats->turn_us, 1e6, bounds_us);
    head(out, "loop_longest_turn_seconds", "gauge", "Longest turn since start.");
    put(out, "dormouse_loop_longest_turn_seconds %g\n", (double)stats->turn_us.max / 1e6);
    gauge(out, "draining", dm_loop_draining(loop), "1: the server is shutting down.");
}

static void put_process(struct dm_buf *out)
{
    counter(out, "log_lines_dropped_total", dm_log_dropped(),
            "Log lines that could not be written, or not soon enough.");
    unsigned long pages = 0;
    struct rusage usage;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%*s %lu", &pages) != 1) { /* NOLINT(cert-err34-c): the kernel's own */
            pages = 0;
        }
        (void)fclose(statm);
    }
    gauge(out, "process_resident_memory_bytes", pages * (uint64_t)sysconf(_SC_PAGESIZE),
          "Resident memory, the view's mapped pages included.");
    (void)getrusage(RUSAGE_SELF, &usage);
    head(out, "process_cpu_seconds_total", "counter", "Processor time used.");
    put(out, "dormouse_process_cpu_seconds_total %.6f\n",
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

void dm_metrics_write(struct dm_buf *out, struct dm_engine *engine, const struct dm_rpc *rpc,
                      const struct dm_loop *loop)
{
    put_rpc(out, rpc);
    put_engine(out, engine);
    put_loop(out, loop);
    put_process(out);
}

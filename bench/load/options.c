#include "options.h"

#include "base/address.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "dormouse-bench: measures a running dormoused over ttrpc and checks its answers.\n"
    "\n"
    "  dormouse-bench [run]    [options]   calls, closed or open loop\n"
    "  dormouse-bench load     [options]   fills a server with contacts\n"
    "  dormouse-bench wakes    [options]   contacts that wake: each once? never early? how late?\n"
    "  dormouse-bench sleepers [options]   what a sleeping contact costs; how long a restart "
    "takes\n"
    "\n"
    "all modes\n"
    "  --connect ADDRESS     HOST:PORT or unix:PATH            [127.0.0.1:7400]\n"
    "  --connections N       [16]\n"
    "  --depth N             calls under way on a connection   [16]\n"
    "  --accounts N          that the contacts belong to        [1000]\n"
    "  --seed N              for everything random, and for the accounts that wakes uses  [1]\n"
    "  --json                print one JSON line instead of a table\n"
    "\n"
    "run\n"
    "  --keys N              contacts to ask for                [1000000]\n"
    "  --zipf THETA          0: uniform; 0.99: a few get most of the calls  [0]\n"
    "  --mix LIST            weights of check, commit, activity (inbound message), manual (manual\n"
    "                        message), set (a snooze), get, history, list  [check=1]\n"
    "  --rate N              open loop: N calls a second on a fixed schedule; a latency counts\n"
    "                        from when its call was due, so that a slow server cannot hide it\n"
    "  --timeout TIME        the deadline of every call; with --rate, a call that finds no room\n"
    "                        when it is due is dropped\n"
    "  --duration SECONDS    [10]     --warmup SECONDS  not measured  [1]\n"
    "  --requests N          end after N calls instead\n"
    "  --fences              commit with the fence of the contact's last answer\n"
    "  --no-request-ids      write without a request_id: a repeated call would count twice\n"
    "\n"
    "load\n"
    "  --contacts N          [100000]\n"
    "  --asleep SHARE        how many of them sleep; the rest is active  [0.5]\n"
    "  --over TIME           they wake within this time (90s, 15m, 8h, 30d)  [30d]\n"
    "  --batch N             contacts per BatchSetStatus; those of a batch that sleep wake "
    "together;\n"
    "                        1: one SetStatus each  [1000]\n"
    "\n"
    "wakes\n"
    "  --contacts N          [100000]\n"
    "  --within TIME         they wake within this time, evenly, in random order  [5s]\n"
    "  --start-in TIME       when the first one wakes; loading must be done by then\n"
    "                        [5 s and 20 s for each million]\n"
    "  --checks RATE         Checks a second of these contacts meanwhile; answers are verified  "
    "[0]\n"
    "  --grace TIME          how long to wait for missing wakes after the last was due  [30s]\n"
    "\n"
    "sleepers\n"
    "  --contacts N --over TIME --batch N\n"
    "  --pid PID             the server's process: its private memory before and after\n"
    "  --data DIR            the server's data folder: its size before and after\n"
    "  --server COMMAND      start the server (and stop it by SIGTERM), and measure the\n"
    "                        time from exec to the first answered Check, with the contacts loaded\n"
    "  --settle TIME         how long to wait, at most, until memory and disk stand still  [60s]\n"
    "\n"
    "examples\n"
    "  dormouse-bench --connections 64 --depth 64 --keys 1000000\n"
    "  dormouse-bench --mix check=90,set=5,commit=3,activity=2 --zipf 0.99 --rate 50000 --json\n"
    "  dormouse-bench load --contacts 10000000 --accounts 10000 --asleep 0.5 --over 30d\n"
    "  dormouse-bench wakes --contacts 200000 --within 5s --checks 10000\n"
    "  dormouse-bench sleepers --contacts 1000000 --data data --server 'dormoused --data data'\n"
    "\n"
    "exit codes: 0 all was right; 1 a check failed or a call was refused; 2 wrong options\n";

static const char *const method_names[METHOD_COUNT] = {
    "check", "commit", "activity", "manual", "set", "get", "history", "list",
};

const char *method_name(enum method method)
{
    return method_names[method];
}

static bool number(const char *text, double min, double max, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= min && *out <= max;
}

static bool natural(const char *text, double max, uint32_t *out)
{
    double value;
    bool ok = number(text, 1, max, &value);
    *out = ok ? (uint32_t)value : 0;
    return ok;
}

/* "90s", "1.5h"; a bare number is seconds. */
static bool span(const char *text, double *out)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 0.001}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *out = value * units[i].seconds;
            return value >= 0;
        }
    }
    return false;
}

static bool mix(const char *text, uint32_t *weights)
{
    char copy[256];
    uint32_t total = 0;
    memset(weights, 0, METHOD_COUNT * sizeof *weights);
    if (strlen(text) >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, strlen(text) + 1);
    char *rest = copy;
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        char *equals = strchr(part, '=');
        uint32_t weight = 1;
        if (equals != NULL && !natural(equals + 1, 1e6, &weight)) {
            return false;
        }
        if (equals != NULL) {
            *equals = '\0';
        }
        uint32_t i = 0;
        while (i < METHOD_COUNT && strcmp(method_names[i], part) != 0) {
            i++;
        }
        if (i == METHOD_COUNT) {
            return false;
        }
        weights[i] = weight;
        total += weight;
    }
    return total > 0;
}

enum option_code {
    OPTION_HELP = 'h',
    OPTION_CONNECT = 256,
    OPTION_CONNECTIONS,
    OPTION_DEPTH,
    OPTION_ACCOUNTS,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_KEYS,
    OPTION_ZIPF,
    OPTION_MIX,
    OPTION_RATE,
    OPTION_TIMEOUT,
    OPTION_DURATION,
    OPTION_WARMUP,
    OPTION_REQUESTS,
    OPTION_FENCES,
    OPTION_NO_REQUEST_IDS,
    OPTION_CONTACTS,
    OPTION_ASLEEP,
    OPTION_OVER,
    OPTION_BATCH,
    OPTION_WITHIN,
    OPTION_START_IN,
    OPTION_CHECKS,
    OPTION_GRACE,
    OPTION_PID,
    OPTION_DATA,
    OPTION_SERVER,
    OPTION_SETTLE,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"connect", required_argument, NULL, OPTION_CONNECT},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"depth", required_argument, NULL, OPTION_DEPTH},
    {"accounts", required_argument, NULL, OPTION_ACCOUNTS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", no_argument, NULL, OPTION_JSON},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"zipf", required_argument, NULL, OPTION_ZIPF},
    {"mix", required_argument, NULL, OPTION_MIX},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"requests", required_argument, NULL, OPTION_REQUESTS},
    {"fences", no_argument, NULL, OPTION_FENCES},
    {"no-request-ids", no_argument, NULL, OPTION_NO_REQUEST_IDS},
    {"contacts", required_argument, NULL, OPTION_CONTACTS},
    {"asleep", required_argument, NULL, OPTION_ASLEEP},
    {"over", required_argument, NULL, OPTION_OVER},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"within", required_argument, NULL, OPTION_WITHIN},
    {"start-in", required_argument, NULL, OPTION_START_IN},
    {"checks", required_argument, NULL, OPTION_CHECKS},
    {"grace", required_argument, NULL, OPTION_GRACE},
    {"pid", required_argument, NULL, OPTION_PID},
    {"data", required_argument, NULL, OPTION_DATA},
    {"server", required_argument, NULL, OPTION_SERVER},
    {"settle", required_argument, NULL, OPTION_SETTLE},
    {0},
};

static bool take_common(struct options *options, int option, const char *value, bool *known)
{
    struct dm_address address;
    double natural_number = 0;
    bool ok = true;
    switch (option) {
    case OPTION_CONNECT:
        options->connect = value;
        return dm_address_parse(value, DM_ADDRESS_CONNECT, &address) == NULL;
    case OPTION_CONNECTIONS:
        return natural(value, 20000, &options->connections);
    case OPTION_DEPTH:
        return natural(value, 4096, &options->depth);
    case OPTION_ACCOUNTS:
        return natural(value, 4e6, &options->accounts);
    case OPTION_SEED:
        ok = number(value, 0, 1e15, &natural_number);
        options->seed = (uint64_t)natural_number;
        options->seed_given = true;
        return ok;
    case OPTION_JSON:
        options->json = true;
        return true;
    default:
        *known = false;
        return true;
    }
}

static bool take_run(struct options *options, int option, const char *value, bool *known)
{
    double natural_number = 0;
    bool ok = true;
    switch (option) {
    case OPTION_KEYS:
        return natural(value, 1e9, &options->keys);
    case OPTION_ZIPF:
        return number(value, 0, 0.999, &options->zipf);
    case OPTION_MIX:
        return mix(value, options->mix);
    case OPTION_RATE:
        return number(value, 1, 1e8, &options->rate);
    case OPTION_TIMEOUT:
        return span(value, &options->timeout_s) && options->timeout_s > 0;
    case OPTION_DURATION:
        return span(value, &options->duration_s);
    case OPTION_WARMUP:
        return span(value, &options->warmup_s);
    case OPTION_REQUESTS:
        ok = number(value, 1, 1e15, &natural_number);
        options->requests = (uint64_t)natural_number;
        return ok;
    case OPTION_FENCES:
        options->fences = true;
        return true;
    case OPTION_NO_REQUEST_IDS:
        options->no_request_ids = true;
        return true;
    default:
        *known = false;
        return true;
    }
}

static bool take_load(struct options *options, int option, const char *value)
{
    uint32_t pid = 0;
    bool ok = true;
    switch (option) {
    case OPTION_CONTACTS:
        return natural(value, 1e9, &options->contacts);
    case OPTION_ASLEEP:
        return number(value, 0, 1, &options->asleep);
    case OPTION_OVER:
        return span(value, &options->over_s);
    case OPTION_BATCH:
        return natural(value, 1000, &options->batch);
    case OPTION_WITHIN:
        return span(value, &options->within_s);
    case OPTION_START_IN:
        return span(value, &options->start_in_s);
    case OPTION_CHECKS:
        return number(value, 1, 1e8, &options->checks);
    case OPTION_GRACE:
        return span(value, &options->grace_s);
    case OPTION_PID:
        ok = natural(value, 4e6, &pid);
        options->pid = (int)pid;
        return ok;
    case OPTION_DATA:
        options->data = value;
        return true;
    case OPTION_SERVER:
        options->server = value;
        return true;
    case OPTION_SETTLE:
        return span(value, &options->settle_s);
    default:
        return false;
    }
}

static bool take(struct options *options, int option, const char *value)
{
    bool known = true;
    bool ok = take_common(options, option, value, &known);
    if (!known) {
        known = true;
        ok = take_run(options, option, value, &known);
    }
    return known ? ok : take_load(options, option, value);
}

/* What an option takes, in words. */
static const char *wanted(int option)
{
    static const struct {
        int option;
        const char *words;
    } words[] = {
        {OPTION_CONNECTIONS, "a whole number from 1 to 20000"},
        {OPTION_DEPTH, "a whole number from 1 to 4096"},
        {OPTION_ACCOUNTS, "a whole number from 1 to 4000000"},
        {OPTION_SEED, "a whole number from 0 to 10^15"},
        {OPTION_KEYS, "a whole number from 1 to 10^9"},
        {OPTION_ZIPF, "a number from 0 to 0.999"},
        {OPTION_MIX, "names with weights, like check=90,set=10; the names are check, commit, "
                     "activity, manual, set, get, history, list"},
        {OPTION_RATE, "a number from 1 to 10^8"},
        {OPTION_REQUESTS, "a whole number from 1 to 10^15"},
        {OPTION_CONTACTS, "a whole number from 1 to 10^9"},
        {OPTION_ASLEEP, "a number from 0 to 1"},
        {OPTION_BATCH, "a whole number from 1 to 1000"},
        {OPTION_CHECKS, "a number from 1 to 10^8"},
        {OPTION_PID, "the id of a process"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].option == option) {
            return words[i].words;
        }
    }
    return "a time, like 500ms, 10s, 15m, 8h or 30d";
}

static int wrong(const struct option *option, const char *value)
{
    struct dm_address address;
    const char *why = option->val == OPTION_CONNECT
                          ? dm_address_parse(value, DM_ADDRESS_CONNECT, &address)
                          : NULL;
    (void)fprintf(stderr, "dormouse-bench: --%s: \"%.64s\" does not fit: %s%s\n", option->name,
                  value, why == NULL ? "it must be " : "", why == NULL ? wanted(option->val) : why);
    return 2;
}

int options_parse(int argc, char **argv, struct options *out, bool *go_on)
{
    *out = (struct options){
        .mode = "run",
        .connect = "127.0.0.1:7400",
        .connections = 16,
        .depth = 16,
        .mix = {[METHOD_CHECK] = 1},
        .keys = 1000000,
        .accounts = 1000,
        .seed = 1,
        .duration_s = 10,
        .warmup_s = 1,
        .contacts = 100000,
        .asleep = 0.5,
        .over_s = 30.0 * 86400,
        .batch = 1000,
        .within_s = 5,
        .grace_s = 30,
        .settle_s = 60,
    };
    *go_on = false;
    for (int option, index = 0;
         (option = getopt_long(argc, argv, "h", long_options, &index)) != -1;) {
        if (option == OPTION_HELP) {
            (void)fputs(help, stdout);
            return 0;
        }
        if (option == '?') {
            return 2;
        }
        if (!take(out, option, optarg)) {
            return wrong(&long_options[index], optarg);
        }
    }
    if (optind < argc) {
        out->mode = argv[optind++];
    }
    if (optind < argc) {
        (void)fprintf(stderr,
                      "dormouse-bench: there is one word too many: \"%.64s\" (see --help)\n",
                      argv[optind]);
        return 2;
    }
    *go_on = true;
    return 0;
}

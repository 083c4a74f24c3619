#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { RETENTION_DAYS_DEFAULT = 90, RETENTION_DAYS_MAX = 3650 };

const struct option_row settings_rows[] = {
    ENDPOINT_ROWS_NATS(endpoints),
    ENDPOINT_ROWS_POSTGRES(endpoints),
    OPTION_INT("PARTITIONS", FIELD(partitions), 0, 0, 64,
               "streams of the target; 0: what its database says"),
    OPTION_CHOICE("IP_STORAGE", FIELD(ip_storage), "truncated", "full|truncated|none",
                  "what is stored of an address; truncated is its /24 or /48"),
    OPTION_END,
};

static const char help_text[] =
    "tools/import brings the data of an earlier tracker into adledger.\n"
    "\n"
    "  tools/import [--postgres URL] [--jsonl FILE] [--redis URL] [options]\n"
    "\n"
    "Sources, at least one:\n"
    "  --postgres URL        the tables ads and clicks, by the URL's search_path; the columns are\n"
    "                        recognised by their names, and the choice is shown\n"
    "  --jsonl FILE          a file of JSON lines, such as fallback_clicks.jsonl, or corrected "
    "rejects\n"
    "  --redis URL           the lists click_queue and click_dead\n"
    "\n"
    "Options:\n"
    "  --dry-run             read and judge everything, change nothing\n"
    "  --rejects FILE        write each record that was not imported there, with place and reason\n"
    "  --retention-days N    what the target keeps: its RETENTION_DAYS (90)\n"
    "  --skip-old            leave out records older than that; without it they stop the import\n"
    "  --consume             take the Redis lists away from the tracker, and delete them once all "
    "of\n"
    "                        them is on the stream; needs --rejects\n"
    "  --forget              delete the key by which imported visitors are known again between "
    "runs;\n"
    "                        alone, after the last run\n"
    "  --help                this text\n"
    "\n"
    "Target, from the environment, as ./run --env prints it:\n"
    "  DATABASE_URL          adledger's PostgreSQL (and DB_DSN, POSTGRES_*, as for the services)\n"
    "  NATS_URL              adledger's NATS\n"
    "  PARTITIONS            checked against the database when it is set\n"
    "  IP_STORAGE            full, truncated or none: as the gateway has it (truncated)\n"
    "\n"
    "Ads are entered into the catalogue unless they are there; an ad that only clicks name is "
    "entered\n"
    "by its id. Clicks go through the stream and are filed at their own time. A run may be "
    "repeated or\n"
    "cut short: a click that is there is not added again. ingest and analytics must be running.\n"
    "\n"
    "Exit status: 0 all of it is there; 1 some records were rejected; 2 nothing or not all was "
    "done.\n";

enum {
    ARG_POSTGRES = 1,
    ARG_JSONL,
    ARG_REDIS,
    ARG_REJECTS,
    ARG_RETENTION,
    ARG_SKIP_OLD,
    ARG_CONSUME,
    ARG_DRY_RUN,
    ARG_FORGET,
    ARG_HELP,
};

static const struct option long_options[] = {
    {"postgres", required_argument, NULL, ARG_POSTGRES},
    {"jsonl", required_argument, NULL, ARG_JSONL},
    {"redis", required_argument, NULL, ARG_REDIS},
    {"rejects", required_argument, NULL, ARG_REJECTS},
    {"retention-days", required_argument, NULL, ARG_RETENTION},
    {"skip-old", no_argument, NULL, ARG_SKIP_OLD},
    {"consume", no_argument, NULL, ARG_CONSUME},
    {"dry-run", no_argument, NULL, ARG_DRY_RUN},
    {"forget", no_argument, NULL, ARG_FORGET},
    {"help", no_argument, NULL, ARG_HELP},
    {NULL, 0, NULL, 0},
};

static bool parse_days(const char *text, int64_t *out, struct error *err)
{
    char *end = NULL;
    long days = strtol(text, &end, 10);

    if (end == text || *end != '\0' || days < 1 || days > RETENTION_DAYS_MAX)
        return error_set(err, ERROR_INVALID, "--retention-days: \"%.40s\" is not 1 to %d", text,
                         RETENTION_DAYS_MAX);
    *out = days;
    return true;
}

static bool take(struct settings *out, int argument, const char *value, struct error *err)
{
    switch (argument) {
    case ARG_POSTGRES:
        out->postgres_url = value;
        return true;
    case ARG_JSONL:
        out->jsonl_path = value;
        return true;
    case ARG_REDIS:
        out->redis_url = value;
        return true;
    case ARG_REJECTS:
        out->rejects_path = value;
        return true;
    case ARG_RETENTION:
        return parse_days(value, &out->retention_days, err);
    case ARG_SKIP_OLD:
        return out->skip_old = true;
    case ARG_CONSUME:
        return out->consume = true;
    case ARG_DRY_RUN:
        return out->dry_run = true;
    case ARG_FORGET:
        return out->forget = true;
    default:
        return error_set(err, ERROR_INVALID, "see tools/import --help");
    }
}

static bool check(const struct settings *settings, struct error *err)
{
    bool has_source = settings->postgres_url != NULL || settings->jsonl_path != NULL ||
                      settings->redis_url != NULL;

    if (settings->forget)
        return !has_source || error_set(err, ERROR_INVALID, "--forget stands alone");
    if (!has_source)
        return error_set(err, ERROR_INVALID,
                         "no source: give --postgres, --jsonl or --redis (see --help)");
    if (settings->consume && settings->redis_url == NULL)
        return error_set(err, ERROR_INVALID, "--consume is about --redis");
    if (settings->consume && settings->rejects_path == NULL)
        return error_set(err, ERROR_INVALID,
                         "--consume needs --rejects FILE: what cannot be imported is kept there");
    return true;
}

enum options_verdict options_load(int argc, char **argv, struct settings *out, struct error *err)
{
    int argument = 0;

    out->retention_days = RETENTION_DAYS_DEFAULT;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread starts. */
    while ((argument = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (argument == ARG_HELP) {
            (void)fputs(help_text, stdout);
            return OPTIONS_DONE;
        }
        if (!take(out, argument, optarg, err))
            return OPTIONS_WRONG;
    }
    if (optind < argc) {
        error_set(err, ERROR_INVALID, "\"%.60s\" is no option (see --help)", argv[optind]);
        return OPTIONS_WRONG;
    }
    if (!check(out, err) || !config_load(settings_rows, out, err) ||
        !endpoints_resolve(&out->endpoints, err) || !endpoints_open(&out->endpoints, err))
        return OPTIONS_WRONG;
    if (!ip_storage_parse(out->ip_storage, &out->ip_keep)) {
        error_set(err, ERROR_INVALID, "IP_STORAGE: unknown value");
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}

/* The command line that all services share, and the option table for people. */
#include "runtime/build_info.h"
#include "runtime/config.h"
#include "runtime/health_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_SIZE = 120, EXIT_USAGE = 2 };

static const char reloadable[] = "; SIGHUP reads it again";

/* A row as people read it. */
struct shown {
    char names[CELL_SIZE];
    char value[CELL_SIZE]; /* the default */
    char range[CELL_SIZE];
};

/* The table's two forms: --help and --markdown. */
struct page {
    const char *head;
    void (*print_row)(const struct shown *shown, const struct option_row *row, const int *widths);
};

static void show(const struct option_row *row, struct shown *out)
{
    (void)snprintf(out->names, CELL_SIZE, "%s", row->name);
    (void)snprintf(out->value, CELL_SIZE, "%s",
                   row->default_text == NULL ? "-" : row->default_text);
    (void)snprintf(out->range, CELL_SIZE, "%s", "text");
    switch (row->kind) {
    case OPTION_KIND_INT:
        (void)snprintf(out->value, CELL_SIZE, "%" PRId64, row->default_int);
        (void)snprintf(out->range, CELL_SIZE, "%" PRId64 "..%" PRId64, row->min, row->max);
        break;
    case OPTION_KIND_BOOL:
        (void)snprintf(out->value, CELL_SIZE, "%s", row->default_int != 0 ? "on" : "off");
        (void)snprintf(out->range, CELL_SIZE, "%s", "on|off");
        break;
    case OPTION_KIND_SECRET:
        (void)snprintf(out->range, CELL_SIZE, "%s", "secret");
        break;
    case OPTION_KIND_CHOICE:
        (void)snprintf(out->range, CELL_SIZE, "%s", row->choices);
        break;
    case OPTION_KIND_STRING:
    case OPTION_KIND_END:
        break;
    }
}

static void widen(int *width, const char *text)
{
    int size = (int)strlen(text);

    if (size > *width)
        *width = size;
}

static void print_help_row(const struct shown *shown, const struct option_row *row,
                           const int *widths)
{
    (void)printf("  %-*s  %-*s  %-*s  %s%s\n", widths[0], shown->names, widths[1], shown->value,
                 widths[2], shown->range, row->help, row->is_reloadable ? reloadable : "");
}

/* A bar would end the cell: names and choices are joined by them. */
static void print_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            (void)fputs("`, `", stdout);
        else
            (void)putchar(*text);
    }
}

static void print_markdown_row(const struct shown *shown, const struct option_row *row,
                               const int *widths)
{
    (void)widths;
    (void)fputs("| `", stdout);
    print_cell(shown->names);
    (void)printf("` | %s%s%s | `", shown->value[0] == '-' ? "" : "`",
                 shown->value[0] == '-' ? "" : shown->value, shown->value[0] == '-' ? "" : "`");
    print_cell(shown->range);
    (void)printf("` | %s%s |\n", row->help, row->is_reloadable ? reloadable : "");
}

static void print_table(const struct option_row *rows, const struct page *page)
{
    int widths[3] = {0};
    struct shown shown;

    for (const struct option_row *row = rows; row->kind != OPTION_KIND_END; row++) {
        show(row, &shown);
        widen(&widths[0], shown.names);
        widen(&widths[1], shown.value);
        widen(&widths[2], shown.range);
    }
    (void)fputs(page->head, stdout);
    for (const struct option_row *row = rows; row->kind != OPTION_KIND_END; row++) {
        show(row, &shown);
        page->print_row(&shown, row, widths);
    }
}

static void print_help(const char *service, const struct option_row *rows)
{
    static const struct page help = {
        "Settings come from the environment; every X may be given as X_FILE, the name of a file.\n"
        "Of several names the first that is set counts. name, default, range, meaning:\n\n",
        print_help_row,
    };

    (void)printf(
        "Usage: %s [--help | --check-config | --health-check | --markdown | --version]\n\n",
        service);
    print_table(rows, &help);
}

static void print_markdown(const struct option_row *rows)
{
    static const struct page markdown = {
        "| name | default | range | meaning |\n| --- | --- | --- | --- |\n",
        print_markdown_row,
    };

    print_table(rows, &markdown);
}

static int check_config(const struct option_row *rows, void *settings)
{
    struct error err = {ERROR_NONE, ""};
    bool is_valid = config_load(rows, settings, &err);

    config_free(rows, settings);
    if (is_valid)
        (void)puts("configuration is valid");
    else
        (void)fprintf(stderr, "%s\n", err.text);
    return is_valid ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct option_row *find_use(const struct option_row *rows, enum option_use use)
{
    while (rows->kind != OPTION_KIND_END && rows->use != use)
        rows++;
    return rows;
}

/* Reads the two rows alone: a health check needs no secret, and must not fail for one. */
static bool ask_health(const struct option_row *rows, void *settings, struct error *err)
{
    const struct option_row *host_row = find_use(rows, OPTION_USE_LISTEN_HOST);
    const struct option_row *port_row = find_use(rows, OPTION_USE_LISTEN_PORT);
    const struct option_row place[] = {*host_row, *port_row, OPTION_END};
    const char *host = NULL;
    int64_t port = 0;
    bool is_healthy;

    if (host_row->kind == OPTION_KIND_END || port_row->kind == OPTION_KIND_END)
        return error_set(err, ERROR_INTERNAL, "health: this program does not listen");
    if (!config_load(place, settings, err)) {
        config_free(place, settings);
        return false;
    }
    memcpy(&host, (const char *)settings + host_row->offset, sizeof(host));
    memcpy(&port, (const char *)settings + port_row->offset, sizeof(port));
    is_healthy = health_check(host, (int)port, err);
    config_free(place, settings);
    return is_healthy;
}

static int check_health(const struct option_row *rows, void *settings)
{
    struct error err = {ERROR_NONE, ""};

    if (ask_health(rows, settings, &err))
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "%s\n", err.text);
    return EXIT_FAILURE;
}

bool config_command_line(int argc, char **argv, const char *service, const struct option_row *rows,
                         void *settings, int *out_status)
{
    const char *argument = argc > 1 ? argv[1] : NULL;

    if (argument == NULL)
        return true;
    *out_status = EXIT_SUCCESS;
    if (argc == 2 && strcmp(argument, "--help") == 0)
        print_help(service, rows);
    else if (argc == 2 && strcmp(argument, "--markdown") == 0)
        print_markdown(rows);
    else if (argc == 2 && strcmp(argument, "--check-config") == 0)
        *out_status = check_config(rows, settings);
    else if (argc == 2 && strcmp(argument, "--health-check") == 0)
        *out_status = check_health(rows, settings);
    else if (argc == 2 && strcmp(argument, "--version") == 0)
        (void)printf("%s %s (%s)\n", service, build_version(), build_commit());
    else {
        (void)fprintf(stderr, "%s: cannot understand \"%s\"; try --help\n", service,
                      argc > 2 ? argv[2] : argument);
        *out_status = EXIT_USAGE;
    }
    if (fflush(stdout) != 0)
        *out_status = EXIT_FAILURE;
    return false;
}

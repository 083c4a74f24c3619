#include "columns.h"

#include <string.h>

struct type_rule {
    enum field_class class;
    const char *type; /* how format_type's words begin */
    const char *sql;  /* %s is the quoted column; what makes our text of it */
};

#define RFC3339 "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'"

/* A timestamp without a zone is taken as UTC, which is what the trackers wrote. */
static const struct type_rule type_rules[] = {
    {FIELD_KEY, "uuid", "%s::text"},
    {FIELD_KEY, "smallint", "%s::text"},
    {FIELD_KEY, "integer", "%s::text"},
    {FIELD_KEY, "bigint", "%s::text"},
    {FIELD_KEY, "numeric", "%s::text"},
    {FIELD_KEY, "text", "%s"},
    {FIELD_KEY, "character", "rtrim(%s)"},
    {FIELD_TIME, "timestamp with time zone", "to_char(%s AT TIME ZONE 'UTC', " RFC3339 ")"},
    {FIELD_TIME, "timestamp without time zone", "to_char(%s, " RFC3339 ")"},
    {FIELD_TIME, "date", "to_char(%s::timestamp, " RFC3339 ")"},
    {FIELD_TIME, "integer", "%s::text"},
    {FIELD_TIME, "bigint", "%s::text"},
    {FIELD_TIME, "numeric", "%s::text"},
    {FIELD_TIME, "double precision", "%s::numeric::text"},
    {FIELD_TIME, "text", "%s"},
    {FIELD_TIME, "character", "rtrim(%s)"},
    {FIELD_ADDRESS, "inet", "host(%s)"},
    {FIELD_ADDRESS, "cidr", "host(%s)"},
    {FIELD_ADDRESS, "text", "%s"},
    {FIELD_ADDRESS, "character", "rtrim(%s)"},
    {FIELD_SECONDS, "smallint", "%s::text"},
    {FIELD_SECONDS, "integer", "%s::text"},
    {FIELD_SECONDS, "bigint", "%s::text"},
    {FIELD_SECONDS, "numeric", "%s::text"},
    {FIELD_SECONDS, "real", "%s::text"},
    {FIELD_SECONDS, "double precision", "%s::text"},
    {FIELD_SECONDS, "interval", "extract(epoch FROM %s)::text"},
    {FIELD_SECONDS, "text", "%s"},
    {FIELD_SECONDS, "character", "rtrim(%s)"},
    {FIELD_WORDS, "text", "%s"},
    {FIELD_WORDS, "character", "rtrim(%s)"},
};

static const struct type_rule *find_rule(enum field_class class, const char *type)
{
    for (size_t i = 0; i < sizeof(type_rules) / sizeof(type_rules[0]); i++) {
        const struct type_rule *rule = &type_rules[i];

        if (rule->class == class && strncmp(type, rule->type, strlen(rule->type)) == 0)
            return rule;
    }
    return NULL;
}

/* The best column of each field by the rank of its spelling. */
static void choose(const struct field_table *fields, const struct column *columns,
                   size_t column_count, struct column_plan *out)
{
    size_t ranks[FIELDS_MAX];

    for (size_t i = 0; i < column_count; i++) {
        int field = 0;
        size_t rank = 0;

        if (!field_find(fields, columns[i].name, &field, &rank))
            continue;
        if (out->of[field] != NULL && ranks[field] <= rank)
            continue;
        out->of[field] = &columns[i];
        ranks[field] = rank;
    }
}

static void add_spellings(const struct field_table *fields, int field, struct text *out)
{
    bool is_first = true;

    for (size_t i = 0; i < fields->alias_count; i++) {
        if (fields->aliases[i].field != field)
            continue;
        text_addf(out, "%s%s", is_first ? "" : ", ", fields->aliases[i].name);
        is_first = false;
    }
}

static bool refuse_missing(const struct field_table *fields, const char *table, int field,
                           struct error *err)
{
    struct text spellings;

    text_init(&spellings, sizeof(err->text));
    add_spellings(fields, field, &spellings);
    error_set(err, ERROR_INVALID, "table %s has no column for %s (looked for: %s)", table,
              fields->fields[field].name, text_str(&spellings));
    text_free(&spellings);
    return false;
}

bool columns_plan(const struct field_table *fields, const char *table, const struct column *columns,
                  size_t column_count, struct column_plan *out, struct error *err)
{
    struct column_plan plan = {.fields = fields, .table = table, .columns = columns};

    choose(fields, columns, column_count, &plan);
    for (size_t i = 0; i < fields->field_count; i++) {
        const struct field *field = &fields->fields[i];
        const struct column *column = plan.of[i];

        if (column == NULL && field->is_required)
            return refuse_missing(fields, table, (int)i, err);
        if (column != NULL && find_rule(field->class, column->type) == NULL)
            return error_set(err, ERROR_INVALID,
                             "column %s.%s has type %s, which cannot be taken for %s", table,
                             column->name, column->type, field->name);
    }
    *out = plan;
    return true;
}

/* An identifier with its quotes. */
static void add_quoted(struct text *out, const char *name)
{
    text_add_char(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            text_add_char(out, '"');
        text_add_char(out, *name);
    }
    text_add_char(out, '"');
}

static void add_column(struct text *out, const struct type_rule *rule, const char *name)
{
    const char *place = strstr(rule->sql, "%s");

    text_add(out, rule->sql, (size_t)(place - rule->sql));
    add_quoted(out, name);
    text_add_str(out, place + 2);
}

void columns_add_select(const struct column_plan *plan, struct text *out)
{
    for (size_t i = 0; i < plan->fields->field_count; i++) {
        const struct column *column = plan->of[i];

        text_add_str(out, i == 0 ? "SELECT " : ", ");
        if (column == NULL)
            text_add_str(out, "NULL");
        else
            add_column(out, find_rule(plan->fields->fields[i].class, column->type), column->name);
    }
    text_add_str(out, " FROM ");
    text_add_str(out, plan->table);
}

static bool is_taken(const struct column_plan *plan, const struct column *column)
{
    for (size_t i = 0; i < plan->fields->field_count; i++)
        if (plan->of[i] == column)
            return true;
    return false;
}

void columns_add_words(const struct column_plan *plan, size_t column_count, struct text *out)
{
    const char *lead = "; no column for ";

    text_addf(out, "table %s: ", plan->table);
    for (size_t i = 0, taken = 0; i < plan->fields->field_count; i++)
        if (plan->of[i] != NULL)
            text_addf(out, "%s%s <- %s (%s)", taken++ == 0 ? "" : ", ",
                      plan->fields->fields[i].name, plan->of[i]->name, plan->of[i]->type);
    for (size_t i = 0; i < plan->fields->field_count; i++) {
        if (plan->of[i] != NULL)
            continue;
        text_addf(out, "%s%s", lead, plan->fields->fields[i].name);
        lead = ", ";
    }
    lead = "; not used: ";
    for (size_t i = 0; i < column_count; i++) {
        if (is_taken(plan, &plan->columns[i]))
            continue;
        text_addf(out, "%s%s", lead, plan->columns[i].name);
        lead = ", ";
    }
}

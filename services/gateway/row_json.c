#include "row_json.h"

#include "event/event.h"

#include <stdlib.h>
#include <string.h>

/* A name of a closed set; a number beyond it is a newer version's. */
static void add_name(struct text *text, const char *number, const char *const *names, long count)
{
    long value = strtol(number, NULL, 10);
    const char *name = value >= 0 && value < count ? names[value] : "unknown";

    text_add_json_string(text, name, strlen(name));
}

static void add_value(struct text *text, const PGresult *result, int row, int column,
                      enum row_kind kind)
{
    const char *value = PQgetvalue(result, row, column);

    switch (kind) {
    case ROW_TEXT:
        text_add_json_string(text, value, (size_t)PQgetlength(result, row, column));
        break;
    case ROW_NUMBER:
        text_add_str(text, value);
        break;
    case ROW_TYPE:
        add_name(text, value, event_type_names, EVENT_TYPE_COUNT);
        break;
    case ROW_REASON:
        if (strcmp(value, "0") == 0)
            text_add_str(text, "null");
        else
            add_name(text, value, event_reason_names, EVENT_REASON_COUNT);
        break;
    case ROW_END:
        break;
    }
}

void row_json_add(struct text *text, const PGresult *result, int row, int first,
                  const struct row_field *fields)
{
    for (int i = 0; fields[i].kind != ROW_END; i++) {
        text_addf(text, "%s\"%s\":", i == 0 ? "" : ",", fields[i].name);
        if (PQgetisnull(result, row, first + i))
            text_add_str(text, "null");
        else
            add_value(text, result, row, first + i, fields[i].kind);
    }
}

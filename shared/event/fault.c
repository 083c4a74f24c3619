#include "event/fault.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *text;
    int status;
    const char *title;
} rows[FAULT_COUNT] = {
#define FAULT(name, text, status, title) [FAULT_##name] = {text, status, title},
#include "event/faults.def"
#undef FAULT
};

const char *fault_text(enum fault_code code)
{
    return rows[code].text;
}

int fault_status(enum fault_code code)
{
    return rows[code].status;
}

const char *fault_title(enum fault_code code)
{
    return rows[code].title;
}

void fault_add(struct faults *faults, enum fault_code code, const char *field, const char *format,
               ...)
{
    size_t index = faults->count++;
    va_list args;

    if (index >= DECODE_FAULTS_MAX)
        return;
    faults->rows[index].code = code;
    (void)snprintf(faults->rows[index].field, sizeof(faults->rows[index].field), "%s", field);
    va_start(args, format);
    (void)vsnprintf(faults->rows[index].detail, sizeof(faults->rows[index].detail), format, args);
    va_end(args);
}

#include "base/told.h"

#include <string.h>

bool told_is_news(struct told *told, const struct error *err)
{
    if (strcmp(told->last.text, err->text) == 0)
        return false;
    told->last = *err;
    return true;
}

void told_reset(struct told *told)
{
    *told = (struct told){.last = {.kind = ERROR_NONE}};
}

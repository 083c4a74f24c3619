#include "clients/pg_private.h"

#include <stdio.h>
#include <string.h>

static size_t count_in(const char *list)
{
    size_t count = 1;

    for (const char *each = list; each != NULL && *each != '\0'; each++)
        count += *each == ',';
    return count;
}

static void note(struct pg_hosts *hosts, const PQconninfoOption *option)
{
    if (option->val == NULL)
        return;
    if (strcmp(option->keyword, "host") == 0)
        hosts->names = option->val;
    else if (strcmp(option->keyword, "hostaddr") == 0)
        hosts->addresses = option->val;
    else if (strcmp(option->keyword, "port") == 0)
        hosts->ports = option->val;
    else if (strcmp(option->keyword, "target_session_attrs") == 0)
        hosts->has_target = true;
}

void pg_hosts_read(const char *conninfo, struct pg_hosts *out)
{
    *out = (struct pg_hosts){.options = PQconninfoParse(conninfo, NULL)};
    for (PQconninfoOption *each = out->options; each != NULL && each->keyword != NULL; each++)
        note(out, each);
    out->count = count_in(out->addresses != NULL ? out->addresses : out->names);
    if (out->count > PG_HOSTS_MAX)
        out->count = PG_HOSTS_MAX;
}

void pg_hosts_free(struct pg_hosts *hosts)
{
    PQconninfoFree(hosts->options);
    *hosts = (struct pg_hosts){0};
}

/* One port is that of all hosts. */
bool pg_hosts_pick(const char *list, size_t place, char out[PG_HOST_MAX])
{
    size_t size;

    if (list == NULL)
        return false;
    if (strchr(list, ',') == NULL)
        place = 0;
    while (place-- > 0)
        list += strcspn(list, ",") + 1;
    size = strcspn(list, ",");
    if (size == 0 || size >= PG_HOST_MAX)
        return false;
    snprintf(out, PG_HOST_MAX, "%.*s", (int)size, list);
    return true;
}

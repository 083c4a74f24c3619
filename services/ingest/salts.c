#include "salts.h"

#include "clients/pg.h"
#include "day.h"
#include "event/visitor.h"

#include <errno.h>
#include <sys/random.h>

static bool make(struct pg *pg, int64_t day, struct error *err)
{
    char text[DAY_TEXT_SIZE];
    char salt[VISITOR_SALT_SIZE];
    struct pg_param params[] = {{.value = text},
                                {.value = salt, .size_bytes = sizeof(salt), .is_binary = true}};

    if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
        return error_set(err, ERROR_INTERNAL, "no random bytes: errno %d", errno);
    day_format_text(day, text);
    return pg_query(pg, NULL,
                    "INSERT INTO visitor_salts (day, salt) VALUES ($1::date, $2::bytea)"
                    " ON CONFLICT DO NOTHING",
                    params, 2, NULL, err);
}

bool salts_keep(struct pg *pg, int64_t today, int64_t days_ahead, struct error *err)
{
    char oldest[DAY_TEXT_SIZE];
    struct pg_param param = {.value = oldest};

    for (int64_t day = today - 1; day <= today + days_ahead; day++)
        if (!make(pg, day, err))
            return error_wrap(err, "salts");
    day_format_text(today - SALTS_KEPT_DAYS, oldest);
    if (!pg_query(pg, NULL, "DELETE FROM visitor_salts WHERE day < $1::date", &param, 1, NULL, err))
        return error_wrap(err, "salts");
    return true;
}

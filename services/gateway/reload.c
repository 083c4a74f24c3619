#include "reload.h"

#include "access.h"
#include "admission.h"
#include "base/auto.h"
#include "gateway.h"
#include "runtime/reloader.h"
#include "settings.h"

/* All that can fail comes before the first change: false means that nothing has changed. */
static bool on_reload(void *ctx, void *fresh, struct error *err)
{
    struct gateway *gateway = ctx;
    struct settings *settings = fresh;
    AUTO(access_free) struct access *access = NULL;

    if (!settings_resolve(settings, err))
        return false;
    access = access_new(settings, err);
    if (access == NULL ||
        !endpoints_take_up(&gateway->settings->endpoints, &settings->endpoints, err))
        return false;
    admission_take_up(gateway->admission, &access);
    return true;
}

struct reloader *reload_open(struct gateway *gateway, struct error *err)
{
    const struct reload_options options = {
        .service = gateway->service,
        .rows = settings_rows,
        .settings = gateway->settings,
        .settings_size = sizeof(struct settings),
        .process_offset = offsetof(struct settings, process),
        .apply = on_reload,
        .ctx = gateway,
    };

    return reloader_open(&options, err);
}

#include "clients/endpoints_reload.h"

static bool on_reload(void *ctx, void *fresh, struct error *err)
{
    const struct endpoints_reload *reload = ctx;
    const void *running = (const char *)reload->settings + reload->endpoints_offset;
    void *endpoints = (char *)fresh + reload->endpoints_offset;

    return endpoints_resolve(endpoints, err) && endpoints_take_up(running, endpoints, err);
}

struct reload_options endpoints_reload_options(struct endpoints_reload *reload,
                                               struct service *service)
{
    return (struct reload_options){
        .service = service,
        .rows = reload->rows,
        .settings = reload->settings,
        .settings_size = reload->settings_size,
        .process_offset = reload->process_offset,
        .apply = on_reload,
        .ctx = reload,
    };
}

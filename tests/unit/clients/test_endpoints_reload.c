#include "base/auto.h"
#include "check.h"
#include "clients/endpoints_reload.h"

/* A service's, with something before and between the parts that all have. */
struct settings {
    int64_t first;
    struct endpoints endpoints;
    int64_t last;
};

static struct endpoints_reload reload_of(const struct settings *settings)
{
    return (struct endpoints_reload){
        .settings = settings,
        .settings_size = sizeof(*settings),
        .endpoints_offset = offsetof(struct settings, endpoints),
    };
}

static void assert_says(struct endpoint *endpoint, const char *text)
{
    AUTO(endpoint_text_free) char *now = endpoint_get(endpoint, NULL);

    assert_string_equal(now, text);
}

TEST(fresh_addresses_reach_the_running_settings_endpoints)
{
    struct settings running = {.endpoints.nats_url = (char[]){"nats://one"}};
    struct settings fresh = {.endpoints.nats_url = (char[]){"nats://two"}};
    struct endpoints_reload reload = reload_of(&running);
    struct reload_options options = endpoints_reload_options(&reload, NULL);

    assert_ok(endpoints_resolve(&running.endpoints, err));
    assert_ok(endpoints_open(&running.endpoints, err));
    assert_ok(options.apply(options.ctx, &fresh, err));

    assert_says(running.endpoints.live.nats, "nats://two");
    endpoints_close(&running.endpoints);
}

TEST(an_address_that_cannot_be_one_changes_nothing)
{
    struct settings running = {.endpoints.nats_url = (char[]){"nats://one"}};
    struct settings fresh = {.endpoints.nats_url = (char[]){"nats://two"},
                             .endpoints.database_url = (char[]){"no address"}};
    struct endpoints_reload reload = reload_of(&running);
    struct reload_options options = endpoints_reload_options(&reload, NULL);

    assert_ok(endpoints_resolve(&running.endpoints, err));
    assert_ok(endpoints_open(&running.endpoints, err));
    assert_fails(ERROR_INVALID, options.apply(options.ctx, &fresh, err));

    assert_says(running.endpoints.live.nats, "nats://one");
    endpoints_close(&running.endpoints);
}

TESTS(RUN(fresh_addresses_reach_the_running_settings_endpoints),
      RUN(an_address_that_cannot_be_one_changes_nothing))

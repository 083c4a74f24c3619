/*
 * bus_fixture.h — what the tests over NATS have in common
 */
#pragma once

#include "check.h"
#include "clients/bus.h"
#include "runtime/clock.h"
#include "servers.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct stream_limits fixture_limits = {
    .max_bytes = INT64_C(256) << 20, .dedup_window_ms = 120000, .replicas = 1};

static inline struct bus *bus_on(const struct server *server, struct error *err)
{
    const struct bus_options options = {.endpoint = server_endpoint(server),
                                        .name = "test",
                                        .connect_ms = 2000,
                                        .request_ms = 1000};
    struct bus *bus = bus_open(&options, err);

    if (bus == NULL)
        fail_msg("%s", err->text);
    return bus;
}

/* Stores count messages on partition 0, "0", "1", ... from `first` on, and waits for their acks. */
static inline void publish(struct bus *bus, uint64_t first, uint64_t count)
{
    char subject[STREAM_SUBJECT_SIZE];
    char text[24];

    stream_subject(0, subject);
    for (uint64_t i = first; i < first + count; i++) {
        snprintf(text, sizeof(text), "%" PRIu64, i);
        assert_int_equal(
            js_PublishAsync(bus_jetstream(bus), subject, text, (int)strlen(text), NULL), NATS_OK);
    }
    assert_int_equal(js_PublishAsyncComplete(bus_jetstream(bus), NULL), NATS_OK);
}

static inline bool wait_until_connected(const struct bus *bus, bool is_connected)
{
    int64_t deadline_ms = clock_now_ms() + 15000;

    while (bus_is_connected(bus) != is_connected && clock_now_ms() < deadline_ms)
        clock_sleep_ms(10);
    return bus_is_connected(bus) == is_connected;
}

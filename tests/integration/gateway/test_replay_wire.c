#include "check.h"

#include "base/auto.h"
#include "bus_fixture.h"
#include "kept_batches.h"
#include "replay_window.h"
#include "replay_wire.h"

#include <stdatomic.h>

enum { SIZE = 200, ACK_MS = 1500, QUEUED_MS = 75, SLOW_ANSWER_MS = 300 };

/* Stands where the streams would, and answers as they do: one after another. */
struct streams {
    natsSubscription *subscription;
    atomic_int answers, answer_ms; /* a sync takes so long */
};

static void answer(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                   void *ctx)
{
    struct streams *streams = ctx;
    const char *partition = strrchr(natsMsg_GetSubject(message), '.') + 1;
    char text[64];

    (void)subscription;
    clock_sleep_ms(atomic_load(&streams->answer_ms));
    snprintf(text, sizeof(text), "{\"stream\":\"ADS_%s\",\"seq\":%d}", partition,
             atomic_fetch_add(&streams->answers, 1) + 1);
    (void)natsConnection_PublishString(connection, natsMsg_GetReply(message), text);
    natsMsg_Destroy(message);
}

static void streams_open(struct streams *self, struct bus *bus)
{
    char subject[STREAM_SUBJECT_SIZE];

    *self = (struct streams){0};
    stream_subject(0, subject);
    *strrchr(subject, '0') = '*';
    assert_int_equal(
        natsConnection_Subscribe(&self->subscription, bus_connection(bus), subject, answer, self),
        NATS_OK);
    assert_int_equal(natsConnection_Flush(bus_connection(bus)), NATS_OK);
}

/* Returns how many of the rows were published. */
static size_t send_all(struct replay_wire *wire)
{
    AUTO(kept_batches_free)
    struct kept_batches batches = kept_batches_new(1, KEPT_ROWS_MAX, SIZE);
    static struct kept_rows rows;
    struct replay_tally tally;
    struct error err = {0};
    size_t published;

    for (size_t i = 0; i < batches.count; i++) {
        const struct kept_row row = {.batch = batches.jobs[i].batch};

        if (!kept_rows_add(&rows, &row, &err))
            fail_msg("%s", err.text);
    }
    if (!replay_wire_send(wire, &rows, &tally, &err))
        fail_msg("%s", err.text);
    published = kept_rows_count(&rows, FATE_PUBLISHED);
    assert_int_equal(published, tally.stored);
    kept_rows_reset(&rows);
    return published;
}

TEST(a_round_ends_in_its_time_when_the_streams_become_slow_in_the_midst_of_it)
{
    enum { SLACK_MS = 1000 };
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    const struct bus_options options = {.endpoint = server_endpoint(nats),
                                        .name = "test replay",
                                        .connect_ms = 2000,
                                        .request_ms = 1000};
    AUTO(replay_wire_close)
    struct replay_wire *wire = replay_wire_open(&options, ACK_MS, QUEUED_MS, err);
    struct streams streams;
    int64_t began_ms;
    size_t published;

    streams_open(&streams, bus);
    assert_ok(replay_wire_connect(wire, err));
    for (int i = 0; i < 3; i++) /* now the window is as wide as it gets */
        assert_int_equal(send_all(wire), KEPT_ROWS_MAX);

    atomic_store(&streams.answer_ms, SLOW_ANSWER_MS);
    began_ms = clock_now_ms();
    published = send_all(wire);
    assert_in_range(clock_now_ms() - began_ms, 0, REPLAY_ROUND_MS + SLACK_MS);
    assert_in_range(published, 1, REPLAY_WINDOW_MAX - 1);

    atomic_store(&streams.answer_ms, 0);
    bus_close(&bus);
    natsSubscription_Destroy(streams.subscription);
}

TESTS(RUN(a_round_ends_in_its_time_when_the_streams_become_slow_in_the_midst_of_it))

/* A client that knows several nodes: a cluster's, of which one has its key, or a primary's and its
 * replica's. */
#include "base/auto.h"
#include "check.h"
#include "clients/redis.h"
#include "runtime/clock.h"
#include "servers.h"

#include <stdio.h>
#include <string.h>

enum { CONNECT_MS = 500, COMMAND_MS = 500, WAIT_MS = 10000, LOOK_MS = 20 };

#define SLOT_OF_0 "13907" /* of the tag {0} */

static struct redis *redis_at(const char *url, const char *key)
{
    struct error err;
    struct redis *redis = redis_new(&(struct redis_options){.endpoint = endpoint_at(url),
                                                            .key = key,
                                                            .connect_ms = CONNECT_MS,
                                                            .command_ms = COMMAND_MS},
                                    &err);

    if (redis == NULL)
        fail_msg("%s", err.text);
    return redis;
}

static const char *list(char out[128], const struct server *one, const struct server *other)
{
    snprintf(out, 128, "redis://127.0.0.1:%d,127.0.0.1:%d", server_port(one), server_port(other));
    return out;
}

static void check_cluster_ok(struct redis *node)
{
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;
    struct error err;

    while (clock_now_ms() < deadline_ms) {
        AUTO(redis_reply_free) redisReply *info = NULL;

        if (redis_text(node, &info, &err, "CLUSTER INFO") &&
            strstr(info->str, "cluster_state:ok") != NULL &&
            strstr(info->str, "cluster_known_nodes:2") != NULL)
            return;
        clock_sleep_ms(LOOK_MS);
    }
    fail_msg("the cluster is not whole");
}

static void check_says(struct redis *redis, const char *verb, const char *what, const char *word)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    struct error err;

    if (!redis_text(redis, &reply, &err, "%s %s", verb, what))
        fail_msg("%s %s: %s", verb, what, err.text);
    assert_non_null(strstr(reply->str, word));
}

/* Until it works; gives back how often it did not. */
static int set_at_last(struct redis *redis, const char *value)
{
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;
    int failures = 0;
    struct error err;

    while (!redis_text(redis, NULL, &err, "SET {0}:position %s", value)) {
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
        if (clock_now_ms() >= deadline_ms)
            fail_msg("%s", err.text);
        failures++;
        clock_sleep_ms(LOOK_MS);
    }
    return failures;
}

TEST(a_key_is_found_wherever_it_is_and_followed_when_it_moves)
{
    AUTO(server_close) struct server *one = server_open_redis_cluster();
    AUTO(server_close) struct server *two = server_open_redis_cluster();
    AUTO(redis_close) struct redis *first = redis_at(server_url(one), NULL);
    AUTO(redis_close) struct redis *second = redis_at(server_url(two), NULL);
    AUTO(redis_close) struct redis *redis = NULL;
    AUTO(redis_reply_free) redisReply *id = NULL;
    AUTO(redis_reply_free) redisReply *id_before = NULL;
    char url[128];

    assert_ok(redis_text(first, NULL, err, "CLUSTER ADDSLOTSRANGE 0 8191"));
    assert_ok(redis_text(second, NULL, err, "CLUSTER ADDSLOTSRANGE 8192 16383"));
    assert_ok(redis_text(second, NULL, err, "CLUSTER SET-CONFIG-EPOCH 2"));
    assert_ok(redis_text(first, NULL, err, "CLUSTER MEET 127.0.0.1 %d %d", server_port(two),
                         server_port(two) - 10000));
    check_cluster_ok(first);
    check_cluster_ok(second);

    redis = redis_at(list(url, one, two), "{0}:position");
    assert_ok(redis_text(redis, NULL, err, "SET {0}:position 1")); /* not even one failure */

    assert_ok(redis_text(second, NULL, err, "DEL {0}:position"));
    assert_ok(redis_text(first, &id, err, "CLUSTER MYID"));
    assert_ok(redis_text(second, &id_before, err, "CLUSTER MYID"));
    assert_ok(
        redis_text(first, NULL, err, "CLUSTER SETSLOT " SLOT_OF_0 " IMPORTING %s", id_before->str));
    assert_ok(redis_text(first, NULL, err, "CLUSTER SETSLOT " SLOT_OF_0 " NODE %s", id->str));
    assert_ok(redis_text(second, NULL, err, "CLUSTER SETSLOT " SLOT_OF_0 " NODE %s", id->str));
    assert_fails(ERROR_UNAVAILABLE, redis_text(redis, NULL, err, "SET {0}:position 2"));
    assert_non_null(strstr(err->text, "MOVED"));
    assert_false(redis_is_connected(redis));
    assert_ok(redis_text(redis, NULL, err, "SET {0}:position 2")); /* at once, at the other */
    check_says(first, "GET", "{0}:position", "2");
}

TEST(a_replica_is_left_until_it_is_promoted)
{
    AUTO(server_close) struct server *one = server_open_redis();
    AUTO(server_close) struct server *two = server_open_redis();
    AUTO(redis_close) struct redis *second = redis_at(server_url(two), NULL);
    AUTO(redis_close) struct redis *redis = NULL;
    char url[128];

    assert_ok(redis_text(second, NULL, err, "REPLICAOF 127.0.0.1 %d", server_port(one)));
    redis = redis_at(list(url, two, one), NULL);
    assert_int_equal(set_at_last(redis, "1"), 1); /* the replica comes first */
    check_says(redis, "INFO", "replication", "role:master");

    server_kill(one);
    assert_fails(ERROR_UNCERTAIN, redis_text(redis, NULL, err, "SET {0}:position 2"));
    for (int i = 0; i < 4; i++)
        assert_fails(ERROR_UNAVAILABLE, redis_text(redis, NULL, err, "SET {0}:position 2"));
    assert_ok(redis_text(second, NULL, err, "REPLICAOF NO ONE"));
    assert_true(set_at_last(redis, "2") <= 1);
    check_says(second, "GET", "{0}:position", "2");
}

TEST(a_primary_that_becomes_a_replica_is_left_at_its_first_refusal)
{
    AUTO(server_close) struct server *one = server_open_redis();
    AUTO(server_close) struct server *two = server_open_redis();
    AUTO(redis_close) struct redis *first = redis_at(server_url(one), NULL);
    AUTO(redis_close) struct redis *redis = NULL;
    char url[128];

    redis = redis_at(list(url, one, two), NULL);
    assert_int_equal(set_at_last(redis, "1"), 0);
    assert_ok(redis_text(first, NULL, err, "REPLICAOF 127.0.0.1 %d", server_port(two)));
    assert_int_equal(set_at_last(redis, "2"), 1);
    check_says(redis, "INFO", "replication", "role:master");
}

TESTS(RUN(a_key_is_found_wherever_it_is_and_followed_when_it_moves),
      RUN(a_replica_is_left_until_it_is_promoted),
      RUN(a_primary_that_becomes_a_replica_is_left_at_its_first_refusal))

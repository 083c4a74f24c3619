#include "base/auto.h"
#include "check.h"
#include "clients/discovery.h"

#include <jansson.h>
#include <string.h>

static const struct discovery_fact facts[] = {{"host", "a \"b\"\n"}, {"http_port", "8080"}};

static const struct discovery_identity identity = {.name = "adledger-gateway",
                                                   .id = "0197",
                                                   .version = "1.2.3",
                                                   .description = "takes \\ events",
                                                   .started_at_ms = 1767323045678,
                                                   .facts = facts,
                                                   .fact_count = 2};

static void free_json(json_t **json)
{
    json_decref(*json);
}

static json_t *parse(const struct text *text)
{
    json_error_t why;
    json_t *root = json_loads(text_str(text), JSON_REJECT_DUPLICATES, &why);

    assert_true(text_ok(text));
    if (root == NULL)
        fail_msg("%s: %s", why.text, text_str(text));
    return root;
}

static json_t *answer(enum discovery_verb verb)
{
    AUTO(text_free) struct text text;

    text_init(&text, 4096);
    discovery_write(verb, &identity, &text);
    return parse(&text);
}

static void check_string(const json_t *object, const char *name, const char *expected)
{
    const char *found = json_string_value(json_object_get(object, name));

    if (found == NULL)
        fail_msg("%s is not there", name);
    assert_string_equal(found, expected);
}

/* What the three have in common, and how many members there are in all. */
static void check_standard(const json_t *root, const char *type, size_t members)
{
    const json_t *metadata = json_object_get(root, "metadata");

    check_string(root, "type", type);
    check_string(root, "name", "adledger-gateway");
    check_string(root, "id", "0197");
    check_string(root, "version", "1.2.3");
    assert_int_equal(json_object_size(metadata), 2);
    check_string(metadata, "host", "a \"b\"\n");
    check_string(metadata, "http_port", "8080");
    assert_int_equal(json_object_size(root), members);
}

static void check_no_endpoints(const json_t *root)
{
    assert_true(json_is_array(json_object_get(root, "endpoints")));
    assert_int_equal(json_array_size(json_object_get(root, "endpoints")), 0);
}

TEST(a_ping_is_answered_with_the_standard_fields)
{
    AUTO(free_json) json_t *root = answer(DISCOVERY_PING);

    check_standard(root, "io.nats.micro.v1.ping_response", 5);
}

TEST(info_adds_the_description_and_the_endpoints)
{
    AUTO(free_json) json_t *root = answer(DISCOVERY_INFO);

    check_standard(root, "io.nats.micro.v1.info_response", 7);
    check_string(root, "description", "takes \\ events");
    check_no_endpoints(root);
}

TEST(stats_add_the_start_and_the_endpoints)
{
    AUTO(free_json) json_t *root = answer(DISCOVERY_STATS);

    check_standard(root, "io.nats.micro.v1.stats_response", 7);
    check_string(root, "started", "2026-01-02T03:04:05.678Z");
    check_no_endpoints(root);
}

TEST(metadata_is_an_object_when_there_are_no_facts)
{
    const struct discovery_identity plain = {
        .name = "a", .id = "b", .version = "0.0.1", .description = ""};
    AUTO(text_free) struct text text;

    text_init(&text, 4096);
    discovery_write(DISCOVERY_PING, &plain, &text);
    AUTO(free_json) json_t *root = parse(&text);

    assert_int_equal(json_object_size(json_object_get(root, "metadata")), 0);
    assert_true(json_is_object(json_object_get(root, "metadata")));
}

TEST(an_answer_beyond_the_texts_limit_fails)
{
    AUTO(text_free) struct text text;

    text_init(&text, 64);
    discovery_write(DISCOVERY_INFO, &identity, &text);
    assert_false(text_ok(&text));
}

TESTS(RUN(a_ping_is_answered_with_the_standard_fields),
      RUN(info_adds_the_description_and_the_endpoints), RUN(stats_add_the_start_and_the_endpoints),
      RUN(metadata_is_an_object_when_there_are_no_facts),
      RUN(an_answer_beyond_the_texts_limit_fails))

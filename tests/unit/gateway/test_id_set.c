/* Which ids of one request stand for two events. */
#include "check.h"

#include "base/auto.h"
#include "id_set.h"

#include <stdlib.h>
#include <string.h>

enum { IDS = 1000 };

static struct event event_of(uint8_t first, uint32_t tail, enum event_type type, const char *ad_id)
{
    struct event event = {.type = type, .ad_id_size = (uint8_t)strlen(ad_id)};

    memcpy(event.ad_id, ad_id, event.ad_id_size);
    event.id[0] = first;
    memcpy(event.id + EVENT_ID_SIZE - sizeof(tail), &tail, sizeof(tail));
    return event;
}

static bool add(struct id_set *set, uint8_t first, uint32_t tail, enum event_type type,
                const char *ad_id)
{
    const struct event event = event_of(first, tail, type, ad_id);

    return id_set_add(set, &event);
}

TEST(an_event_that_is_sent_again_is_the_same_event)
{
    AUTO(auto_free) void *memory = malloc(id_set_size(3));
    struct id_set *set = id_set_init(memory, 3);

    assert_true(add(set, 1, 7, EVENT_CLICK, "a"));
    assert_true(add(set, 1, 7, EVENT_CLICK, "a"));
    assert_true(add(set, 1, 8, EVENT_CLICK, "a"));
}

TEST(an_id_of_another_type_or_ad_is_reused)
{
    AUTO(auto_free) void *memory = malloc(id_set_size(2));
    struct id_set *set = id_set_init(memory, 2);

    assert_true(add(set, 1, 7, EVENT_CLICK, "a"));
    assert_false(add(set, 1, 7, EVENT_IMPRESSION, "a"));
    assert_false(add(set, 1, 7, EVENT_CLICK, "b"));
    assert_true(add(set, 1, 7, EVENT_CLICK, "a"));
}

TEST(as_many_ids_as_it_was_made_for_are_told_apart_though_they_collide)
{
    AUTO(auto_free) void *memory = malloc(id_set_size(IDS));
    struct id_set *set = id_set_init(memory, IDS);

    for (uint32_t i = 0; i < IDS; i++)
        assert_true(add(set, (uint8_t)(i % 250), i / 250, EVENT_CLICK, "a"));
    for (uint32_t i = 0; i < IDS; i++) {
        assert_false(add(set, (uint8_t)(i % 250), i / 250, EVENT_CLICK, "b"));
        assert_true(add(set, (uint8_t)(i % 250), i / 250, EVENT_CLICK, "a"));
    }
}

TEST(one_id_is_enough)
{
    AUTO(auto_free) void *memory = malloc(id_set_size(1));
    struct id_set *set = id_set_init(memory, 1);

    assert_true(add(set, 0, 0, EVENT_CLICK, "a"));
    assert_false(add(set, 0, 0, EVENT_CLICK, "b"));
}

TESTS(RUN(an_event_that_is_sent_again_is_the_same_event),
      RUN(an_id_of_another_type_or_ad_is_reused),
      RUN(as_many_ids_as_it_was_made_for_are_told_apart_though_they_collide), RUN(one_id_is_enough))

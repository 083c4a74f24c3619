#include "ads_handler.h"

#include "analytics_json.h"
#include "base/auto.h"
#include "base/text.h"
#include "base/time_text.h"
#include "catalogue.h"
#include "gateway.h"
#include "http/etag.h"
#include "http/query_string.h"
#include "http/request.h"
#include "http/respond.h"

#include <stdio.h>
#include <string.h>

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    AD_BYTES_MAX = 64 * 1024, /* of one ad; its texts are whatever the catalogue's owner entered */
    LEGACY_BYTES_MAX = 64 * 1024 * 1024,
};

static const char *const names[] = {"limit", "cursor", NULL};

static const struct catalogue_snapshot *catalogue_of(h2o_req_t *req)
{
    const struct catalogue_snapshot *catalogue = gateway_thread_of(req)->catalogue;

    if (catalogue_is_known(catalogue))
        return catalogue;
    respond_fault(req, FAULT_UNAVAILABLE, "", "the ads are not known yet");
    return NULL;
}

static void add_member(struct text *text, const char *before, const char *value)
{
    text_add_str(text, before);
    text_add_json_string(text, value, strlen(value));
}

static void add_ad(struct text *text, const struct ad *ad, bool is_legacy)
{
    char created_at[TIME_TEXT_SIZE];

    time_text_format(ad->created_at_ms, created_at);
    text_add_str(text, "{\"id\":");
    if (is_legacy)
        json_add_legacy_id(text, ad->id);
    else
        text_add_json_string(text, ad->id, strlen(ad->id));
    add_member(text, ",\"title\":", ad->title);
    add_member(text, ",\"image_url\":", ad->image_url);
    add_member(text, ",\"video_url\":", ad->video_url);
    add_member(text, ",\"target_url\":", ad->target_url);
    add_member(text, ",\"created_at\":", created_at);
    text_add_char(text, '}');
}

/* Adds up to limit ads from *at on, and moves it behind the last one looked at. */
static size_t add_ads(struct text *text, const struct catalogue_snapshot *catalogue, size_t *at,
                      size_t limit, bool is_legacy)
{
    size_t count = 0;

    for (; *at < catalogue_count(catalogue) && count < limit; (*at)++) {
        const struct ad *ad = catalogue_at(catalogue, *at);

        if (ad->is_archived)
            continue;
        if (count++ > 0)
            text_add_char(text, ',');
        add_ad(text, ad, is_legacy);
    }
    return count;
}

static bool has_more(const struct catalogue_snapshot *catalogue, size_t at)
{
    while (at < catalogue_count(catalogue) && catalogue_at(catalogue, at)->is_archived)
        at++;
    return at < catalogue_count(catalogue);
}

static void respond_text(h2o_req_t *req, const struct text *text)
{
    if (text_ok(text))
        respond_json(req, 200, h2o_strdup(&req->pool, text_str(text), text->size));
    else
        respond_fault(req, FAULT_INTERNAL, "", "the answer could not be put together");
}

static bool parse_page(h2o_req_t *req, int64_t *limit, char cursor[EVENT_AD_ID_MAX + 1])
{
    struct query_string query;
    struct faults faults = {0};
    const char *after = NULL;
    const h2o_iovec_t text = request_query(req);

    if (query_string_parse(&query, names, text.base, text.len, &faults)) {
        (void)query_string_int(&query, "limit", 1, LIMIT_MAX, limit, &faults);
        after = query_string_find(&query, "cursor");
        if (after != NULL && !event_ad_id_is_valid(after, strlen(after)))
            fault_add(&faults, FAULT_INVALID_PARAMETER, "cursor", "is not one that we gave");
    }
    if (faults.count > 0) {
        respond_faults(req, &faults, 0);
        return false;
    }
    (void)snprintf(cursor, EVENT_AD_ID_MAX + 1, "%s", after == NULL ? "" : after);
    return true;
}

void ads_list(h2o_req_t *req, const struct route_match *match)
{
    const struct catalogue_snapshot *catalogue = catalogue_of(req);
    AUTO(text_free) struct text text;
    char cursor[EVENT_AD_ID_MAX + 1] = "";
    int64_t limit = LIMIT_DEFAULT;
    size_t at = 0;
    size_t count = 0;

    (void)match;
    text_init(&text, (size_t)LIMIT_MAX * AD_BYTES_MAX);
    if (catalogue == NULL || !parse_page(req, &limit, cursor) ||
        etag_respond_unchanged(req, catalogue_version(catalogue)))
        return;
    at = catalogue_after(catalogue, cursor); /* "" is before every id */
    text_add_str(&text, "{\"ads\":[");
    count = add_ads(&text, catalogue, &at, (size_t)limit, false);
    text_addf(&text, "],\"count\":%zu,\"next_cursor\":", count);
    if (count > 0 && has_more(catalogue, at))
        text_add_json_string(&text, catalogue_at(catalogue, at - 1)->id,
                             strlen(catalogue_at(catalogue, at - 1)->id));
    else
        text_add_str(&text, "null");
    text_add_char(&text, '}');
    respond_text(req, &text);
}

void ads_get(h2o_req_t *req, const struct route_match *match)
{
    const struct catalogue_snapshot *catalogue = catalogue_of(req);
    AUTO(text_free) struct text text;
    const struct ad *ad = NULL;

    text_init(&text, AD_BYTES_MAX);
    if (catalogue == NULL)
        return;
    ad = catalogue_find(catalogue, match->params[0].base, match->params[0].len);
    if (ad == NULL || ad->is_archived) {
        respond_fault(req, FAULT_UNKNOWN_AD, "ad_id", "the ad is not in the catalogue");
        return;
    }
    if (etag_respond_unchanged(req, catalogue_version(catalogue)))
        return;
    add_ad(&text, ad, false);
    respond_text(req, &text);
}

void ads_list_legacy(h2o_req_t *req, const struct route_match *match)
{
    const struct catalogue_snapshot *catalogue = catalogue_of(req);
    AUTO(text_free) struct text text;
    size_t at = 0;

    (void)match;
    text_init(&text, LEGACY_BYTES_MAX);
    if (catalogue == NULL || etag_respond_unchanged(req, catalogue_version(catalogue)))
        return;
    text_add_char(&text, '[');
    (void)add_ads(&text, catalogue, &at, catalogue_count(catalogue), true);
    text_add_char(&text, ']');
    respond_text(req, &text);
}

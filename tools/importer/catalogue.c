#include "catalogue.h"

#include "ad_set.h"
#include "base/auto.h"
#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ADS = 200, TITLE_SIZE = EVENT_AD_ID_MAX + 16 };

struct catalogue {
    struct target *target; /* borrowed */
    struct ad_set *ads;    /* those that are there, then those that are wanted */
    size_t there;
    struct catalogue_counts counts;
};

static bool on_known(void *ctx, const char *ad_id, struct error *err)
{
    struct catalogue *self = ctx;

    return catalogue_want(self, ad_id, strlen(ad_id), err);
}

struct catalogue *catalogue_open(struct target *target, struct error *err)
{
    AUTO(catalogue_close) struct catalogue *self = calloc(1, sizeof(*self));

    if (self != NULL)
        self->ads = ad_set_new();
    if (self == NULL || self->ads == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    self->target = target;
    if (!target_read_ads(target, on_known, self, err))
        return NULL;
    self->there = ad_set_count(self->ads);
    return TAKE(self);
}

void catalogue_close(struct catalogue **catalogue)
{
    if (*catalogue == NULL)
        return;
    ad_set_free(&(*catalogue)->ads);
    free(*catalogue);
    *catalogue = NULL;
}

bool catalogue_want(struct catalogue *catalogue, const char *ad_id, size_t size_bytes,
                    struct error *err)
{
    bool is_new = false;

    return ad_set_add(catalogue->ads, ad_id, size_bytes, &is_new) ||
           error_set(err, ERROR_LIMIT, "no room for more than %d ads", ADS_MAX);
}

size_t catalogue_wanted(const struct catalogue *catalogue)
{
    return ad_set_count(catalogue->ads) - catalogue->there;
}

/* A page of rows on the way from one table to the other. */
struct page {
    struct catalogue *catalogue;
    struct rejects *rejects;
    struct target_ad ads[PAGE_ADS]; /* views of texts */
    char *texts[PAGE_ADS][AD_FIELD_COUNT];
    size_t count;
};

static void page_clear(struct page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        for (size_t field = 0; field < AD_FIELD_COUNT; field++) {
            free(page->texts[i][field]);
            page->texts[i][field] = NULL;
        }
    }
    page->count = 0;
}

static bool page_flush(struct page *page, struct error *err)
{
    if (page->count > 0 && !target_enter_ads(page->catalogue->target, page->ads, page->count,
                                             &page->catalogue->counts.entered, err))
        return false;
    page_clear(page);
    return true;
}

static bool is_web_address(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* Leaves out what the catalogue does not take, and says so once a row. */
static bool check_addresses(struct page *page, size_t row, const char *const *all,
                            const char **values, struct error *err)
{
    char why[120] = "";

    for (int field = AD_IMAGE_URL; field <= AD_TARGET_URL; field++) {
        size_t used = strlen(why);

        if (values[field] == NULL || values[field][0] == '\0' || is_web_address(values[field]))
            continue;
        snprintf(why + used, sizeof(why) - used, "%s%s", used == 0 ? "" : ", ",
                 ad_fields.fields[field].name);
        values[field] = NULL;
    }
    if (why[0] == '\0')
        return true;
    snprintf(why + strlen(why), sizeof(why) - strlen(why),
             ": not an http(s) address, entered empty");
    return rejects_add_ad(page->rejects, row, all, why, err);
}

static bool on_ad(void *ctx, size_t row, const char *const values[AD_FIELD_COUNT],
                  struct error *err)
{
    struct page *page = ctx;
    size_t place = page->count;
    const char *id = values[AD_ID] == NULL ? "" : values[AD_ID];
    const char *taken[AD_FIELD_COUNT];

    page->catalogue->counts.read++;
    if (!event_ad_id_is_valid(id, strlen(id)))
        return rejects_add_ad(page->rejects, row, values,
                              "an ad id is 1 to 64 characters of A-Z a-z 0-9 _ -", err);
    memcpy(taken, values, sizeof(taken));
    if (taken[AD_CREATED_AT] != NULL && taken[AD_CREATED_AT][0] == '\0')
        taken[AD_CREATED_AT] = NULL; /* an infinite date */
    if (!check_addresses(page, row, values, taken, err))
        return false;
    page->count++;
    for (size_t field = 0; field < AD_FIELD_COUNT; field++) {
        page->texts[place][field] = taken[field] == NULL ? NULL : strdup(taken[field]);
        page->ads[place].values[field] = page->texts[place][field];
        if (taken[field] != NULL && page->texts[place][field] == NULL)
            return error_set(err, ERROR_LIMIT, "no memory for an ad");
    }
    return page->count < PAGE_ADS || page_flush(page, err);
}

bool catalogue_import(struct catalogue *catalogue, struct tables *tables, struct rejects *rejects,
                      struct error *err)
{
    AUTO(page_clear) struct page page = {.catalogue = catalogue, .rejects = rejects};

    return tables_read_ads(tables, on_ad, &page, err) && page_flush(&page, err);
}

bool catalogue_enter(struct catalogue *catalogue, struct error *err)
{
    size_t total = ad_set_count(catalogue->ads);

    while (catalogue->there < total) {
        struct target_ad ads[PAGE_ADS] = {0};
        char titles[PAGE_ADS][TITLE_SIZE];
        size_t count = 0;

        for (; count < PAGE_ADS && catalogue->there + count < total; count++) {
            const char *id = ad_set_get(catalogue->ads, catalogue->there + count);

            snprintf(titles[count], TITLE_SIZE, "Imported ad %s", id);
            ads[count].values[AD_ID] = id;
            ads[count].values[AD_TITLE] = titles[count];
        }
        if (!target_enter_ads(catalogue->target, ads, count, &catalogue->counts.named, err))
            return false;
        catalogue->there += count;
    }
    return true;
}

struct catalogue_counts catalogue_counts(const struct catalogue *catalogue)
{
    return catalogue->counts;
}

#include "legacy_analytics.h"

#include "analytics_handler.h"
#include "answers.h"
#include "board.h"
#include "gateway.h"
#include "query.h"
#include "settings.h"

void analytics_get_legacy(h2o_req_t *req, const struct route_match *match)
{
    const struct gateway_thread *thread = gateway_thread_of(req);
    struct query_spec spec;

    (void)match;
    if (!analytics_parse(req, &spec))
        return;
    if (spec.ad_id[0] != '\0') {
        answers_serve(thread->query->answers, req, &spec,
                      spec.is_camel_id ? ANSWER_LEGACY_CAMEL : ANSWER_LEGACY_SNAKE);
        return;
    }
    /* The setting is for the bare route only: whoever names a window gets the list. */
    if (spec.is_map || (thread->settings->legacy_analytics_map && req->query_at == SIZE_MAX))
        boards_serve(thread->query->boards, req, &spec, BOARD_LEGACY_MAP);
    else
        boards_serve(thread->query->boards, req, &spec, BOARD_LEGACY_LIST);
}

#include "analytics_handler.h"

#include "answers.h"
#include "board.h"
#include "catalogue.h"
#include "gateway.h"
#include "http/request.h"
#include "http/respond.h"
#include "query.h"

#include <string.h>

bool analytics_parse(h2o_req_t *req, struct query_spec *out)
{
    struct gateway_thread *thread = gateway_thread_of(req);
    const struct catalogue_snapshot *catalogue = thread->catalogue;
    const h2o_iovec_t text = request_query(req);
    struct faults faults = {0};

    query_set_clocks(thread->query, thread->server->now_ms, thread->server->at_ms);
    if (!query_spec_parse(text.base, text.len, out, &faults)) {
        respond_faults(req, &faults, 0);
        return false;
    }
    if (!catalogue_is_known(catalogue)) {
        /* One ad's numbers can be had all the same; which ads there are cannot. */
        if (out->ad_id[0] != '\0')
            return true;
        respond_fault(req, FAULT_UNAVAILABLE, "", "the ads are not known yet");
        return false;
    }
    /* An archived ad is found: its history stays. */
    if (out->ad_id[0] == '\0' || catalogue_find(catalogue, out->ad_id, strlen(out->ad_id)) != NULL)
        return true;
    respond_fault(req, FAULT_UNKNOWN_AD, "ad_id", "the ad is not in the catalogue");
    return false;
}

void analytics_get(h2o_req_t *req, const struct route_match *match)
{
    struct query *query = gateway_thread_of(req)->query;
    struct query_spec spec;

    (void)match;
    if (!analytics_parse(req, &spec))
        return;
    if (spec.ad_id[0] != '\0')
        answers_serve(query->answers, req, &spec, ANSWER_V1);
    else
        boards_serve(query->boards, req, &spec, BOARD_V1);
}

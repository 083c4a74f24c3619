#include "openapi_handler.h"

#include "http/etag.h"
#include "http/respond.h"

void openapi_get(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    if (!etag_respond_unchanged(req, openapi_document_version))
        respond_bytes(req, 200, "application/yaml",
                      h2o_iovec_init(openapi_document, openapi_document_size));
}

/*
 * openapi_handler.h — GET /swagger/swagger.yaml: the API's machine-readable form
 *
 * The document is a part of the binary: proto/openapi.yaml as it was when that was built. Its ETag
 * is a digest of its bytes.
 */
#pragma once

#include "http/routes.h"

#include <stddef.h>
#include <stdint.h>

/* Written at build time by embed_openapi.cmake. */
extern const char openapi_document[];
extern const size_t openapi_document_size;
extern const uint64_t openapi_document_version;

void openapi_get(h2o_req_t *req, const struct route_match *match);

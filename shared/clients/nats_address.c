#include "clients/nats_address.h"

#include "clients/endpoint.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS = 5, SEPARATOR = 0x1f };

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

bool nats_address_check(const struct nats_address *address, struct error *err)
{
    const struct {
        const char *name, *text, *mark;
    } rows[] = {{"NATS_URL", address->urls, ""},
                {"NATS_CA", address->ca, "-----BEGIN "},
                {"NATS_CERT", address->cert, "-----BEGIN CERTIFICATE-----"},
                {"NATS_KEY", address->key, "PRIVATE KEY-----"},
                {"NATS_CREDS_FILE", address->creds_file, ""}};

    for (size_t i = 0; i < PARTS; i++) {
        if (!is_set(rows[i].text))
            continue;
        if (strchr(rows[i].text, SEPARATOR) != NULL)
            return error_set(err, ERROR_INVALID, "%s: holds a control character", rows[i].name);
        if (strstr(rows[i].text, rows[i].mark) == NULL)
            return error_set(err, ERROR_INVALID, "%s: must be PEM; a file's name is %s_FILE",
                             rows[i].name, rows[i].name);
    }
    if (is_set(address->cert) != is_set(address->key))
        return error_set(err, ERROR_INVALID, "NATS_CERT and NATS_KEY: one is of no use alone");
    return true;
}

char *nats_address_join(const struct nats_address *address)
{
    const char *const parts[PARTS] = {address->urls, address->ca, address->cert, address->key,
                                      address->creds_file};
    size_t count = 1;
    size_t size = 0;
    char *text;
    char *at;

    for (size_t i = 0; i < PARTS; i++) {
        if (is_set(parts[i]))
            count = i + 1;
        size += is_set(parts[i]) ? strlen(parts[i]) : 0;
    }
    text = malloc(size + count);
    at = text;
    for (size_t i = 0; at != NULL && i < count; i++) {
        if (i > 0)
            *at++ = SEPARATOR;
        at = stpcpy(at, parts[i] == NULL ? "" : parts[i]);
    }
    return text;
}

bool nats_address_read(struct endpoint *endpoint, uint64_t *out_version, struct nats_address *out)
{
    char *text = endpoint_get(endpoint, out_version);
    const char *parts[PARTS] = {text, "", "", "", ""};
    char *at = text;

    *out = (struct nats_address){.text = text, .text_size = text == NULL ? 0 : strlen(text)};
    if (text == NULL)
        return false;
    for (size_t i = 1; i < PARTS && (at = strchr(at, SEPARATOR)) != NULL; i++) {
        *at++ = '\0';
        parts[i] = at;
    }
    out->urls = parts[0];
    out->ca = parts[1];
    out->cert = parts[2];
    out->key = parts[3];
    out->creds_file = parts[4];
    return true;
}

void nats_address_wipe(struct nats_address *address)
{
    if (address->text != NULL)
        explicit_bzero(address->text, address->text_size);
    free(address->text);
    *address = (struct nats_address){0};
}

bool nats_address_wants_tls(const struct nats_address *address)
{
    return strstr(address->urls, "tls://") != NULL || *address->ca != '\0' ||
           *address->cert != '\0';
}

/*
 * endpoints.h — where NATS, PostgreSQL and Redis are, by every name that ever told it
 *
 * Why:     the services share the addresses, and deployments of the earlier trackers keep the names
 *          they have: one place knows them all and which of them wins.
 * Shape:   struct endpoints is embedded in a service's struct settings; the macros are the rows of
 *          its option table. endpoints_resolve turns what was set into two addresses:
 *
 *            DATABASE_URL > DB_DSN > POSTGRES_HOST|PORT|USER|PASSWORD|DB   -> postgres
 *            REDIS_URL > REDIS_ADDR > REDIS_HOST|PORT, with REDIS_PASSWORD|DB  -> redis
 *
 * Live:    endpoints_open makes an endpoint of each address for the clients; SIGHUP has the fresh
 *          settings' addresses taken up there, while the strings of the running ones stay.
 * Errors:  ERROR_INVALID names the variable; neither errors nor notes ever hold a password.
 * Memory:  the strings are the settings' (config_free); what is resolved lies in fixed buffers.
 */
#pragma once

#include "base/error.h"
#include "clients/endpoint.h"
#include "runtime/config.h"
#include <stddef.h>
#include <stdint.h>

enum { ENDPOINT_MAX = 1024, ENDPOINT_NOTES_MAX = 4, ENDPOINT_NOTE_MAX = 160 };

struct endpoints {
    char *nats_url, *nats_ca, *nats_cert, *nats_key, *nats_creds_file;
    char *kafka_broker;
    char *database_url, *db_dsn;
    char *postgres_host, *postgres_user, *postgres_password, *postgres_db;
    int64_t postgres_port;
    char *redis_url, *redis_addr, *redis_host, *redis_password;
    int64_t redis_port, redis_db;

    /* Filled by endpoints_resolve. Both hold passwords: never log them. */
    char postgres[ENDPOINT_MAX];                       /* for struct pg_options */
    char redis[ENDPOINT_MAX];                          /* for struct redis_options */
    char notes[ENDPOINT_NOTES_MAX][ENDPOINT_NOTE_MAX]; /* worth a warning each */
    size_t note_count;

    /* Owned, from endpoints_open to endpoints_close; NULL: the service has no such rows. */
    struct {
        struct endpoint *nats, *postgres, *redis;
    } live;
};

/* Rows for a table over struct settings; member is its struct endpoints. */
#define ENDPOINT_FIELD(member, field) (FIELD(member) + offsetof(struct endpoints, field))
#define ENDPOINT_ROWS_NATS(member)                                                                 \
    RELOADABLE(STRING, "NATS_URL", ENDPOINT_FIELD(member, nats_url), "nats://127.0.0.1:4222",      \
               "where JetStream is, tls:// or nats://; several URLs with commas between"),         \
        RELOADABLE(                                                                                \
            SECRET, "NATS_CA", ENDPOINT_FIELD(member, nats_ca),                                    \
            "PEM of who signs NATS's certificates, as a rule NATS_CA_FILE; TLS or nothing"),       \
        RELOADABLE(SECRET, "NATS_CERT", ENDPOINT_FIELD(member, nats_cert),                         \
                   "PEM of our own certificate for NATS, as a rule NATS_CERT_FILE"),               \
        RELOADABLE(SECRET, "NATS_KEY", ENDPOINT_FIELD(member, nats_key),                           \
                   "PEM of its private key, as a rule NATS_KEY_FILE"),                             \
        RELOADABLE(STRING, "NATS_CREDS_FILE", ENDPOINT_FIELD(member, nats_creds_file), "",         \
                   "file of a NATS user's JWT and seed, read at each connect; empty: none"),       \
        OPTION_STRING("KAFKA_BROKER", ENDPOINT_FIELD(member, kafka_broker), NULL,                  \
                      "ignored, with a warning")

#define ENDPOINT_ROWS_POSTGRES(member)                                                             \
    RELOADABLE(SECRET, "DATABASE_URL", ENDPOINT_FIELD(member, database_url),                       \
               "where PostgreSQL is, URL or key=value, of one host or several; wins over DB_DSN, " \
               "POSTGRES_*"),                                                                      \
        RELOADABLE(SECRET, "DB_DSN", ENDPOINT_FIELD(member, db_dsn),                               \
                   "the same, older name; wins over POSTGRES_*"),                                  \
        RELOADABLE(STRING, "POSTGRES_HOST", ENDPOINT_FIELD(member, postgres_host), "127.0.0.1",    \
                   "PostgreSQL's host, or the directory of its socket"),                           \
        RELOADABLE(INT, "POSTGRES_PORT", ENDPOINT_FIELD(member, postgres_port), 5432, 1, 65535,    \
                   "PostgreSQL's port"),                                                           \
        RELOADABLE(STRING, "POSTGRES_USER", ENDPOINT_FIELD(member, postgres_user), "adledger",     \
                   "PostgreSQL's role"),                                                           \
        RELOADABLE(SECRET, "POSTGRES_PASSWORD", ENDPOINT_FIELD(member, postgres_password),         \
                   "the role's password"),                                                         \
        RELOADABLE(STRING, "POSTGRES_DB", ENDPOINT_FIELD(member, postgres_db), "adledger",         \
                   "the database's name")

#define ENDPOINT_ROWS_REDIS(member)                                                                \
    RELOADABLE(SECRET, "REDIS_URL", ENDPOINT_FIELD(member, redis_url),                             \
               "redis://[[user]:password@]host:port[,host:port...][/db]; wins over REDIS_ADDR, "   \
               "REDIS_HOST"),                                                                      \
        RELOADABLE(STRING, "REDIS_ADDR", ENDPOINT_FIELD(member, redis_addr), NULL,                 \
                   "host:port[,host:port...]; wins over REDIS_HOST"),                              \
        RELOADABLE(STRING, "REDIS_HOST", ENDPOINT_FIELD(member, redis_host), "127.0.0.1",          \
                   "Redis's host"),                                                                \
        RELOADABLE(INT, "REDIS_PORT", ENDPOINT_FIELD(member, redis_port), 6379, 1, 65535,          \
                   "Redis's port"),                                                                \
        RELOADABLE(SECRET, "REDIS_PASSWORD", ENDPOINT_FIELD(member, redis_password),               \
                   "Redis's password"),                                                            \
        RELOADABLE(INT, "REDIS_DB", ENDPOINT_FIELD(member, redis_db), 0, 0, 15,                    \
                   "number of the Redis database")

/* Applies the precedence and checks the form; a member that was not in the table is skipped. */
MUST_CHECK bool endpoints_resolve(struct endpoints *endpoints, struct error *err);
/* Logs what endpoints_resolve has noted: once, at a start, when there is a log. */
void endpoints_tell_notes(const struct endpoints *endpoints);

/* After endpoints_resolve, before the clients are made. */
MUST_CHECK bool endpoints_open(struct endpoints *endpoints, struct error *err);
void endpoints_close(struct endpoints *endpoints);
/* Gives the running ones' clients the addresses of the fresh, which were resolved: all or none. */
MUST_CHECK bool endpoints_take_up(const struct endpoints *running, const struct endpoints *fresh,
                                  struct error *err);

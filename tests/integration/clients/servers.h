/*
 * servers.h — real servers for a test: started, frozen, killed, started again
 *
 * Why:    how a client copes with a server that dies is only known from one that does.
 * Shape:  each server has a directory of its own under TMPDIR and a port that the kernel chose; it
 *         keeps both over a kill and a restart. nats-server comes from NATS_SERVER or PATH.
 * Errors: a server that does not start fails the test.
 * Memory: server_close; whatever a failed test leaves is killed and removed at exit.
 */
#pragma once

struct endpoint;
struct server;

struct server *server_open_nats(void);  /* JetStream; synced by the system, so that it is fast */
struct server *server_open_redis(void); /* nothing is saved */
/* A node of a cluster that has neither slots nor other nodes yet; its bus is 10,000 ports below. */
struct server *server_open_redis_cluster(void);
struct server *server_open_postgres(void); /* role postgres, no password; fsync off */
void server_close(struct server **server);

const char *server_url(const struct server *server);
struct endpoint *server_endpoint(const struct server *server); /* valid until exit */
struct endpoint *endpoint_at(const char *url);                 /* likewise */
void endpoint_move(struct endpoint *endpoint, const char *url);
int server_port(const struct server *server);

void server_freeze(const struct server *server); /* SIGSTOP, its children too */
void server_thaw(const struct server *server);
void server_kill(struct server *server); /* SIGKILL; its files stay */
void server_start(struct server *server);

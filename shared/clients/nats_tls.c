#include "clients/nats_tls.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>

/* For each step of a handshake, of which there are a few. */
enum { HANDSHAKE_STEP_S = 1, CHUNK_BYTES = 16384 };

/* The session that this thread made last and has not freed yet; borrowed. */
static _Thread_local SSL *latest;

static void on_info(const SSL *session, int where, int value)
{
    const struct timeval wait = {.tv_sec = HANDSHAKE_STEP_S};
    int descriptor = SSL_get_fd(session);

    (void)value;
    if (where != SSL_CB_HANDSHAKE_START || descriptor < 0 ||
        (fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0)
        return;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static void on_new(void *session, void *data, CRYPTO_EX_DATA *all, int index, long argl, void *argp)
{
    (void)data, (void)all, (void)index, (void)argl, (void)argp;
    latest = session;
    SSL_set_info_callback(latest, on_info);
}

static void on_free(void *session, void *data, CRYPTO_EX_DATA *all, int index, long argl,
                    void *argp)
{
    (void)data, (void)all, (void)index, (void)argl, (void)argp;
    if (latest == session)
        latest = NULL;
}

static void watch(void)
{
    (void)SSL_get_ex_new_index(0, NULL, on_new, NULL, on_free);
}

void nats_tls_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, watch);
}

bool nats_tls_take(int descriptor, int copy, SSL **out)
{
    SSL *session = TAKE(latest);
    BIO *input;
    BIO *output;

    *out = NULL;
    if (session == NULL || SSL_get_fd(session) != descriptor)
        return true;
    input = BIO_new_socket(copy, BIO_NOCLOSE);
    output = BIO_new(BIO_s_mem());
    if (input == NULL || output == NULL || SSL_up_ref(session) != 1) {
        BIO_free(input);
        BIO_free(output);
        return false;
    }
    SSL_set0_rbio(session, input);
    SSL_set0_wbio(session, output);
    *out = session;
    return true;
}

void nats_tls_free(SSL **session)
{
    SSL_free(*session);
    *session = NULL;
}

bool nats_tls_has_input(SSL *session)
{
    char byte;
    int got;

    ERR_clear_error();
    got = SSL_peek(session, &byte, 1);
    return got > 0 || SSL_get_error(session, got) != SSL_ERROR_WANT_READ;
}

static void drop(BIO *output, size_t size)
{
    char chunk[CHUNK_BYTES];

    while (size > 0) {
        int got = BIO_read(output, chunk, (int)(size < sizeof(chunk) ? size : sizeof(chunk)));

        if (got <= 0)
            return;
        size -= (size_t)got;
    }
}

bool nats_tls_send(SSL *session)
{
    BIO *output = SSL_get_wbio(session);
    char *bytes = NULL;
    long size;

    while ((size = BIO_get_mem_data(output, &bytes)) > 0) {
        ssize_t sent = send(SSL_get_rfd(session), bytes, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        drop(output, sent < 0 ? (size_t)size : (size_t)sent); /* broken: reading tells it, too */
    }
    return true;
}

size_t nats_tls_unsent(SSL *session)
{
    return (size_t)BIO_pending(SSL_get_wbio(session));
}

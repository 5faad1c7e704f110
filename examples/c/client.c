/*
 * A WebSocket client: libwsframe with poll().
 *
 *     client ws://127.0.0.1:8002/xxoo Hello world
 *
 * sends each word as a message, prints each message that comes back, and closes. Without words it sends back all that
 * it gets until the server closes. Ends with 0 if the connection was closed as it should be. Messages are compressed if
 * the server agrees; with --no-context-takeover before the address each on its own.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wsframe.h>

enum { MAX_MESSAGE = 16 << 20, CHUNK = 64 << 10, LINGER_MS = 2000 };

struct client {
    int fd;
    wsframe_connection *connection;
    char **words;
    int word_count;
    int returned; /* how many messages have come */
};

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int connect_to(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses;
    int fd = -1, on = 1, failure = getaddrinfo(host, port, &hints, &addresses);
    if (failure) {
        fprintf(stderr, "client: %s: %s\n", host, gai_strerror(failure));
        return -1;
    }
    for (struct addrinfo *address = addresses; address && fd < 0; address = address->ai_next) {
        fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) == 0) continue;
        perror("client: cannot connect");
        close(fd);
        fd = -1;
    }
    freeaddrinfo(addresses);
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= 0) fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Deals with what came. Returns less than 0 if that failed, as the functions of the connection do. */
static ptrdiff_t handle(struct client *client, const wsframe_event *event, const char *payload) {
    ptrdiff_t result = 0;
    switch (event->kind) {
    case WSFRAME_EVENT_OPEN:
        for (int i = 0; i < client->word_count && result >= 0; i++) {
            const char *word = client->words[i];
            result = wsframe_connection_send(client->connection, WSFRAME_OPCODE_TEXT, word, strlen(word));
        }
        break;
    case WSFRAME_EVENT_TEXT:
    case WSFRAME_EVENT_BINARY:
        if (client->word_count == 0) return wsframe_connection_send(client->connection, event->kind, payload, event->len);
        fwrite(payload, 1, event->len, stdout);
        putchar('\n');
        if (++client->returned == client->word_count)
            result = wsframe_connection_close(client->connection, 1000, NULL, 0);
        break;
    case WSFRAME_EVENT_ERROR:
        if (event->error == WSFRAME_ERROR_HANDSHAKE && event->close_code)
            fprintf(stderr, "client: the server answered with HTTP status %d\n", event->close_code);
        break;
    }
    return result;
}

/* Reads what has come and deals with it. Returns whether the server is still there. */
static int read_from(struct client *client) {
    static char in[CHUNK];
    wsframe_batch batch;
    ssize_t in_len = recv(client->fd, in, sizeof in, 0);
    if (in_len <= 0) return in_len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);

    do { /* once, but for what one call may deliver */
        ptrdiff_t result = wsframe_connection_receive_in_place(client->connection, in, (size_t)in_len, &batch);
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count && result >= 0; event++) {
            const char *data = event->flags & WSFRAME_DATA_IN_PLACE ? in : (const char *)batch.data;
            result = handle(client, event, data + event->offset);
        }
        if (result < 0) fprintf(stderr, "client: %s\n", wsframe_why());
        if (result < 0) return 0;
        in_len = 0;
    } while (batch.flags & WSFRAME_BATCH_MORE);
    return 1;
}

/* Talks until there is no more to be said. */
static void talk(struct client *client) {
    for (;;) {
        wsframe_output output;
        ssize_t sent = 0;
        while (wsframe_connection_output(client->connection, (size_t)sent, now_ms(), &output) > 0) {
            sent = send(client->fd, output.data, output.len, MSG_NOSIGNAL);
            if (sent <= 0) break;
        }
        if (output.wait_ms == 0) return;
        /* It reads when the server has taken all it was sent, so the answers to one read are all that waits. */
        int waits = wsframe_connection_waiting(client->connection) > 0;
        struct pollfd server = {.fd = client->fd, .events = waits ? POLLOUT : POLLIN};
        poll(&server, 1, output.wait_ms < 60000 ? (int)output.wait_ms : 60000);
        if (server.revents & ~POLLOUT && !read_from(client)) return;
    }
}

/* RFC 6455 section 7.1.1: with close() alone, what the server still sends could destroy what is on its way to it. */
static void hang_up(int fd) {
    char rest[4096];
    struct pollfd server = {.fd = fd, .events = POLLIN};
    uint64_t end_ms = now_ms() + LINGER_MS;
    shutdown(fd, SHUT_WR);
    while (now_ms() < end_ms && poll(&server, 1, LINGER_MS) > 0 && recv(fd, rest, sizeof rest, 0) > 0) continue;
    close(fd);
}

int main(int argc, char **argv) {
    char host[256], port[6] = "80";
    int has_option = argc > 1 && strcmp(argv[1], "--no-context-takeover") == 0;
    argc -= has_option;
    argv += has_option;
    const char *authority = argc > 1 && strncmp(argv[1], "ws://", 5) == 0 ? argv[1] + 5 : "";
    size_t authority_len = strcspn(authority, "/");
    const char *target = authority[authority_len] == '/' ? authority + authority_len : "/";
    if (sscanf(authority, "%255[^:/]:%5[0-9]", host, port) < 1 || memchr(authority, '@', authority_len)) {
        fprintf(stderr, "client [--no-context-takeover] ws://HOST:PORT/TARGET [WORD...]\n");
        fprintf(stderr, "There is no TLS here, so no wss://, and no name or password in the address.\n");
        return 2;
    }

    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE | (has_option ? WSFRAME_CONFIG_CLIENT_NO_CONTEXT_TAKEOVER : 0);
    config.client_max_window_bits = 15; /* the most there is, of which the server may want less */
    config.max_inflated_len = config.high_water_len = MAX_MESSAGE;
    struct client client = {.words = argv + 2, .word_count = argc - 2};
    if (wsframe_connection_new(WSFRAME_ROLE_CLIENT, &config, &client.connection) < 0) return 1;
    ptrdiff_t result = wsframe_connection_request(client.connection, authority, authority_len, target, strlen(target));
    if (result < 0) fprintf(stderr, "client: %s\n", wsframe_why());
    client.fd = result < 0 ? -1 : connect_to(host, port);
    if (client.fd >= 0) {
        talk(&client);
        hang_up(client.fd);
    }
    ptrdiff_t state = wsframe_connection_state(client.connection);
    const char *error = wsframe_connection_error(client.connection);
    if (error) fprintf(stderr, "client: %s\n", error);
    const char *without = state == WSFRAME_STATE_CONNECTING ? "an answer" : "a close frame";
    if (client.fd >= 0 && state != WSFRAME_STATE_CLOSED && state != WSFRAME_STATE_FAILED)
        fprintf(stderr, "client: the server hung up without %s\n", without);
    wsframe_connection_free(client.connection);
    return state == WSFRAME_STATE_CLOSED ? 0 : 1;
}

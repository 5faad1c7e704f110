/* The hub: with a client that is a socket of this program, and all that can be done wrong with it. */

#define _POSIX_C_SOURCE 200809L

#include "wsframe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PATIENCE_MS = 20000, NOBODY = 7 };

static const char request[] = "GET /room HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char masked_hello[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

static wsframe_batch batch;

static wsframe_hub *new_hub(uint32_t flags, int *port) {
    wsframe_hub *hub = NULL;
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = flags;
    CHECK_EQ(wsframe_hub_new(NULL, &hub), 0);
    ptrdiff_t listening = wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, &config);
    CHECK(listening > 0 && listening < 65536);
    *port = (int)listening;
    return hub;
}

static int connect_to(int port) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static void say(int client, const void *bytes, size_t len) {
    CHECK_EQ(write(client, bytes, len), len);
}

/* The next batch that has events. */
static void next_events(wsframe_hub *hub) {
    ptrdiff_t count = wsframe_hub_poll(hub, PATIENCE_MS, &batch);
    CHECK(count > 0);
    CHECK_EQ(batch.count, count);
    CHECK_EQ(batch.flags | batch.reserved, 0);
}

/* Whose this event is, which is of this kind. */
static uint64_t whose(const wsframe_event *event, int kind) {
    CHECK_EQ(event->kind, kind);
    CHECK(event->connection != 0);
    return event->connection;
}

/* The next batch, which has one event of this kind, and whose it is. */
static uint64_t next_event(wsframe_hub *hub, int kind) {
    next_events(hub);
    CHECK_EQ(batch.count, 1);
    return whose(batch.events, kind);
}

/* The same where both ends are the hub's: what they have to tell may come in one batch, of which so many were taken. */
static uint64_t next_of_both(wsframe_hub *hub, int kind, size_t *taken) {
    if (*taken == batch.count) {
        next_events(hub);
        *taken = 0;
    }
    return whose(&batch.events[(*taken)++], kind);
}

/* What the hub has said to the client begins with this; the hub is polled until it has. */
static void hears(wsframe_hub *hub, int client, const char *expected, size_t len) {
    char heard[1024];
    size_t have = 0;
    struct pollfd polled = {.fd = client, .events = POLLIN};
    while (have < len) {
        CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
        if (poll(&polled, 1, 10) > 0) {
            ssize_t got = read(client, heard + have, sizeof heard - have);
            CHECK(got > 0);
            have += (size_t)got;
        }
    }
    CHECK_BYTES(heard, expected, len);
}

static uint64_t open_client(wsframe_hub *hub, int port, int *client) {
    *client = connect_to(port);
    say(*client, request, sizeof request - 1);
    uint64_t id = next_event(hub, WSFRAME_EVENT_OPEN);
    hears(hub, *client, BYTES("HTTP/1.1 101 "));
    return id;
}

static void null_is_refused(void) {
    about("NULL in every place");
    int port;
    wsframe_hub *hub = new_hub(0, &port);
    wsframe_connection *connection = NULL;
    wsframe_stats stats;
    const void *text;
    uint64_t id = NOBODY;
    const size_t len = 1;
    const ptrdiff_t refused[] = {
        wsframe_hub_new(NULL, NULL),
        wsframe_hub_listen(NULL, BYTES("127.0.0.1:0"), 0, NULL),
        wsframe_hub_listen(hub, NULL, 1, 0, NULL),
        wsframe_hub_poll(NULL, 0, &batch),
        wsframe_hub_poll(hub, 0, NULL),
        wsframe_hub_connection(NULL, NOBODY, &connection),
        wsframe_hub_connection(hub, NOBODY, NULL),
        wsframe_hub_send(NULL, NOBODY, WSFRAME_OPCODE_TEXT, NULL, 0),
        wsframe_hub_send(hub, NOBODY, WSFRAME_OPCODE_TEXT, NULL, 1),
        wsframe_hub_send_many(NULL, &id, WSFRAME_OPCODE_TEXT, "a", &len, 1),
        wsframe_hub_send_many(hub, NULL, WSFRAME_OPCODE_TEXT, "a", &len, 1),
        wsframe_hub_send_many(hub, &id, WSFRAME_OPCODE_TEXT, NULL, &len, 1),
        wsframe_hub_send_many(hub, &id, WSFRAME_OPCODE_TEXT, "a", NULL, 1),
        wsframe_hub_subscribe(NULL, NOBODY, BYTES("a")),
        wsframe_hub_subscribe(hub, NOBODY, NULL, 1),
        wsframe_hub_unsubscribe(NULL, NOBODY, BYTES("a")),
        wsframe_hub_unsubscribe(hub, NOBODY, NULL, 1),
        wsframe_hub_subscribers(NULL, BYTES("a")),
        wsframe_hub_subscribers(hub, NULL, 1),
        wsframe_hub_publish(NULL, BYTES("a"), 0, WSFRAME_OPCODE_TEXT, BYTES("a")),
        wsframe_hub_publish(hub, NULL, 1, 0, WSFRAME_OPCODE_TEXT, BYTES("a")),
        wsframe_hub_publish(hub, BYTES("a"), 0, WSFRAME_OPCODE_TEXT, NULL, 1),
        wsframe_hub_adopt(NULL, 0, WSFRAME_ROLE_SERVER, 0, NULL, &id),
        wsframe_hub_adopt(hub, 0, WSFRAME_ROLE_SERVER, 0, NULL, NULL),
        wsframe_hub_connect(NULL, BYTES("ws://a/"), NULL, 0, NULL, &id),
        wsframe_hub_connect(hub, NULL, 1, NULL, 0, NULL, &id),
        wsframe_hub_connect(hub, BYTES("ws://a/"), NULL, 1, NULL, &id),
        wsframe_hub_connect(hub, BYTES("ws://a/"), NULL, 0, NULL, NULL),
        wsframe_hub_set_certificate(NULL, 80, "a", 1, "a", 1),
        wsframe_hub_set_certificate(hub, 80, NULL, 1, "a", 1),
        wsframe_hub_set_certificate(hub, 80, "a", 1, NULL, 1),
        wsframe_hub_trust(NULL, "a", 1),
        wsframe_hub_trust(hub, NULL, 1),
        wsframe_hub_pause(NULL, NOBODY, 1),
        wsframe_hub_terminate(NULL, NOBODY),
        wsframe_hub_address(NULL, NOBODY, &text),
        wsframe_hub_address(hub, NOBODY, NULL),
        wsframe_hub_set_user(NULL, NOBODY, &id),
        wsframe_hub_timer(NULL, 1, 0),
        wsframe_hub_watch(NULL, 0, WSFRAME_WATCH_READ),
        wsframe_hub_fd(NULL),
        wsframe_hub_wake(NULL),
        wsframe_hub_stop(NULL, 0),
        wsframe_hub_stats(NULL, &stats, sizeof stats),
        wsframe_hub_stats(hub, NULL, sizeof stats),
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        about("NULL, call %zu", i);
        CHECK_EQ(refused[i], WSFRAME_ERROR_ARGUMENT);
    }
    CHECK(wsframe_hub_user(NULL, NOBODY) == NULL);
    wsframe_hub_free(hub);
    wsframe_hub_free(NULL);
}

static void what_cannot_be_right_is_refused(void) {
    about("arguments");
    wsframe_hub *hub = NULL;
    wsframe_hub_config config = {0};
    CHECK_EQ(wsframe_hub_new(&config, &hub), WSFRAME_ERROR_ARGUMENT);
    CHECK(hub == NULL);
    config.struct_size = sizeof config;
    config.max_connections = 1;
    CHECK_EQ(wsframe_hub_new(&config, &hub), 0);
    wsframe_config wrong = {0};
    wrong.struct_size = sizeof wrong;
    wrong.deflate_level = 10;
    CHECK_EQ(wsframe_hub_listen(hub, BYTES("localhost:80"), 0, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 8, NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, &wrong), WSFRAME_ERROR_ARGUMENT);
    ptrdiff_t port = wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, NULL);
    char same[32];
    int len = snprintf(same, sizeof same, "127.0.0.1:%d", (int)port);
    CHECK_EQ(wsframe_hub_listen(hub, same, (size_t)len, WSFRAME_LISTEN_REUSE_PORT, NULL), WSFRAME_ERROR_IO);
    CHECK_EQ(errno, EADDRINUSE);
    CHECK_EQ(wsframe_hub_send(hub, NOBODY, WSFRAME_OPCODE_CLOSE, NULL, 0), 0); /* nobody hears it */
    CHECK_EQ(wsframe_hub_send(hub, NOBODY, 3, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    const uint64_t id = NOBODY;
    const size_t one = 1;
    uint32_t piece = WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE;
    CHECK_EQ(wsframe_hub_send_many(hub, &id, piece, "a", &one, 1), WSFRAME_ERROR_ARGUMENT);
    uint64_t made = NOBODY;
    CHECK_EQ(wsframe_hub_connect(hub, BYTES("http://a/"), NULL, 0, NULL, &made), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_connect(hub, BYTES("ws://\xFF/"), NULL, 0, NULL, &made), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_connect(hub, BYTES("ws://a/"), BYTES("\xFF"), NULL, &made), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_connect(hub, BYTES("ws://a/"), NULL, 0, &wrong, &made), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_adopt(hub, -1, WSFRAME_ROLE_SERVER, 0, NULL, &made), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_adopt(hub, 0, 2, 0, NULL, &made), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_adopt(hub, 1000000, WSFRAME_ROLE_SERVER, 0, NULL, &made), WSFRAME_ERROR_IO);
    CHECK_EQ(made, NOBODY);
    CHECK_EQ(wsframe_hub_watch(hub, -1, WSFRAME_WATCH_READ), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_watch(hub, 0, 0x100), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_watch(hub, 1000000, WSFRAME_WATCH_READ), WSFRAME_ERROR_IO);
    CHECK_EQ(wsframe_hub_subscribe(hub, NOBODY, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_unsubscribe(hub, NOBODY, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_publish(hub, BYTES("a"), 0, piece, BYTES("a")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_publish(hub, BYTES("a"), 0, WSFRAME_OPCODE_PING, BYTES("a")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_publish(hub, BYTES("a"), 0, WSFRAME_OPCODE_TEXT, BYTES("\xFF")), WSFRAME_ERROR_ARGUMENT);
    wsframe_hub_free(hub);
}

/* The id of a connection that is gone, of one that never was, and 0. */
static void nothing_is_done_with_an_id_of_nobody(void) {
    about("stale ids");
    int port, client;
    wsframe_hub *hub = new_hub(0, &port);
    wsframe_connection *connection = NULL;
    uint64_t stale = open_client(hub, port, &client);
    CHECK_EQ(close(client), 0);
    CHECK(next_event(hub, WSFRAME_EVENT_GONE) == stale);
    CHECK_EQ(batch.events->close_code, 1006);
    CHECK_EQ(wsframe_hub_send(hub, stale, WSFRAME_OPCODE_TEXT, BYTES("a")), 0);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    uint64_t other = open_client(hub, port, &client);
    CHECK(other != stale);
    const uint64_t nobody[] = {stale, NOBODY, 0, UINT64_MAX};
    const size_t len = 1;
    for (size_t i = 0; i < COUNT(nobody); i++) {
        CHECK_EQ(wsframe_hub_send(hub, nobody[i], WSFRAME_OPCODE_TEXT, BYTES("a")), 0);
        CHECK_EQ(wsframe_hub_send_many(hub, &nobody[i], WSFRAME_OPCODE_TEXT, "a", &len, 1), 1);
        CHECK_EQ(wsframe_hub_connection(hub, nobody[i], &connection), 0);
        CHECK_EQ(wsframe_hub_subscribe(hub, nobody[i], BYTES("a")), 0);
        CHECK_EQ(wsframe_hub_unsubscribe(hub, nobody[i], BYTES("a")), 0);
        CHECK_EQ(wsframe_hub_pause(hub, nobody[i], 1), 0);
        CHECK_EQ(wsframe_hub_terminate(hub, nobody[i]), 0);
        CHECK_EQ(wsframe_hub_set_user(hub, nobody[i], &client), 0);
        CHECK(wsframe_hub_user(hub, nobody[i]) == NULL);
        const void *address = hub;
        CHECK_EQ(wsframe_hub_address(hub, nobody[i], &address), 0);
        CHECK(address == NULL);
    }
    CHECK(connection == NULL);
    wsframe_stats stats;
    CHECK_EQ(wsframe_hub_stats(hub, &stats, sizeof stats), sizeof stats);
    CHECK_EQ(stats.accepted, 2);
    CHECK_EQ(stats.connections, 1);
    CHECK_EQ(stats.messages_sent, 0);
    close(client);
    wsframe_hub_free(hub);
}

static void is_the_hubs(ptrdiff_t returned) {
    CHECK_EQ(returned, WSFRAME_ERROR_STATE);
    CHECK(strstr(wsframe_why(), "hub") != NULL);
}

/* The request is answered on the connection itself; what the hub does is left to it. */
static void connections_are_lent(void) {
    about("lent connections");
    int port, client, other;
    wsframe_hub *hub = new_hub(WSFRAME_CONFIG_ASK, &port);
    wsframe_connection *connection, *second;
    wsframe_batch own;
    wsframe_output output;
    wsframe_part part;
    const void *value;
    client = connect_to(port);
    say(client, request, sizeof request - 1);
    uint64_t id = next_event(hub, WSFRAME_EVENT_REQUEST);
    CHECK_EQ(batch.data_len, sizeof request - 1);
    CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
    CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_ASKED);
    CHECK_EQ(wsframe_connection_target(connection, &value), 5);
    CHECK_EQ(wsframe_connection_field(connection, BYTES("Host"), &value), 1);
    CHECK_EQ(wsframe_connection_add_field(connection, BYTES("X-Hub"), BYTES("1")), 0);
    is_the_hubs(wsframe_connection_receive(connection, BYTES("a"), &own));
    char in[] = "a";
    is_the_hubs(wsframe_connection_receive_in_place(connection, in, 1, &own));
    is_the_hubs(wsframe_connection_gone(connection, &own));
    is_the_hubs(wsframe_connection_output(connection, 0, 0, &output));
    is_the_hubs(wsframe_connection_output(connection, WSFRAME_ALL, 0, &output));
    is_the_hubs(wsframe_connection_parts(connection, &part, 1));
    wsframe_connection_free(connection);
    CHECK_EQ(wsframe_connection_accept(connection, NULL, 0, 0, &own), 1);
    CHECK_EQ(own.events->kind, WSFRAME_EVENT_OPEN);
    CHECK(own.events->connection == id);
    hears(hub, client, BYTES("HTTP/1.1 101 "));

    other = connect_to(port);
    say(other, request, sizeof request - 1);
    uint64_t other_id = next_event(hub, WSFRAME_EVENT_REQUEST);
    CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
    CHECK_EQ(wsframe_hub_connection(hub, other_id, &second), 1);
    CHECK(connection != second);
    CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_OPEN);
    CHECK_EQ(wsframe_connection_respond(second, 404, BYTES("no")) > 0, 1);
    CHECK_EQ(wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE, BYTES("a")), 3);
    CHECK_EQ(wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT, BYTES("b")), 6);
    CHECK_EQ(wsframe_connection_close(connection, 3000, NULL, 0), 10);
    hears(hub, client, BYTES("\x01\x01" "a" "\x80\x01" "b" "\x88\x02\x0b\xb8"));
    hears(hub, other, BYTES("HTTP/1.1 404 "));
    close(other);
    CHECK(next_event(hub, WSFRAME_EVENT_GONE) == other_id);
    say(client, BYTES("\x88\x82\0\0\0\0\x0b\xb8"));
    CHECK(next_event(hub, WSFRAME_EVENT_CLOSE) == id);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    CHECK_EQ(read(client, in, 1), 0);
    close(client);
    CHECK(next_event(hub, WSFRAME_EVENT_GONE) == id);
    CHECK_EQ(batch.events->close_code, 3000);
    wsframe_hub_free(hub);
}

/* A request that is longer than what a batch has room for, and frames behind it: accepting it does not take the batch away in
   which it came. */
static void a_long_request_stays_until_the_next_poll(void) {
    about("a long request");
    enum { FILLER_LEN = 100000, FRAMES = 1000 };
    static char filler[FILLER_LEN];
    int port, client, other;
    wsframe_hub *hub = NULL;
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_ASK;
    config.max_head_len = 2 * FILLER_LEN;
    CHECK_EQ(wsframe_hub_new(NULL, &hub), 0);
    port = (int)wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, &config);
    client = connect_to(port);
    memset(filler, 'x', sizeof filler);
    say(client, request, sizeof request - 3);
    say(client, BYTES("X-Filler: "));
    say(client, filler, sizeof filler);
    say(client, BYTES("\r\n\r\n"));
    for (int i = 0; i < FRAMES; i++)
        say(client, masked_hello, sizeof masked_hello - 1);
    uint64_t id = next_event(hub, WSFRAME_EVENT_REQUEST);
    const size_t len = batch.data_len;
    CHECK(len > FILLER_LEN);
    CHECK_EQ(batch.events->len, len);
    other = connect_to(port);
    wsframe_connection *connection;
    wsframe_batch own;
    const void *value;
    CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
    CHECK_EQ(wsframe_connection_field(connection, BYTES("X-Filler"), &value), FILLER_LEN);
    ptrdiff_t accepted = wsframe_connection_accept(connection, NULL, 0, 0, &own);
    CHECK(accepted > 0);
    CHECK_EQ(own.events->kind, WSFRAME_EVENT_OPEN);
    CHECK_EQ(batch.events->kind, WSFRAME_EVENT_REQUEST);
    CHECK(batch.events->connection == id);
    CHECK_EQ(batch.events->len, len);
    CHECK_BYTES(batch.data, request, sizeof request - 3);
    CHECK_BYTES((const char *)batch.data + len - 4 - FILLER_LEN, filler, FILLER_LEN);
    size_t messages = (size_t)accepted - 1;
    while (messages < FRAMES) {
        next_events(hub);
        messages += batch.count;
    }
    CHECK_EQ(messages, FRAMES);
    close(client);
    close(other);
    wsframe_hub_free(hub);
}

static void what_is_sent_and_published_arrives(void) {
    about("send_many, publish");
    int port, clients[2];
    wsframe_hub *hub = new_hub(0, &port);
    uint64_t ids[3];
    ids[0] = open_client(hub, port, &clients[0]);
    ids[1] = open_client(hub, port, &clients[1]);
    ids[2] = ids[0];
    const size_t lens[] = {1, 2, 0};
    CHECK_EQ(wsframe_hub_send_many(hub, ids, WSFRAME_OPCODE_BINARY, "abb", lens, 3), 3);
    hears(hub, clients[0], BYTES("\x82\x01" "a" "\x82\0"));
    hears(hub, clients[1], BYTES("\x82\x02" "bb"));
    CHECK_EQ(wsframe_hub_subscribe(hub, ids[0], BYTES("news")), 1);
    CHECK_EQ(wsframe_hub_subscribe(hub, ids[1], BYTES("news")), 1);
    CHECK_EQ(wsframe_hub_subscribers(hub, BYTES("news")), 2);
    CHECK_EQ(wsframe_hub_publish(hub, BYTES("news"), ids[0], WSFRAME_OPCODE_TEXT, BYTES("n")), 1);
    hears(hub, clients[1], BYTES("\x81\x01n"));
    CHECK_EQ(wsframe_hub_unsubscribe(hub, ids[1], BYTES("news")), 1);
    CHECK_EQ(wsframe_hub_publish(hub, BYTES("news"), 0, WSFRAME_OPCODE_TEXT, BYTES("o")), 1);
    CHECK_EQ(wsframe_hub_publish(hub, NULL, 0, 0, WSFRAME_OPCODE_TEXT, BYTES("p")), 2);
    hears(hub, clients[0], BYTES("\x81\x01o\x81\x01p"));
    hears(hub, clients[1], BYTES("\x81\x01p"));
    say(clients[0], masked_hello, sizeof masked_hello - 1);
    CHECK(next_event(hub, WSFRAME_EVENT_TEXT) == ids[0]);
    CHECK_EQ(batch.events->flags, WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST);
    CHECK_EQ(batch.events->len, 5);
    CHECK_BYTES((const char *)batch.data + batch.events->offset, "Hello", 5);
    CHECK_EQ(wsframe_hub_send(hub, ids[0], batch.events->kind, (const char *)batch.data + batch.events->offset, 5), 7);
    hears(hub, clients[0], BYTES("\x81\x05Hello"));

    about("stop");
    CHECK_EQ(wsframe_hub_stop(hub, 0), 0);
    CHECK_EQ(wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, NULL), WSFRAME_ERROR_STATE);
    size_t gone = 0;
    while (wsframe_hub_poll(hub, PATIENCE_MS, &batch) >= 0 && !(batch.flags & WSFRAME_BATCH_STOPPED))
        for (size_t i = 0; i < batch.count; i++)
            gone += batch.events[i].kind == WSFRAME_EVENT_GONE;
    CHECK_EQ(gone, 2);
    CHECK_EQ(wsframe_hub_poll(hub, WSFRAME_NEVER, &batch), 0);
    CHECK_EQ(batch.flags, WSFRAME_BATCH_STOPPED);
    close(clients[0]);
    close(clients[1]);
    wsframe_hub_free(hub);
}

/* Sends a text of LONG bytes, and returns its data when it has come. */
enum { LONG = 40000 };

static const char *long_text(wsframe_hub *hub, int client, uint64_t id, const char *two_bytes) {
    static char frame[8 + LONG] = "\x81\xFE\x9C\x40\0\0\0\0"; /* masked with zeroes */
    for (size_t i = 0; i < LONG; i++)
        frame[8 + i] = two_bytes[i % 2];
    say(client, frame, sizeof frame);
    CHECK(next_event(hub, WSFRAME_EVENT_TEXT) == id);
    CHECK_EQ(batch.events->len, LONG);
    return (const char *)batch.data + batch.events->offset;
}

/* A long text that is sent from where it came is not checked once more; but only that, and if it was checked. */
static void what_was_not_checked_is_checked(void) {
    about("an echo of long text");
    int port, lax_port, client, lax;
    wsframe_hub *hub = new_hub(0, &port);
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_SKIP_UTF8;
    lax_port = (int)wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, &config);
    uint64_t id = open_client(hub, port, &client), lax_id = open_client(hub, lax_port, &lax);
    const char *text = long_text(hub, client, id, "\xC3\xA4");
    CHECK(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, text, LONG) > LONG);
    CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, text + 1, LONG - 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, text, LONG - 1), WSFRAME_ERROR_ARGUMENT);
    text = long_text(hub, lax, lax_id, "\xFF\xFE");
    CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, text, LONG), WSFRAME_ERROR_ARGUMENT);
    CHECK(wsframe_hub_send(hub, lax_id, WSFRAME_OPCODE_TEXT, text, LONG) > LONG);
    close(client);
    close(lax);
    wsframe_hub_free(hub);
}

static int is_readable(ptrdiff_t fd, int wait_ms) {
    struct pollfd polled = {.fd = (int)fd, .events = POLLIN};
    return poll(&polled, 1, wait_ms);
}

/* It is quiet when there is nothing to do, and tells of sockets, of what was sent, of wakes and of what is due. */
static void the_descriptor_tells_of_all_there_is_to_do(void) {
    about("fd");
    int port, client;
    wsframe_hub *hub = NULL;
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.ping_interval_ms = 300;
    CHECK_EQ(wsframe_hub_new(NULL, &hub), 0);
    port = (int)wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, &config);
    ptrdiff_t fd = wsframe_hub_fd(hub);
    CHECK(fd >= 0);
    CHECK(wsframe_hub_fd(hub) == fd);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    CHECK_EQ(is_readable(fd, 0), 0);
    CHECK_EQ(wsframe_hub_wake(hub), 0);
    CHECK_EQ(is_readable(fd, 0), 1);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    CHECK_EQ(is_readable(fd, 0), 0);
    client = connect_to(port);
    CHECK_EQ(is_readable(fd, PATIENCE_MS), 1);
    say(client, request, sizeof request - 1);
    uint64_t id = next_event(hub, WSFRAME_EVENT_OPEN);
    while (is_readable(fd, 50))
        CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, BYTES("a")), 3);
    CHECK_EQ(is_readable(fd, PATIENCE_MS), 1);
    hears(hub, client, BYTES("HTTP/1.1 101 "));
    about("fd and timers");
    int count = 0;
    for (; count < 100; count++) { /* until a ping is sent, with no more than a few polls */
        char byte;
        CHECK_EQ(is_readable(fd, PATIENCE_MS), 1);
        CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
        if (recv(client, &byte, 1, MSG_DONTWAIT) == 1 && byte == '\x89') break;
    }
    CHECK(count < 100);
    close(client);
    wsframe_hub_free(hub);
}

struct other_thread {
    wsframe_hub *hub;
    ptrdiff_t polled, sent;
    int says_thread;
};

/* A client of the hub's, and the socket of one that was connected elsewhere. */
static void clients_are_made_and_adopted(void) {
    about("connect, adopt");
    int port, ends[2];
    wsframe_hub *hub = new_hub(0, &port);
    wsframe_connection *connection = NULL;
    char url[64];
    const void *address;
    int len = snprintf(url, sizeof url, "ws://localhost:%d/room", port);
    uint64_t id = 0;
    CHECK_EQ(wsframe_hub_connect(hub, url, (size_t)len, NULL, 0, NULL, &id), 0);
    CHECK(id != 0);
    CHECK_EQ(wsframe_hub_address(hub, id, &address), 0);
    CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
    CHECK_EQ(wsframe_connection_add_field(connection, BYTES("X-Who"), BYTES("me")), 0);
    CHECK_EQ(wsframe_hub_set_user(hub, id, url), 1);
    batch.count = 0;
    size_t taken = 0;
    uint64_t server = next_of_both(hub, WSFRAME_EVENT_OPEN, &taken);
    CHECK(server != id);
    CHECK_EQ(wsframe_hub_connection(hub, server, &connection), 1);
    const void *value;
    CHECK_EQ(wsframe_connection_field(connection, BYTES("x-who"), &value), 2);
    CHECK_BYTES(value, "me", 2);
    CHECK(next_of_both(hub, WSFRAME_EVENT_OPEN, &taken) == id);
    CHECK(wsframe_hub_user(hub, id) == url);
    CHECK(wsframe_hub_user(hub, server) == NULL);
    len = snprintf(url, sizeof url, "127.0.0.1:%d", port);
    CHECK_EQ(wsframe_hub_address(hub, id, &address), len);
    CHECK_BYTES(address, url, (size_t)len);
    CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, BYTES("Hello")), 11);
    CHECK(next_of_both(hub, WSFRAME_EVENT_TEXT, &taken) == server);
    CHECK_EQ(wsframe_hub_terminate(hub, server), 1);
    CHECK_EQ(wsframe_hub_terminate(hub, server), 0);
    CHECK(next_of_both(hub, WSFRAME_EVENT_GONE, &taken) == server);
    CHECK(next_of_both(hub, WSFRAME_EVENT_GONE, &taken) == id);
    CHECK(wsframe_hub_user(hub, id) == url);

    CHECK_EQ(wsframe_hub_connect(hub, BYTES("ws://a/"), BYTES("unix:/nobody/is/there"), NULL, &id), 0);
    CHECK(next_event(hub, WSFRAME_EVENT_GONE) == id);
    CHECK_EQ(batch.events->error, WSFRAME_ERROR_IO);
    CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
    CHECK(wsframe_connection_error(connection) != NULL);

    wsframe_config open = {0};
    open.struct_size = sizeof open;
    open.flags = WSFRAME_CONFIG_START_OPEN;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(wsframe_hub_adopt(hub, ends[0], WSFRAME_ROLE_SERVER, 0, &open, &id), 0);
    CHECK(id != 0);
    close(ends[0]);
    say(ends[1], masked_hello, sizeof masked_hello - 1);
    CHECK(next_event(hub, WSFRAME_EVENT_TEXT) == id);
    close(ends[1]);
    CHECK(next_event(hub, WSFRAME_EVENT_GONE) == id);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(listen(listening, 1), 0);
    port = (int)wsframe_hub_adopt(hub, listening, WSFRAME_ROLE_SERVER, 0, NULL, &id);
    CHECK(port > 0 && id == 0);
    close(listening);
    int client;
    open_client(hub, port, &client);
    close(client);
    wsframe_hub_free(hub);
}

static void a_program_waits_for_other_things_as_well(void) {
    about("timer, watch");
    wsframe_hub *hub = NULL;
    int ends[2];
    char byte;
    CHECK_EQ(wsframe_hub_new(NULL, &hub), 0);
    CHECK_EQ(wsframe_hub_timer(hub, UINT64_MAX, 1), 0);
    CHECK_EQ(wsframe_hub_timer(hub, 1, 0), 0);
    CHECK_EQ(wsframe_hub_timer(hub, 1, WSFRAME_NEVER), 0);
    CHECK(next_event(hub, WSFRAME_EVENT_TIMER) == UINT64_MAX);
    CHECK_EQ(batch.data_len, 0);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(wsframe_hub_watch(hub, ends[0], WSFRAME_WATCH_READ), 0);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    say(ends[1], "a", 1);
    for (int i = 0; i < 2; i++) {
        CHECK(next_event(hub, WSFRAME_EVENT_READY) == (uint64_t)ends[0]);
        CHECK_EQ(batch.events->flags, WSFRAME_WATCH_READ);
    }
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    CHECK_EQ(wsframe_hub_watch(hub, ends[1], WSFRAME_WATCH_WRITE), 0);
    CHECK(next_event(hub, WSFRAME_EVENT_READY) == (uint64_t)ends[1]);
    CHECK_EQ(wsframe_hub_watch(hub, ends[1], 0), 0);
    close(ends[1]);
    CHECK(next_event(hub, WSFRAME_EVENT_READY) == (uint64_t)ends[0]);
    wsframe_hub_free(hub);
    close(ends[0]);
}

static void *use_foreign_hub(void *argument) {
    struct other_thread *other = argument;
    wsframe_batch own;
    other->polled = wsframe_hub_poll(other->hub, 0, &own);
    other->says_thread = wsframe_why() != NULL && strstr(wsframe_why(), "thread") != NULL;
    other->sent = wsframe_hub_send(other->hub, NOBODY, WSFRAME_OPCODE_TEXT, NULL, 0);
    wsframe_hub_wake(other->hub);
    return NULL;
}

static void another_thread_may_only_wake(void) {
    about("another thread");
    int port;
    struct other_thread other = {new_hub(0, &port), 0, 0, 0};
    pthread_t thread;
    CHECK_EQ(wsframe_hub_poll(other.hub, 0, &batch), 0);
    CHECK_EQ(pthread_create(&thread, NULL, use_foreign_hub, &other), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(other.polled, WSFRAME_ERROR_STATE);
    CHECK_EQ(other.sent, WSFRAME_ERROR_STATE);
    CHECK(other.says_thread);
    CHECK_EQ(wsframe_hub_poll(other.hub, WSFRAME_NEVER, &batch), 0); /* it was woken */
    wsframe_hub_free(other.hub);
}

/* A forked process can do nothing with the hub but free it, and its parent's connections do not notice. */
static void a_fork_has_no_hub(void) {
    about("fork");
    int port, client, status;
    wsframe_hub *hub = new_hub(0, &port);
    uint64_t id = open_client(hub, port, &client);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        wsframe_batch own;
        int refused = wsframe_hub_poll(hub, 0, &own) == WSFRAME_ERROR_STATE && strstr(wsframe_why(), "fork") != NULL;
        refused += wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, BYTES("a")) == WSFRAME_ERROR_STATE;
        refused += wsframe_hub_wake(hub) == WSFRAME_ERROR_STATE;
        refused += wsframe_hub_stop(hub, 0) == WSFRAME_ERROR_STATE;
        wsframe_hub_free(hub);
        _exit(refused);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    say(client, masked_hello, sizeof masked_hello - 1);
    CHECK(next_event(hub, WSFRAME_EVENT_TEXT) == id);
    CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, BYTES("a")), 3);
    hears(hub, client, BYTES("\x81\x01" "a"));
    close(client);
    CHECK(next_event(hub, WSFRAME_EVENT_GONE) == id);
    wsframe_hub_free(hub);
}

int main(void) {
    null_is_refused();
    what_cannot_be_right_is_refused();
    nothing_is_done_with_an_id_of_nobody();
    connections_are_lent();
    a_long_request_stays_until_the_next_poll();
    what_is_sent_and_published_arrives();
    the_descriptor_tells_of_all_there_is_to_do();
    what_was_not_checked_is_checked();
    clients_are_made_and_adopted();
    a_program_waits_for_other_things_as_well();
    another_thread_may_only_wake();
    a_fork_has_no_hub();
    return passed();
}

/* What a panic inside the library comes to, with a library that is built to panic; see tests/panic.rs. */

#define _POSIX_C_SOURCE 200809L

#include "wsframe.h"

#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define PANIC BYTES("\x89\x8E\x00\x00\x00\x00inject a panic")
#define PING BYTES("\x89\x81\x00\x00\x00\x00p")

#define REQUEST                                                                                                              \
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                                             \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum { CONNECTIONS = 20 };

static wsframe_batch batch;

static wsframe_connection *open_server(void) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN | WSFRAME_CONFIG_DEFLATE;
    config.extensions = "permessage-deflate; server_max_window_bits=12";
    config.extensions_len = strlen(config.extensions);
    wsframe_connection *connection = NULL;
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection), 0);
    return connection;
}

/* Sends what is compressed with the messages before it, and returns how long that is. */
static ptrdiff_t say(wsframe_connection *connection) {
    static const char text[] = "what this connection says each time, which gets short";
    ptrdiff_t before = wsframe_connection_waiting(connection);
    ptrdiff_t len =
        wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_COMPRESSED, BYTES(text)) - before;
    CHECK(len > 0);
    return len;
}

/* A connection that holds all kinds of memory: output, events and their data, part of a message, of a header. */
static wsframe_connection *full_server(void) {
    wsframe_connection *connection = open_server();
    CHECK(say(connection) > 0);
    CHECK(wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT, BYTES("Hello")) > 0);
    CHECK_EQ(wsframe_connection_receive(connection, BYTES("\x41\x83\x00\x00\x00\x00\xF2\x48\xCD"), &batch), 0);
    CHECK_EQ(wsframe_connection_receive(connection, PING, &batch), 1);
    return connection;
}

static wsframe_message *message;

static void check_dead(wsframe_connection *dead) {
    const void *untouched = &untouched, *out = untouched;
    const size_t len = 1;
    wsframe_deflate deflate;
    unsigned char in[4] = {CANARY, CANARY, CANARY, CANARY};
    CHECK_EQ(wsframe_connection_receive(dead, in, 0, &batch), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_receive_in_place(dead, in, sizeof in, &batch), WSFRAME_ERROR_STATE);
    CHECK(batch.events == NULL && batch.count == 0 && batch.data == NULL && batch.data_len == 0 && batch.flags == 0);
    CHECK_EQ(wsframe_connection_gone(dead, &batch), WSFRAME_ERROR_STATE);
    wsframe_output output;
    memset(&output, CANARY, sizeof output);
    CHECK_EQ(wsframe_connection_output(dead, 0, 0, &output), WSFRAME_ERROR_STATE);
    CHECK(output.data == NULL && output.len == 0 && output.wait_ms == 0 && output.flags == 0);
    wsframe_part part;
    CHECK_EQ(wsframe_connection_parts(dead, &part, 1), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_waiting(dead), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send(dead, WSFRAME_OPCODE_TEXT, BYTES("x")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send_many(dead, WSFRAME_OPCODE_TEXT, "x", &len, 1), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send_message(dead, message), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_deflate(dead, &deflate), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_close(dead, 1000, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_request(dead, BYTES("a"), BYTES("/")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_add_field(dead, BYTES("a"), BYTES("b")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_accept(dead, NULL, 0, 0, &batch), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_respond(dead, 403, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_target(dead, &out), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_field(dead, BYTES("Host"), &out), WSFRAME_ERROR_STATE);
    wsframe_field field;
    CHECK_EQ(wsframe_connection_field_at(dead, 0, &field), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_subprotocol(dead, &out), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_state(dead), WSFRAME_ERROR_STATE);
    CHECK(strstr(wsframe_why(), "defect was caught") != NULL);
    CHECK(wsframe_connection_error(dead) == NULL);
    CHECK(out == untouched);
    CHECK_UNTOUCHED(in, sizeof in);
}

/* Has a hub serve one end of a pair of sockets, and returns the other. */
static int adopted(wsframe_hub *hub, uint32_t flags, uint64_t *id) {
    int ends[2];
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = flags;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(wsframe_hub_adopt(hub, ends[0], WSFRAME_ROLE_SERVER, 0, &config, id), 0);
    close(ends[0]);
    return ends[1];
}

/* The next event of the hub is this, of this connection. */
static void check_event(wsframe_hub *hub, int kind, uint64_t id, int error) {
    CHECK_EQ(wsframe_hub_poll(hub, 20000, &batch), 1);
    CHECK_EQ(batch.events->kind, kind);
    CHECK_EQ(batch.events->error, error);
    CHECK(batch.events->connection == id);
}

static void the_others_of_a_hub_live(void) {
    about("a connection of a hub that panics");
    wsframe_hub *hub = NULL;
    wsframe_connection *connection;
    uint64_t id, bystander;
    CHECK_EQ(wsframe_hub_new(NULL, &hub), 0);
    int witness = adopted(hub, WSFRAME_CONFIG_START_OPEN, &bystander);
    for (int i = 0; i < CONNECTIONS; i++) {
        int socket = adopted(hub, WSFRAME_CONFIG_START_OPEN, &id);
        CHECK_EQ(write(witness, BYTES("\x81\x85\0\0\0\0He")), 8);
        CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
        CHECK_EQ(write(socket, PANIC), 20);
        check_event(hub, WSFRAME_EVENT_GONE, id, WSFRAME_ERROR_INTERNAL);
        CHECK_EQ(batch.events->close_code, 1006);
        CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
        CHECK(strstr(wsframe_connection_error(connection), "defect") != NULL);
        CHECK_EQ(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, BYTES("x")), 0);
        CHECK_EQ(write(witness, BYTES("llo")), 3);
        check_event(hub, WSFRAME_EVENT_TEXT, bystander, 0);
        CHECK_EQ(batch.data_len, 5);
        CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 0);
        close(socket);
    }
    about("a panic behind accept() of a hub's connection");
    int asking = adopted(hub, WSFRAME_CONFIG_ASK, &id);
    CHECK_EQ(write(asking, BYTES(REQUEST "\x89\x8E\0\0\0\0inject a panic")), sizeof REQUEST + 19);
    check_event(hub, WSFRAME_EVENT_REQUEST, id, 0);
    CHECK_EQ(wsframe_hub_poll(hub, 0, &batch), 0);
    CHECK_EQ(wsframe_hub_connection(hub, id, &connection), 1);
    CHECK_EQ(wsframe_connection_accept(connection, NULL, 0, 0, &batch), WSFRAME_ERROR_INTERNAL);
    check_event(hub, WSFRAME_EVENT_GONE, id, WSFRAME_ERROR_INTERNAL);
    CHECK_EQ(write(witness, BYTES("\x81\x81\0\0\0\0x")), 7);
    check_event(hub, WSFRAME_EVENT_TEXT, bystander, 0);
    close(asking);
    close(witness);
    wsframe_hub_free(hub);
}

int main(void) {
    about("the ping that panics");
    CHECK_EQ(wsframe_message_new(WSFRAME_OPCODE_TEXT, BYTES("prepared"), NULL, &message), 0);
    wsframe_connection *witness = full_server();
    for (int i = 0; i < CONNECTIONS; i++) {
        wsframe_connection *dead = full_server();
        unsigned char in[] = "\x89\x8E\x00\x00\x00\x00inject a panic";
        CHECK_EQ(i % 2 == 0 ? wsframe_connection_receive(dead, PANIC, &batch)
                            : wsframe_connection_receive_in_place(dead, in, sizeof in - 1, &batch),
                 WSFRAME_ERROR_INTERNAL);
        about("a connection that has panicked");
        check_dead(dead);
        check_dead(dead);
        wsframe_connection_free(dead);

        about("another connection");
        CHECK_EQ(wsframe_connection_receive(witness, PING, &batch), 1);
        CHECK_EQ(wsframe_connection_state(witness), WSFRAME_STATE_OPEN);
        CHECK(say(witness) < 20);
    }
    about("the message of another connection, begun before and ended after");
    CHECK_EQ(wsframe_connection_receive(witness, BYTES("\x80\x84\x00\x00\x00\x00\xC9\xC9\x07\x00"), &batch), 1);
    CHECK_EQ(batch.data_len, 5);
    CHECK_BYTES(batch.data, "Hello", 5);
    wsframe_connection_free(witness);
    wsframe_message_free(message);

    about("a panic behind accept()");
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_ASK;
    wsframe_connection *asked;
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &asked), 0);
    CHECK_EQ(wsframe_connection_receive(asked, BYTES(REQUEST), &batch), 1);
    CHECK_EQ(wsframe_connection_receive(asked, PANIC, &batch), 0);
    CHECK_EQ(wsframe_connection_accept(asked, NULL, 0, 0, &batch), WSFRAME_ERROR_INTERNAL);
    check_dead(asked);
    wsframe_connection_free(asked);
    the_others_of_a_hub_live();
    return passed();
}

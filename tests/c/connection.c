/* The whole of a connection: two ends that talk through memory, and what a peer or a caller does wrong. */

#include "wsframe.h"

#include "check.h"

#define HEAD_OF_REQUEST \
    "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define REQUEST \
    HEAD_OF_REQUEST "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
                    "Origin: http://example.com\r\nSec-WebSocket-Protocol: v1.chat, v2.chat\r\n\r\n"
#define ACCEPTED \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* RFC 6455 section 5.7, and a ping with one byte. */
#define MASKED_HELLO "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
#define MASKED_PING "\x89\x81\x00\x00\x00\x00p"

/* Lengths that nothing in memory has. */
#define TOO_LONG ((size_t)PTRDIFF_MAX + 1)

static wsframe_connection *made(uint32_t role, const wsframe_config *config) {
    wsframe_connection *connection = NULL;
    CHECK_EQ(wsframe_connection_new(role, config, &connection), 0);
    CHECK(connection != NULL);
    return connection;
}

static wsframe_connection *made_with(uint32_t role, uint32_t flags) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = flags;
    return made(role, &config);
}

static wsframe_connection *open_server(uint32_t more_flags) {
    return made_with(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_START_OPEN | more_flags);
}

static wsframe_connection *open_client(uint32_t more_flags) {
    return made_with(WSFRAME_ROLE_CLIENT, WSFRAME_CONFIG_START_OPEN | more_flags);
}

/* What the last call left that receives something, and until when its events live. */
static wsframe_batch batch;

/* What time the last turn was told. */
static uint64_t now;

/* What waits, in one place: only prepared messages are places of their own. */
static wsframe_part waiting_part(const wsframe_connection *connection) {
    wsframe_part part = {NULL, 0};
    ptrdiff_t parts = wsframe_connection_parts(connection, &part, 1);
    CHECK_EQ(parts, part.len > 0);
    return part;
}

static ptrdiff_t output_len(const wsframe_connection *connection) {
    ptrdiff_t waiting = wsframe_connection_waiting(connection);
    CHECK_EQ(waiting, waiting_part(connection).len);
    return waiting;
}

/* Ends a turn in which so much was written, and returns the time to wait. */
static uint32_t turn(wsframe_connection *connection, size_t sent, uint64_t now_ms) {
    wsframe_output output;
    memset(&output, CANARY, sizeof output);
    now = now_ms;
    ptrdiff_t len = wsframe_connection_output(connection, sent, now_ms, &output);
    CHECK(len >= 0);
    CHECK_EQ(output.len, len);
    CHECK_EQ(output.data == NULL, len == 0);
    return output.wait_ms;
}

/* Checks what is true of every batch. */
static ptrdiff_t filled(ptrdiff_t events) {
    CHECK(events >= 0);
    CHECK_EQ(batch.count, events);
    CHECK_EQ(batch.events == NULL, events == 0);
    CHECK_EQ(batch.data == NULL, batch.data_len == 0);
    CHECK_EQ(batch.reserved, 0);
    return events;
}

/* Receives exactly these bytes, with nothing readable behind them. */
static ptrdiff_t receive(wsframe_connection *connection, const void *bytes, size_t len) {
    unsigned char *in = copy(bytes, len);
    memset(&batch, CANARY, sizeof batch);
    ptrdiff_t events = filled(wsframe_connection_receive(connection, in, len, &batch));
    free(in); /* read during the call only */
    return events;
}

static ptrdiff_t accept_request(wsframe_connection *connection, const void *subprotocol, size_t len) {
    memset(&batch, CANARY, sizeof batch);
    ptrdiff_t events = wsframe_connection_accept(connection, subprotocol, len, 0, &batch);
    if (events >= 0)
        return filled(events);
    CHECK(batch.count == 0 && batch.events == NULL && batch.data_len == 0 && batch.flags == 0);
    return events;
}

/* Gives one end all that the other has to say, and returns the number of events. */
static ptrdiff_t carry(wsframe_connection *from, wsframe_connection *to) {
    wsframe_output output;
    ptrdiff_t len = wsframe_connection_output(from, 0, 0, &output);
    CHECK(len >= 0);
    CHECK_EQ(output.flags, 0);
    ptrdiff_t events = receive(to, output.data, output.len);
    wsframe_batch received = batch;
    turn(from, (size_t)len, 0);
    CHECK_EQ(output_len(from), 0);
    batch = received;
    return events;
}

static wsframe_event event_at(size_t index) {
    CHECK(index < batch.count);
    CHECK_EQ(batch.events[index].connection, 0);
    return batch.events[index];
}

/* Checks an event whose data are in those of the batch. */
static wsframe_event check_event(size_t index, int kind, const void *data, size_t len) {
    wsframe_event event = event_at(index);
    CHECK_EQ(event.kind, kind);
    CHECK_EQ(event.len, len);
    CHECK(event.offset + event.len <= batch.data_len);
    CHECK_BYTES((const unsigned char *)batch.data + event.offset, data, len);
    return event;
}

/* Checks the start of what is to be written, and that all of it was. */
static void check_output_begins(wsframe_connection *connection, const void *expected, size_t len) {
    turn(connection, 0, now);
    wsframe_part part = waiting_part(connection);
    CHECK(part.len >= len);
    CHECK_BYTES(part.data, expected, len);
    turn(connection, part.len, now);
    CHECK_EQ(output_len(connection), 0);
}

static void check_output(wsframe_connection *connection, const void *expected, size_t len) {
    turn(connection, 0, now);
    CHECK_EQ(output_len(connection), len);
    check_output_begins(connection, expected, len);
}

static void connections_are_made_and_freed(void) {
    about("each role, with the defaults");
    for (uint32_t role = WSFRAME_ROLE_SERVER; role <= WSFRAME_ROLE_CLIENT; role++) {
        wsframe_connection *connection = made(role, NULL);
        CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_CONNECTING);
        CHECK(wsframe_connection_error(connection) == NULL);
        CHECK_EQ(output_len(connection), 0);
        wsframe_connection_free(connection);
    }
    about("no connection to free");
    wsframe_connection_free(NULL);
    about("other roles");
    int something;
    wsframe_connection *untouched = (wsframe_connection *)(void *)&something, *connection = untouched;
    CHECK_EQ(wsframe_connection_new(2, NULL, &connection), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_new(UINT32_MAX, NULL, &connection), WSFRAME_ERROR_ARGUMENT);
    CHECK(connection == untouched);
    about("nowhere to write the handle");
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, NULL, NULL), WSFRAME_ERROR_ARGUMENT);
}

/* Makes a connection of a config that has exactly size bytes, and returns what came of it. */
static ptrdiff_t try_config(const void *config, uint32_t size) {
    unsigned char *bytes = copy(config, size < sizeof size ? sizeof size : size);
    memcpy(bytes, &size, sizeof size);
    wsframe_connection *connection = NULL;
    ptrdiff_t result = wsframe_connection_new(WSFRAME_ROLE_SERVER, (const wsframe_config *)(void *)bytes, &connection);
    CHECK((connection != NULL) == (result == 0));
    wsframe_connection_free(connection);
    free(bytes);
    return result;
}

static void a_config_may_be_older_or_newer(void) {
    struct {
        wsframe_config known;
        uint64_t newer[2];
    } config = {0};
    for (uint32_t size = 0; size <= sizeof config; size++) {
        about("struct_size %" PRIu32, size);
        CHECK_EQ(try_config(&config, size), size < sizeof size ? WSFRAME_ERROR_ARGUMENT : 0);
    }
    about("a field of a newer header");
    config.newer[1] = 1;
    CHECK_EQ(try_config(&config, sizeof config), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(try_config(&config, sizeof config - 8), 0);

    about("what a shorter one does not have is not read");
    wsframe_connection *connection;
    config.known.flags = WSFRAME_CONFIG_START_OPEN;
    config.known.struct_size = sizeof(uint32_t);
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config.known, &connection), 0);
    CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_CONNECTING);
    wsframe_connection_free(connection);
    config.known.struct_size = 2 * sizeof(uint32_t);
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config.known, &connection), 0);
    CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_OPEN);
    wsframe_connection_free(connection);
}

enum {
    KNOWN_FLAGS = WSFRAME_CONFIG_ASK | WSFRAME_CONFIG_PIECES | WSFRAME_CONFIG_MANUAL_PONG | WSFRAME_CONFIG_START_OPEN |
                  WSFRAME_CONFIG_DEFLATE | WSFRAME_CONFIG_SERVER_NO_CONTEXT_TAKEOVER |
                  WSFRAME_CONFIG_CLIENT_NO_CONTEXT_TAKEOVER | WSFRAME_CONFIG_ACCEPT_ANY_MASK |
                  WSFRAME_CONFIG_ACCEPT_LONG_LENGTHS | WSFRAME_CONFIG_SKIP_UTF8 | WSFRAME_CONFIG_ACCEPT_ANY_CLOSE_CODE
};

static void wrong_configs_are_refused(void) {
    for (int bit = 0; bit < 32; bit++) {
        about("flag %d", bit);
        wsframe_config config = {0};
        config.flags = (uint32_t)1 << bit;
        CHECK_EQ(try_config(&config, sizeof config), (config.flags & KNOWN_FLAGS) != 0 ? 0 : WSFRAME_ERROR_ARGUMENT);
    }
    static const struct {
        const char *about, *subprotocols;
        size_t subprotocols_len;
        const char *origins;
        size_t origins_len;
        ptrdiff_t expected;
    } cases[] = {
        {"lists", BYTES("v2.chat, v1.chat,"), BYTES("http://a, https://b"), 0},
        {"no lists", BYTES(""), BYTES(""), 0},
        {"a list of subprotocols with nothing in it", BYTES(" ,\t, "), BYTES(""), WSFRAME_ERROR_ARGUMENT},
        {"a list of origins with nothing in it", BYTES(""), BYTES(","), WSFRAME_ERROR_ARGUMENT},
        {"pointers to nothing", "x", 0, "x", 0, 0},
        {"a space in a subprotocol", BYTES("a b"), BYTES(""), WSFRAME_ERROR_ARGUMENT},
        {"another field in a subprotocol", BYTES("a\r\nX-A: b"), BYTES(""), WSFRAME_ERROR_ARGUMENT},
        {"a subprotocol that is not ASCII", BYTES("caf\xC3\xA9"), BYTES(""), WSFRAME_ERROR_ARGUMENT},
        {"a subprotocol that is not UTF-8", BYTES("caf\xE9"), BYTES(""), WSFRAME_ERROR_ARGUMENT},
        {"an Origin that is not UTF-8", BYTES(""), BYTES("http://\xE9"), WSFRAME_ERROR_ARGUMENT},
        {"no subprotocols, but a length", NULL, 1, NULL, 0, WSFRAME_ERROR_ARGUMENT},
        {"no origins, but a length", NULL, 0, NULL, 1, WSFRAME_ERROR_ARGUMENT},
        {"a length of subprotocols that nothing has", "a", TOO_LONG, NULL, 0, WSFRAME_ERROR_ARGUMENT},
        {"a length of origins that nothing has", NULL, 0, "a", SIZE_MAX, WSFRAME_ERROR_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        wsframe_config config = {0};
        config.subprotocols = cases[i].subprotocols;
        config.subprotocols_len = cases[i].subprotocols_len;
        config.origins = cases[i].origins;
        config.origins_len = cases[i].origins_len;
        CHECK_EQ(try_config(&config, sizeof config), cases[i].expected);
        /* Where a connection is made inside, the same holds. */
        config.struct_size = sizeof config;
        unsigned char *out = blank(1024);
        ptrdiff_t answered = wsframe_handshake_answer(BYTES(HEAD_OF_REQUEST "\r\n"), &config, out, 1024);
        if (cases[i].expected < 0) {
            CHECK_EQ(answered, cases[i].expected);
            CHECK_UNTOUCHED(out, 1024);
        } else {
            CHECK(answered > 0);
        }
        free(out);
    }
    about("more fields than there is room for");
    wsframe_config config = {0};
    config.max_head_fields = 1000;
    CHECK_EQ(try_config(&config, sizeof config), 0);
    config.max_head_fields = 1001;
    CHECK_EQ(try_config(&config, sizeof config), WSFRAME_ERROR_ARGUMENT);
}

static void the_opening_handshake(void) {
    about("the request of a client");
    char *names = (char *)copy(BYTES("v2.chat, v1.chat"));
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.subprotocols = names;
    config.subprotocols_len = strlen("v2.chat, v1.chat");
    wsframe_connection *server = made(WSFRAME_ROLE_SERVER, &config), *client = made(WSFRAME_ROLE_CLIENT, &config);
    free(names); /* not needed any more */
    CHECK_EQ(wsframe_connection_add_field(client, BYTES("X-Client"), BYTES("some value")), 0);
    CHECK_EQ(wsframe_connection_add_field(client, BYTES("X-Empty"), NULL, 0), 0);
    CHECK_EQ(wsframe_connection_add_field(server, BYTES("X-Server"), BYTES("another")), 0);
    ptrdiff_t waiting = wsframe_connection_request(client, BYTES("example.com:8080"), BYTES("/chat?room=1"));
    CHECK_EQ(waiting, output_len(client));
    CHECK_EQ(wsframe_connection_request(client, BYTES("example.com"), BYTES("/")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_request(server, BYTES("example.com"), BYTES("/")), WSFRAME_ERROR_STATE);
    CHECK_EQ(output_len(server), 0);

    about("the answer of a server");
    const void *value;
    CHECK_EQ(wsframe_connection_target(server, &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(wsframe_connection_subprotocol(server, &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(carry(client, server), 1);
    wsframe_event event = event_at(0);
    CHECK_EQ(event.kind, WSFRAME_EVENT_OPEN);
    CHECK_EQ(event.flags, 0);
    CHECK_EQ(event.len, waiting);
    CHECK_EQ(wsframe_connection_target(server, &value), 12);
    CHECK_BYTES(value, "/chat?room=1", 12);
    CHECK_EQ(wsframe_connection_field(server, BYTES("HOST"), &value), 16);
    CHECK_BYTES(value, "example.com:8080", 16);
    CHECK_EQ(wsframe_connection_field(server, BYTES("x-client"), &value), 10);
    CHECK_BYTES(value, "some value", 10);
    CHECK_EQ(wsframe_connection_field(server, BYTES("X-Empty"), &value), 0);
    CHECK(value == NULL);
    wsframe_field field;
    size_t fields = 0;
    int has_empty = 0;
    while (wsframe_connection_field_at(server, fields, &field) == 1) {
        CHECK(field.name_len > 0);
        has_empty += field.name_len == 7 && memcmp(field.name, "X-Empty", 7) == 0 && field.value_len == 0;
        fields++;
    }
    CHECK_EQ(fields, 8);
    CHECK_EQ(has_empty, 1);
    CHECK(field.name == NULL && field.name_len == 0 && field.value == NULL && field.value_len == 0);
    CHECK_EQ(wsframe_connection_field_at(server, SIZE_MAX, &field), 0);
    CHECK_EQ(wsframe_connection_field(server, BYTES("X-Missing"), &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(wsframe_connection_field(server, BYTES("\xFF"), &value), 0);
    CHECK_EQ(wsframe_connection_field(server, NULL, 0, &value), 0);
    CHECK_EQ(wsframe_connection_subprotocol(server, &value), 7);
    CHECK_BYTES(value, "v2.chat", 7);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_OPEN);
    CHECK_EQ(wsframe_connection_state(client), WSFRAME_STATE_CONNECTING);

    about("what a client makes of it");
    CHECK_EQ(carry(server, client), 1);
    event = event_at(0);
    CHECK_EQ(event.kind, WSFRAME_EVENT_OPEN);
    CHECK_EQ(wsframe_connection_target(client, &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(wsframe_connection_field(client, BYTES("x-server"), &value), 7);
    CHECK_BYTES(value, "another", 7);
    CHECK_EQ(wsframe_connection_subprotocol(client, &value), 7);
    CHECK_BYTES(value, "v2.chat", 7);
    CHECK_EQ(wsframe_connection_state(client), WSFRAME_STATE_OPEN);

    about("open, the head is gone with its event");
    CHECK_EQ(turn(server, 0, 0), 30000);
    CHECK_EQ(wsframe_connection_target(server, &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(wsframe_connection_field(server, BYTES("Host"), &value), 0);
    CHECK(value == NULL);
    CHECK_EQ(wsframe_connection_subprotocol(server, &value), 7);
    for (int i = 0; i < 2; i++) {
        wsframe_connection *end = i == 0 ? server : client;
        CHECK_EQ(wsframe_connection_request(end, BYTES("a"), BYTES("/")), WSFRAME_ERROR_STATE);
        CHECK_EQ(wsframe_connection_add_field(end, BYTES("X-A"), BYTES("a")), WSFRAME_ERROR_STATE);
        CHECK_EQ(accept_request(end, NULL, 0), WSFRAME_ERROR_STATE);
        CHECK_EQ(wsframe_connection_respond(end, 403, NULL, 0), WSFRAME_ERROR_STATE);
    }
    wsframe_connection_free(server);
    wsframe_connection_free(client);
}

static void somebody_else_has_done_the_handshake(void) {
    about("what somebody else has agreed on");
    char *name = (char *)copy(BYTES("v2.chat")), *path = (char *)copy(BYTES("/chat?room=1"));
    const void *value;
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN;
    config.subprotocol = name;
    config.subprotocol_len = 7;
    config.target = path;
    config.target_len = 12;
    wsframe_connection *server = made(WSFRAME_ROLE_SERVER, &config);
    free(name); /* not needed any more */
    free(path);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_OPEN);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(wsframe_connection_subprotocol(server, &value), 7);
        CHECK_BYTES(value, "v2.chat", 7);
        CHECK_EQ(wsframe_connection_target(server, &value), 12);
        CHECK_BYTES(value, "/chat?room=1", 12);
        CHECK_EQ(wsframe_connection_field(server, BYTES("Host"), &value), 0);
        CHECK(value == NULL);
        CHECK_EQ(receive(server, BYTES(MASKED_PING)), 1);
        CHECK(turn(server, 0, 0) > 0);
    }
    wsframe_connection_free(server);
}

static void a_request_that_cannot_be_written(void) {
    wsframe_connection *client = made(WSFRAME_ROLE_CLIENT, NULL);
    static const struct {
        const char *host;
        size_t host_len;
        const char *target;
        size_t target_len;
    } requests[] = {
        {BYTES(""), BYTES("/")},          {BYTES("a"), BYTES("")},        {BYTES("a b"), BYTES("/")},
        {BYTES("a"), BYTES("chat")},      {BYTES("a"), BYTES("/a b")},    {BYTES("a\r\nX: y"), BYTES("/")},
        {BYTES("a"), BYTES("/\r\nX: y")}, {BYTES("a\0"), BYTES("/")},     {BYTES("a"), BYTES("/\x7f")},
        {NULL, 1, BYTES("/")},            {BYTES("a"), NULL, 1},          {"a", TOO_LONG, BYTES("/")},
        {BYTES("a"), "/", SIZE_MAX},
    };
    for (size_t i = 0; i < COUNT(requests); i++) {
        about("request %zu", i);
        CHECK_EQ(wsframe_connection_request(client, requests[i].host, requests[i].host_len, requests[i].target,
                                            requests[i].target_len),
                 WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(output_len(client), 0);
    }
    static const struct {
        const char *name;
        size_t name_len;
        const char *value;
        size_t value_len;
    } fields[] = {
        {BYTES(""), BYTES("a")},           {BYTES("a b"), BYTES("a")},      {BYTES("a:"), BYTES("a")},
        {BYTES("a"), BYTES("b\r\nX: y")},  {BYTES("a"), BYTES("b\n")},      {BYTES("a"), BYTES("\0")},
        {BYTES("caf\xC3\xA9"), BYTES("")}, {BYTES("a\r\nb"), BYTES("c")},   {NULL, 1, BYTES("a")},
        {BYTES("a"), NULL, 1},             {"a", SIZE_MAX, BYTES("a")},     {BYTES("a"), "a", TOO_LONG},
    };
    for (size_t i = 0; i < COUNT(fields); i++) {
        about("field %zu", i);
        CHECK_EQ(wsframe_connection_add_field(client, fields[i].name, fields[i].name_len, fields[i].value,
                                              fields[i].value_len),
                 WSFRAME_ERROR_ARGUMENT);
    }
    about("none of the fields is in the request");
    CHECK(wsframe_connection_request(client, BYTES("a"), BYTES("/")) > 0);
    wsframe_connection *server = made(WSFRAME_ROLE_SERVER, NULL);
    CHECK_EQ(carry(client, server), 1);
    const void *value;
    CHECK_EQ(wsframe_connection_field(server, BYTES("a"), &value), 0);
    CHECK(value == NULL);
    wsframe_connection_free(client);
    wsframe_connection_free(server);
}

static void requests_are_accepted_by_the_library(void) {
    for (size_t cut = 1; cut < sizeof REQUEST MASKED_HELLO - 1; cut++) {
        about("the RFC's request and a message after it, cut at %zu", cut);
        wsframe_connection *server = made(WSFRAME_ROLE_SERVER, NULL);
        ptrdiff_t events = receive(server, REQUEST MASKED_HELLO, cut);
        CHECK_EQ(events, cut >= sizeof REQUEST - 1);
        if (events == 1)
            check_event(0, WSFRAME_EVENT_OPEN, BYTES(REQUEST));
        events = receive(server, REQUEST MASKED_HELLO + cut, sizeof REQUEST MASKED_HELLO - 1 - cut);
        check_event((size_t)events - 1, WSFRAME_EVENT_TEXT, BYTES("Hello"));
        check_output(server, BYTES(ACCEPTED "\r\n"));
        wsframe_connection_free(server);
    }
    about("the same, as a stateless function");
    unsigned char *out = blank(sizeof ACCEPTED "\r\n" - 1);
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST), NULL, out, sizeof ACCEPTED "\r\n" - 1),
             sizeof ACCEPTED "\r\n" - 1);
    CHECK_BYTES(out, ACCEPTED "\r\n", sizeof ACCEPTED "\r\n" - 1);
    free(out);
    for (size_t cap = 0; cap < sizeof ACCEPTED "\r\n" - 1; cap++) {
        about("room for %zu bytes of the answer", cap);
        out = blank(cap);
        CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST), NULL, out, cap), WSFRAME_ERROR_SPACE);
        CHECK_UNTOUCHED(out, cap);
        free(out);
    }
    for (size_t len = 0; len < sizeof REQUEST - 1; len++) {
        about("the first %zu bytes of the request", len);
        out = blank(1024);
        CHECK_EQ(wsframe_handshake_answer(REQUEST, len, NULL, out, 1024), WSFRAME_ERROR_HANDSHAKE);
        CHECK_UNTOUCHED(out, 1024);
        free(out);
    }
    about("what is not one head and nothing else");
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST "x"), NULL, NULL, 0), WSFRAME_ERROR_HANDSHAKE);
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST MASKED_PING), NULL, NULL, 0), WSFRAME_ERROR_HANDSHAKE);
    CHECK_EQ(wsframe_handshake_answer(BYTES("\n"), NULL, NULL, 0), WSFRAME_ERROR_HANDSHAKE);
    about("an application that wants to be asked");
    wsframe_config asks = {0};
    asks.struct_size = sizeof asks;
    asks.flags = WSFRAME_CONFIG_ASK;
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST), &asks, NULL, 0), WSFRAME_ERROR_STATE);
    about("wrong arguments");
    CHECK_EQ(wsframe_handshake_answer(NULL, 1, NULL, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST), NULL, NULL, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_handshake_answer(REQUEST, TOO_LONG, NULL, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST), NULL, NULL, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_handshake_answer(BYTES(REQUEST), NULL, NULL, 0), WSFRAME_ERROR_SPACE);
}

static void requests_are_refused_by_the_library(void) {
    static const struct {
        const char *about, *request;
        int status;
    } cases[] = {
        {"no HTTP", "\x16\x03\x01", 400},
        {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 400},
        {"another method", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
        {"no upgrade", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426},
        {"another version", HEAD_OF_REQUEST "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {"no key", HEAD_OF_REQUEST "Sec-WebSocket-Version: 13\r\n\r\n", 400},
        {"another origin", REQUEST, 403},
    };
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.origins = "http://example.org";
    config.origins_len = strlen(config.origins);
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        wsframe_connection *server = made(WSFRAME_ROLE_SERVER, &config);
        CHECK_EQ(wsframe_connection_add_field(server, BYTES("Server"), BYTES("test")), 0);
        CHECK_EQ(receive(server, cases[i].request, strlen(cases[i].request)), 1);
        wsframe_event event = check_event(0, WSFRAME_EVENT_ERROR, "", 0);
        CHECK_EQ(event.error, WSFRAME_ERROR_HANDSHAKE);
        CHECK_EQ(event.close_code, cases[i].status);
        CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_FAILED);
        CHECK(strlen(wsframe_connection_error(server)) > 10);
        char line[16];
        snprintf(line, sizeof line, "HTTP/1.1 %d ", cases[i].status);
        CHECK_EQ(receive(server, BYTES("x")), 0);
        CHECK(turn(server, 0, 0) > 0);
        wsframe_part output = waiting_part(server);
        char answer[1024] = {0};
        CHECK(output.len > 0 && output.len < sizeof answer);
        memcpy(answer, output.data, output.len);
        CHECK(strstr(answer, "\r\nServer: test\r\n") != NULL);
        check_output_begins(server, line, strlen(line));
        CHECK_EQ(turn(server, 0, 0), 0);
        wsframe_connection_free(server);

        if (i == 0)
            continue; /* does not end with a blank line */
        unsigned char *out = blank(1024);
        CHECK(wsframe_handshake_answer(cases[i].request, strlen(cases[i].request), &config, out, 1024) > 0);
        CHECK_BYTES(out, line, strlen(line));
        free(out);
    }
    about("a head that is too long");
    config.max_head_len = 100;
    wsframe_connection *server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(receive(server, REQUEST, 101), 1);
    CHECK_EQ(event_at(0).close_code, 431);
    wsframe_connection_free(server);
    about("a head of too many fields");
    config.max_head_len = 0;
    config.max_head_fields = 7;
    server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(receive(server, BYTES(REQUEST)), 1);
    CHECK_EQ(event_at(0).close_code, 403);
    wsframe_connection_free(server);
    config.max_head_fields = 6;
    server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(receive(server, BYTES(REQUEST)), 1);
    CHECK_EQ(event_at(0).close_code, 431);
    wsframe_connection_free(server);
}

static void the_application_answers_requests(void) {
    about("a request that waits, and what comes meanwhile");
    wsframe_connection *server = made_with(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_ASK);
    CHECK_EQ(accept_request(server, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_respond(server, 403, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(receive(server, BYTES(REQUEST)), 1);
    check_event(0, WSFRAME_EVENT_REQUEST, BYTES(REQUEST));
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_ASKED);
    CHECK_EQ(output_len(server), 0);
    const void *value;
    CHECK_EQ(wsframe_connection_field(server, BYTES("Origin"), &value), 18);
    CHECK_EQ(turn(server, 0, 0), WSFRAME_NEVER);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("x")), WSFRAME_ERROR_STATE);
    CHECK_EQ(receive(server, BYTES(MASKED_HELLO)), 0);

    about("wrong answers change nothing");
    CHECK_EQ(accept_request(server, BYTES("V1.CHAT")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(accept_request(server, BYTES("\xFF")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(accept_request(server, NULL, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(accept_request(server, "a", TOO_LONG), WSFRAME_ERROR_ARGUMENT);
    static const uint32_t statuses[] = {0, 99, 100, 101, 199, 600, 65536 + 403, UINT32_MAX};
    for (size_t i = 0; i < COUNT(statuses); i++)
        CHECK_EQ(wsframe_connection_respond(server, statuses[i], NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_respond(server, 403, NULL, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_respond(server, 403, "a", SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_ASKED);
    CHECK_EQ(output_len(server), 0);

    about("accepted, with a subprotocol and a field");
    CHECK_EQ(wsframe_connection_add_field(server, BYTES("Set-Cookie"), BYTES("a=b")), 0);
    CHECK_EQ(accept_request(server, BYTES("v1.chat")), 2);
    check_event(0, WSFRAME_EVENT_OPEN, BYTES(REQUEST));
    check_event(1, WSFRAME_EVENT_TEXT, BYTES("Hello"));
    CHECK_EQ(wsframe_connection_target(server, &value), 12);
    check_output(server, BYTES(ACCEPTED "Sec-WebSocket-Protocol: v1.chat\r\nSet-Cookie: a=b\r\n\r\n"));
    CHECK_EQ(accept_request(server, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_OPEN);
    wsframe_connection_free(server);

    about("accepted, and the config chooses");
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_ASK;
    config.subprotocols = "v3.chat,v2.chat";
    config.subprotocols_len = 15;
    server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(receive(server, BYTES(REQUEST)), 1);
    CHECK_EQ(accept_request(server, NULL, 0), 1);
    CHECK_EQ(wsframe_connection_subprotocol(server, &value), 7);
    CHECK_BYTES(value, "v2.chat", 7);
    wsframe_connection_free(server);

    about("refused");
    server = made_with(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_ASK);
    CHECK_EQ(receive(server, BYTES(REQUEST)), 1);
    CHECK_EQ(wsframe_connection_add_field(server, BYTES("WWW-Authenticate"), BYTES("Basic")), 0);
    ptrdiff_t waiting = wsframe_connection_respond(server, 401, BYTES("who?"));
    CHECK_EQ(waiting, output_len(server));
    check_output(server, BYTES("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 4\r\n"
                               "WWW-Authenticate: Basic\r\n\r\nwho?"));
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_CLOSED);
    CHECK_EQ(turn(server, 0, 0), 0);
    CHECK_EQ(receive(server, BYTES("x")), 0);
    wsframe_connection_free(server);

    about("plain HTTP");
    server = made_with(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_ASK);
    CHECK_EQ(receive(server, BYTES("HEAD /page HTTP/1.1\r\n\r\n")), 1);
    check_event(0, WSFRAME_EVENT_HTTP, BYTES("HEAD /page HTTP/1.1\r\n\r\n"));
    CHECK_EQ(wsframe_connection_target(server, &value), 5);
    CHECK_EQ(accept_request(server, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK(wsframe_connection_respond(server, 200, NULL, 0) > 0);
    check_output(server, BYTES("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    wsframe_connection_free(server);

    about("a client that does not wait for the answer");
    server = made_with(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_ASK);
    CHECK_EQ(receive(server, BYTES(REQUEST)), 1);
    unsigned char *much = numbered(65536);
    CHECK_EQ(receive(server, much, 65536), 0);
    CHECK_EQ(receive(server, much, 1), 1);
    CHECK_EQ(event_at(0).kind, WSFRAME_EVENT_ERROR);
    CHECK_EQ(event_at(0).close_code, 400);
    CHECK(strstr(wsframe_connection_error(server), "64 KiB") != NULL);
    CHECK_EQ(accept_request(server, NULL, 0), 0);
    free(much);
    wsframe_connection_free(server);
}

static void responses_are_judged(void) {
    static const char *const responses[] = {
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ACCEPTED "\r\n", /* the answer to another key */
        "SSH-2.0-OpenSSH\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(responses); i++) {
        about("response %zu", i);
        wsframe_connection *client = made(WSFRAME_ROLE_CLIENT, NULL);
        CHECK(wsframe_connection_request(client, BYTES("a"), BYTES("/")) > 0);
        ptrdiff_t request_len = output_len(client);
        CHECK_EQ(receive(client, responses[i], strlen(responses[i])), 1);
        wsframe_event event = check_event(0, WSFRAME_EVENT_ERROR, responses[i], strlen(responses[i]));
        CHECK_EQ(event.error, WSFRAME_ERROR_HANDSHAKE);
        CHECK_EQ(event.close_code, i == 0 ? 403 : 0); /* the HTTP status, where that refused */
        CHECK_EQ(output_len(client), request_len);
        CHECK_EQ(wsframe_connection_state(client), WSFRAME_STATE_FAILED);
        const void *value;
        CHECK_EQ(wsframe_connection_field(client, BYTES("Content-Length"), &value), i == 0);
        CHECK_EQ(wsframe_connection_request(client, BYTES("a"), BYTES("/")), 0);
        wsframe_connection_free(client);
    }
    about("a response to nothing");
    wsframe_connection *client = made(WSFRAME_ROLE_CLIENT, NULL);
    CHECK_EQ(receive(client, BYTES(ACCEPTED "\r\n")), 1);
    CHECK_EQ(event_at(0).error, WSFRAME_ERROR_HANDSHAKE);
    wsframe_connection_free(client);
}

static void messages_go_both_ways(void) {
    static const size_t lens[] = {0, 1, 125, 126, 65535, 65536, 1000000};
    wsframe_connection *server = open_server(0), *client = open_client(0);
    for (size_t i = 0; i < COUNT(lens); i++) {
        about("a message of %zu bytes", lens[i]);
        unsigned char *message = numbered(lens[i]);
        ptrdiff_t waiting = wsframe_connection_send(client, WSFRAME_OPCODE_BINARY, message, lens[i]);
        size_t frame_len = lens[i] + (lens[i] < 126 ? 2 : lens[i] < 65536 ? 4 : WSFRAME_FRAME_OVERHEAD);
        CHECK_EQ(waiting, frame_len + 4);
        CHECK_EQ(carry(client, server), 1);
        wsframe_event event = check_event(0, WSFRAME_EVENT_BINARY, message, lens[i]);
        CHECK_EQ(event.flags, WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST);
        CHECK_EQ(event.close_code, 0);
        CHECK_EQ(event.error, 0);
        /* An echo: the data of an event are sent from where they are. */
        const unsigned char *data = batch.data;
        if (data != NULL)
            data += event.offset;
        CHECK_EQ(wsframe_connection_send(server, event.kind, data, event.len), frame_len);
        check_event(0, WSFRAME_EVENT_BINARY, message, lens[i]);
        CHECK_EQ(carry(server, client), 1);
        check_event(0, WSFRAME_EVENT_BINARY, message, lens[i]);
        free(message);
    }
    about("several messages in one output");
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("one")), 5);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, NULL, 0), 7);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_BINARY, BYTES("two")), 12);
    CHECK_EQ(carry(server, client), 3);
    check_event(0, WSFRAME_EVENT_TEXT, BYTES("one"));
    check_event(1, WSFRAME_EVENT_TEXT, "", 0);
    check_event(2, WSFRAME_EVENT_BINARY, BYTES("two"));
    about("nothing received");
    CHECK_EQ(filled(wsframe_connection_receive(client, NULL, 0, &batch)), 0);
    CHECK_EQ(filled(wsframe_connection_receive_in_place(client, NULL, 0, &batch)), 0);

    about("pieces, with a ping between them");
    const uint32_t more = WSFRAME_OPCODE_MORE;
    const size_t one = 1;
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT | more, BYTES("\xE2\x82")), 4);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_BINARY | more, BYTES("x")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_BINARY, BYTES("x")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send_many(server, WSFRAME_OPCODE_TEXT, "x", &one, 1), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("x")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PING, BYTES("p")), 7);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT | more, BYTES("\xAC")), 10);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, NULL, 0), 12);
    CHECK_EQ(carry(server, client), 2);
    check_event(0, WSFRAME_EVENT_PING, BYTES("p"));
    check_event(1, WSFRAME_EVENT_TEXT, BYTES("\xE2\x82\xAC"));
    about("the ping was answered");
    CHECK_EQ(carry(client, server), 1);
    check_event(0, WSFRAME_EVENT_PONG, BYTES("p"));
    about("a pong that nobody asked for");
    CHECK_EQ(wsframe_connection_send(client, WSFRAME_OPCODE_PONG, BYTES("alive")), 11);
    CHECK_EQ(carry(client, server), 1);
    check_event(0, WSFRAME_EVENT_PONG, BYTES("alive"));
    CHECK_EQ(output_len(server), 0);

    about("closed by the server");
    CHECK_EQ(wsframe_connection_close(server, 4000, BYTES("bye")), 7);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_CLOSING);
    CHECK_EQ(wsframe_connection_close(server, 4000, BYTES("bye")), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("x")), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT | more, BYTES("x")), 0);
    CHECK_EQ(wsframe_connection_send_many(server, WSFRAME_OPCODE_TEXT, "x", &one, 1), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PING, BYTES("x")), 0);
    /* Pings are answered until the peer has closed, too. */
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PONG, BYTES("x")), 10);
    CHECK_EQ(wsframe_connection_send(client, WSFRAME_OPCODE_TEXT, BYTES("last")), 10);
    CHECK_EQ(carry(client, server), 1); /* what was on its way is still received */
    check_event(0, WSFRAME_EVENT_TEXT, BYTES("last"));
    CHECK_EQ(carry(server, client), 1);
    CHECK_EQ(check_event(0, WSFRAME_EVENT_CLOSE, BYTES("bye")).close_code, 4000);
    CHECK_EQ(wsframe_connection_state(client), WSFRAME_STATE_CLOSED);
    CHECK_EQ(carry(client, server), 1);
    CHECK_EQ(check_event(0, WSFRAME_EVENT_CLOSE, "", 0).close_code, 4000);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_CLOSED);
    CHECK(wsframe_connection_error(server) == NULL);
    about("after the close nothing is looked at");
    CHECK_EQ(receive(server, BYTES(MASKED_HELLO)), 0);
    CHECK_EQ(turn(server, 0, 0), 0);
    CHECK_EQ(turn(client, 0, 0), 5000);
    CHECK_EQ(turn(client, 0, 4999), 1);
    CHECK_EQ(turn(client, 0, 5000), 0);
    wsframe_connection_free(server);
    wsframe_connection_free(client);
}

static void what_may_not_be_sent(void) {
    wsframe_connection *server = open_server(0);
    about("other opcodes");
    static const uint32_t opcodes[] = {0,     3,     7,     8,     11,    15,    16,    17,    0x81,
                                       0x100, 0x109, 0x10A, 0x203, 0x209, 0x408, 0x601, 0x801, UINT32_MAX};
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        CHECK_EQ(wsframe_connection_send(server, opcodes[i], BYTES("x")), WSFRAME_ERROR_ARGUMENT);
        const size_t one = 1;
        CHECK_EQ(wsframe_connection_send_many(server, opcodes[i], "x", &one, 1), WSFRAME_ERROR_ARGUMENT);
    }
    about("text that is not UTF-8");
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("\xFF")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("\xE2\x82")), WSFRAME_ERROR_ARGUMENT);
    about("control frames that are too long");
    unsigned char *payload = numbered(126);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PING, payload, 126), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PONG, payload, 126), WSFRAME_ERROR_ARGUMENT);
    memset(payload, 'r', 126);
    CHECK_EQ(wsframe_connection_close(server, 1000, payload, 124), WSFRAME_ERROR_ARGUMENT);
    about("close codes");
    for (uint32_t code = 0; code < 5100; code++) {
        int allowed = (code >= 1000 && code <= 1003) || (code >= 1005 && code <= 1005) || (code >= 1007 && code <= 1014) ||
                      (code >= 3000 && code <= 4999);
        if (!allowed)
            CHECK_EQ(wsframe_connection_close(server, code, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    }
    CHECK_EQ(wsframe_connection_close(server, 65536 + 1000, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_close(server, 1005, BYTES("a reason without a code")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_close(server, 1000, BYTES("\xFF")), WSFRAME_ERROR_ARGUMENT);
    about("nothing of it is in the output, and the longest go through");
    CHECK_EQ(output_len(server), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PING, payload, 125), 127);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PONG, payload, 125), 254);
    CHECK_EQ(wsframe_connection_close(server, 1000, payload, 123), 381);
    free(payload);
    wsframe_connection_free(server);

    about("a close without a code");
    server = open_server(0);
    CHECK_EQ(wsframe_connection_close(server, 1005, NULL, 0), 2);
    check_output(server, BYTES("\x88\x00"));
    wsframe_connection_free(server);
    about("before the connection is open");
    server = made(WSFRAME_ROLE_SERVER, NULL);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("x")), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE, BYTES("x")), WSFRAME_ERROR_STATE);
    const size_t one = 1;
    CHECK_EQ(wsframe_connection_send_many(server, WSFRAME_OPCODE_TEXT, "x", &one, 1), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PING, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PONG, NULL, 0), WSFRAME_ERROR_STATE);
    CHECK_EQ(wsframe_connection_close(server, 1000, NULL, 0), WSFRAME_ERROR_STATE);
    wsframe_connection_free(server);
}

/* A call that says more was sent than waits has done nothing, and writes its record all the same. */
static void check_sent_too_much(wsframe_connection *connection, size_t sent) {
    ptrdiff_t waiting = wsframe_connection_waiting(connection);
    wsframe_output output;
    memset(&output, CANARY, sizeof output);
    CHECK_EQ(wsframe_connection_output(connection, sent, 0, &output), WSFRAME_ERROR_ARGUMENT);
    CHECK(output.data == NULL && output.len == 0 && output.wait_ms == 0 && output.flags == 0);
    CHECK_EQ(wsframe_connection_waiting(connection), waiting);
}

static void output_waits_until_it_is_sent(void) {
    about("written byte by byte");
    wsframe_connection *server = open_server(0);
    wsframe_output output;
    check_sent_too_much(server, 1);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("Hello")), 7);
    check_sent_too_much(server, 8);
    check_sent_too_much(server, SIZE_MAX - 1);
    for (size_t i = 0; i < 7; i++) {
        CHECK_EQ(wsframe_connection_output(server, i > 0, 0, &output), 7 - i);
        CHECK_BYTES(output.data, &"\x81\x05Hello"[i], 7 - i);
        CHECK_EQ(wsframe_connection_waiting(server), 7 - i);
    }
    about("more is added while some waits");
    CHECK_EQ(wsframe_connection_output(server, 1, 0, &output), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("a")), 3);
    CHECK_EQ(wsframe_connection_output(server, 2, 0, &output), 1);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("b")), 4);
    check_output(server, BYTES("a\x81\x01" "b"));

    about("all at once, as written");
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("Hello")), 7);
    CHECK_EQ(wsframe_connection_output(server, WSFRAME_ALL, 0, &output), 7);
    CHECK_EQ(output.wait_ms, 30000);
    CHECK_EQ(output.flags, 0);
    CHECK_EQ(wsframe_connection_waiting(server), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("later")), 7);
    CHECK_BYTES(output.data, "\x81\x05Hello", 7);
    CHECK_EQ(wsframe_connection_output(server, WSFRAME_ALL, 0, &output), 7);
    CHECK_EQ(wsframe_connection_output(server, WSFRAME_ALL, 0, &output), 0);
    CHECK(output.data == NULL);
    wsframe_connection_free(server);

    about("a prepared message is a part of its own, and not copied");
    wsframe_part parts[8];
    wsframe_message *message = NULL;
    unsigned char *payload = numbered(100000);
    CHECK_EQ(wsframe_message_new(WSFRAME_OPCODE_BINARY, payload, 100000, NULL, &message), 0);
    server = open_server(0);
    wsframe_connection *other = open_server(0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("a")), 3);
    CHECK_EQ(wsframe_connection_send_message(server, message), 3 + 100010);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("b")), 3 + 100010 + 3);
    CHECK_EQ(wsframe_connection_send_message(other, message), 100010);
    wsframe_message_free(message); /* what is lent lives on */
    CHECK_EQ(wsframe_connection_parts(server, parts, 8), 3);
    CHECK_EQ(parts[0].len, 3 + 10);
    CHECK_EQ(parts[1].len, 100000);
    CHECK_BYTES(parts[1].data, payload, 100000);
    CHECK_EQ(parts[2].len, 3);
    CHECK_BYTES(parts[2].data, "\x81\x01" "b", 3);
    const void *lent = parts[1].data;
    CHECK_EQ(wsframe_connection_parts(server, parts, 1), 1);
    CHECK_EQ(wsframe_connection_parts(server, NULL, 0), 0);
    CHECK_EQ(wsframe_connection_parts(other, parts, 8), 2);
    CHECK(parts[1].data == lent);
    CHECK_EQ(wsframe_connection_output(server, 0, 0, &output), 13);
    CHECK_EQ(output.flags, WSFRAME_OUTPUT_MORE);
    CHECK_EQ(wsframe_connection_output(server, 14, 0, &output), 99999); /* one writev may take more than the first */
    CHECK(output.data == (const unsigned char *)lent + 1);
    CHECK_EQ(wsframe_connection_output(server, 99998 + 2, 0, &output), 2);
    CHECK_EQ(output.flags, 0);
    CHECK_EQ(wsframe_connection_output(other, WSFRAME_ALL, 0, &output), 10);
    CHECK_EQ(output.flags, WSFRAME_OUTPUT_MORE);
    CHECK_EQ(wsframe_connection_output(other, WSFRAME_ALL, 0, &output), 100000);
    CHECK_EQ(output.flags, 0);
    wsframe_connection_free(other);
    CHECK_BYTES(output.data, payload, 100000); /* as nothing else was taken in this thread */
    wsframe_connection_free(server);
    free(payload);

    about("a high-water mark");
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN;
    config.high_water_len = 11;
    server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("0123456789")), 12);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("0")), WSFRAME_ERROR_SPACE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE, BYTES("0")), WSFRAME_ERROR_SPACE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PING, BYTES("0")), WSFRAME_ERROR_SPACE);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_PONG, BYTES("0")), WSFRAME_ERROR_SPACE);
    check_output(server, BYTES("\x81\x0a" "0123456789"));
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("0123456789")), 12);
    about("a close always has room");
    CHECK_EQ(wsframe_connection_close(server, 1000, BYTES("0123456789")), 26);
    wsframe_connection_free(server);
}

/* TCP ends: the last event, and what is left. */
static void tcp_ends(void) {
    about("after the closing handshake");
    wsframe_connection *server = open_server(WSFRAME_CONFIG_ACCEPT_ANY_MASK);
    CHECK_EQ(receive(server, BYTES("\x88\x02\x0F\xA0")), 1);
    check_output(server, BYTES("\x88\x02\x0F\xA0"));
    CHECK_EQ(filled(wsframe_connection_gone(server, &batch)), 1);
    wsframe_event event = check_event(0, WSFRAME_EVENT_GONE, "", 0);
    CHECK_EQ(event.close_code, 4000);
    CHECK_EQ(event.error, 0);
    CHECK_EQ(filled(wsframe_connection_gone(server, &batch)), 0);
    CHECK_EQ(turn(server, 0, 0), 0);
    wsframe_connection_free(server);
    about("without one");
    server = open_server(0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("x")), 3);
    CHECK_EQ(filled(wsframe_connection_gone(server, &batch)), 1);
    CHECK_EQ(event_at(0).close_code, 1006);
    CHECK_EQ(wsframe_connection_waiting(server), 0);
    CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("x")), 0);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_FAILED);
    wsframe_connection_free(server);
}

/* A read of more events than one call delivers: nothing is lost, and bytes may come between. */
static void more_than_one_call_delivers(void) {
    about("65,536 bytes of empty messages");
    wsframe_connection *server = open_server(WSFRAME_CONFIG_ACCEPT_ANY_MASK);
    unsigned char *in = blank(65536);
    for (size_t i = 0; i < 65536; i += 2) {
        in[i] = 0x82;
        in[i + 1] = 0;
    }
    size_t events = (size_t)receive(server, in, 65536);
    CHECK_EQ(batch.flags, WSFRAME_BATCH_MORE);
    events += (size_t)receive(server, BYTES("\x81\x01" "a"));
    while (batch.flags & WSFRAME_BATCH_MORE) {
        CHECK(batch.count <= 4094);
        events += (size_t)receive(server, NULL, 0);
    }
    CHECK_EQ(events, 32768 + 1);
    check_event(batch.count - 1, WSFRAME_EVENT_TEXT, BYTES("a"));
    free(in);
    wsframe_connection_free(server);
}

static void what_the_peer_does_wrong(void) {
    static const struct {
        const char *about;
        uint32_t role;
        const char *bytes;
        size_t len;
        ptrdiff_t error;
    } cases[] = {
        {"a reserved opcode", WSFRAME_ROLE_SERVER, BYTES("\x83"), WSFRAME_ERROR_PROTOCOL},
        {"a reserved bit", WSFRAME_ROLE_SERVER, BYTES("\xC1\x80\x00\x00\x00\x00"), WSFRAME_ERROR_PROTOCOL},
        {"a fragmented ping", WSFRAME_ROLE_SERVER, BYTES("\x09"), WSFRAME_ERROR_PROTOCOL},
        {"a long ping", WSFRAME_ROLE_SERVER, BYTES("\x89\xFE"), WSFRAME_ERROR_PROTOCOL},
        {"a length that is not minimal", WSFRAME_ROLE_SERVER, BYTES("\x82\xFE\x00\x7D"), WSFRAME_ERROR_PROTOCOL},
        {"no mask", WSFRAME_ROLE_SERVER, BYTES("\x82\x00"), WSFRAME_ERROR_PROTOCOL},
        {"a mask", WSFRAME_ROLE_CLIENT, BYTES("\x82\x80\x00\x00\x00\x00"), WSFRAME_ERROR_PROTOCOL},
        {"nothing to continue", WSFRAME_ROLE_CLIENT, BYTES("\x80\x00"), WSFRAME_ERROR_PROTOCOL},
        {"a message in a message", WSFRAME_ROLE_CLIENT, BYTES("\x02\x00\x82\x00"), WSFRAME_ERROR_PROTOCOL},
        {"a close of one byte", WSFRAME_ROLE_CLIENT, BYTES("\x88\x01\x03"), WSFRAME_ERROR_PROTOCOL},
        {"a close code that may not be sent", WSFRAME_ROLE_CLIENT, BYTES("\x88\x02\x03\xEE"), WSFRAME_ERROR_PROTOCOL},
        {"a close reason that is not UTF-8", WSFRAME_ROLE_CLIENT, BYTES("\x88\x03\x03\xE8\xFF"), WSFRAME_ERROR_UTF8},
        {"text that is not UTF-8", WSFRAME_ROLE_CLIENT, BYTES("\x81\x01\xFF"), WSFRAME_ERROR_UTF8},
        {"text that ends in a character", WSFRAME_ROLE_CLIENT, BYTES("\x81\x02\xE2\x82"), WSFRAME_ERROR_UTF8},
        {"a message of 17 MiB", WSFRAME_ROLE_CLIENT, BYTES("\x82\x7F\0\0\0\0\x01\x10\0\0"), WSFRAME_ERROR_TOO_BIG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int in_place = 0; in_place < 2; in_place++) {
            about("%s%s, after a valid pong", cases[i].about, in_place ? " in place" : "");
            int is_server = cases[i].role == WSFRAME_ROLE_SERVER;
            wsframe_connection *connection = is_server ? open_server(0) : open_client(0);
            unsigned char in[64], pong[] = "\x8A\x80\0\0\0\0";
            size_t len = is_server ? 6 : 2;
            pong[1] = is_server ? 0x80 : 0;
            memcpy(in, pong, len);
            memcpy(in + len, cases[i].bytes, cases[i].len);
            len += cases[i].len;
            CHECK_EQ(filled(in_place ? wsframe_connection_receive_in_place(connection, in, len, &batch)
                                     : wsframe_connection_receive(connection, in, len, &batch)),
                     2);
            CHECK_EQ(event_at(0).kind, WSFRAME_EVENT_PONG);
            wsframe_event event = event_at(1);
            CHECK_EQ(event.kind, WSFRAME_EVENT_ERROR);
            CHECK_EQ(event.error, cases[i].error);
            CHECK_EQ(event.close_code, wsframe_close_code(cases[i].error));
            CHECK_EQ(event.len, 0);
            CHECK(strlen(wsframe_connection_error(connection)) > 10);

            /* The close frame with the code is in the output. */
            wsframe_connection *peer = is_server ? open_client(0) : open_server(0);
            CHECK_EQ(turn(connection, 0, 0), 5000);
            CHECK_EQ(carry(connection, peer), 1);
            CHECK_EQ(event_at(0).kind, WSFRAME_EVENT_CLOSE);
            CHECK_EQ(event_at(0).close_code, event.close_code);

            /* It is over: that is no error of any call. */
            const void *out = in;
            const size_t one = 1;
            CHECK_EQ(receive(connection, in, 1), 0);
            CHECK_EQ(receive(connection, NULL, 0), 0);
            CHECK_EQ(filled(wsframe_connection_receive_in_place(connection, in, 1, &batch)), 0);
            CHECK_EQ(wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT, BYTES("x")), 0);
            CHECK_EQ(wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE, BYTES("x")), 0);
            CHECK_EQ(wsframe_connection_send_many(connection, WSFRAME_OPCODE_TEXT, "x", &one, 1), 0);
            CHECK_EQ(wsframe_connection_send(connection, WSFRAME_OPCODE_PING, NULL, 0), 0);
            CHECK_EQ(wsframe_connection_send(connection, WSFRAME_OPCODE_PONG, NULL, 0), 0);
            CHECK_EQ(wsframe_connection_close(connection, 1000, NULL, 0), 0);
            CHECK_EQ(wsframe_connection_add_field(connection, BYTES("a"), BYTES("b")), 0);
            CHECK_EQ(accept_request(connection, NULL, 0), 0);
            CHECK_EQ(wsframe_connection_respond(connection, 403, NULL, 0), 0);
            CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_FAILED);
            CHECK_EQ(wsframe_connection_target(connection, &out), 0);
            CHECK(out == NULL);

            CHECK_EQ(turn(connection, 0, 0), 0);
            wsframe_connection_free(peer);
            wsframe_connection_free(connection);
        }
    }
}

static void what_came_before_the_end_can_be_answered(void) {
    static const struct {
        const char *about, *end;
        size_t end_len;
        const char *answer;
        size_t answer_len;
    } cases[] = {
        {"a close", BYTES("\x88\x02\x0F\xA0"), BYTES("\x88\x02\x0F\xA0")},
        {"a close without a code", BYTES("\x88\x00"), BYTES("\x88\x00")},
        {"an error", BYTES("\x83"), BYTES("\x88\x02\x03\xEA")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s, behind a message", cases[i].about);
        wsframe_connection *server = open_server(WSFRAME_CONFIG_ACCEPT_ANY_MASK);
        unsigned char in[16] = "\x81\x01" "a", expected[16] = "\x81\x01" "b";
        memcpy(in + 3, cases[i].end, cases[i].end_len);
        memcpy(expected + 3, cases[i].answer, cases[i].answer_len);
        CHECK_EQ(receive(server, in, 3 + cases[i].end_len), 2);
        CHECK_EQ(wsframe_connection_close(server, 1000, NULL, 0), 0);
        CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("b")), 3);
        check_output(server, expected, 3 + cases[i].answer_len);
        CHECK_EQ(wsframe_connection_send(server, WSFRAME_OPCODE_TEXT, BYTES("c")), 0);
        CHECK_EQ(turn(server, 0, 0), 0);
        wsframe_connection_free(server);
    }
}

static void leniency_is_asked_for(void) {
    static const struct {
        const char *about;
        uint32_t flag;
        const char *bytes;
        size_t len;
        int kind;
    } cases[] = {
        {"a mask", WSFRAME_CONFIG_ACCEPT_ANY_MASK, BYTES("\x82\x80\x00\x00\x00\x00"), WSFRAME_EVENT_BINARY},
        {"a long length", WSFRAME_CONFIG_ACCEPT_LONG_LENGTHS, BYTES("\x82\x7E\x00\x00"), WSFRAME_EVENT_BINARY},
        {"a longer length", WSFRAME_CONFIG_ACCEPT_LONG_LENGTHS, BYTES("\x82\x7F\0\0\0\0\0\0\0\0"), WSFRAME_EVENT_BINARY},
        {"text that is not UTF-8", WSFRAME_CONFIG_SKIP_UTF8, BYTES("\x81\x01\xFF"), WSFRAME_EVENT_TEXT},
        {"a close code", WSFRAME_CONFIG_ACCEPT_ANY_CLOSE_CODE, BYTES("\x88\x02\x07\xD0"), WSFRAME_EVENT_CLOSE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        wsframe_connection *strict = open_client(0), *lenient = open_client(cases[i].flag);
        CHECK_EQ(receive(strict, cases[i].bytes, cases[i].len), 1);
        CHECK_EQ(event_at(0).kind, WSFRAME_EVENT_ERROR);
        CHECK_EQ(receive(lenient, cases[i].bytes, cases[i].len), 1);
        CHECK_EQ(event_at(0).kind, cases[i].kind);
        wsframe_connection_free(strict);
        wsframe_connection_free(lenient);
    }
    about("text that is not UTF-8 is sent");
    wsframe_connection *client = open_client(WSFRAME_CONFIG_SKIP_UTF8);
    CHECK_EQ(wsframe_connection_send(client, WSFRAME_OPCODE_TEXT, BYTES("\xFF")), 7);
    wsframe_connection_free(client);
    about("pings that are not answered");
    client = open_client(WSFRAME_CONFIG_MANUAL_PONG);
    CHECK_EQ(receive(client, BYTES("\x89\x00")), 1);
    CHECK_EQ(event_at(0).kind, WSFRAME_EVENT_PING);
    CHECK_EQ(output_len(client), 0);
    wsframe_connection_free(client);
    about("pieces as they come");
    client = open_client(WSFRAME_CONFIG_PIECES);
    CHECK_EQ(receive(client, BYTES("\x81\x05" "ab\xE2")), 1);
    CHECK_EQ(check_event(0, WSFRAME_EVENT_TEXT, BYTES("ab")).flags, WSFRAME_DATA_FIRST);
    CHECK_EQ(receive(client, BYTES("\x82")), 0);
    CHECK_EQ(receive(client, BYTES("\xAC")), 1);
    CHECK_EQ(check_event(0, WSFRAME_EVENT_TEXT, BYTES("\xE2\x82\xAC")).flags, WSFRAME_DATA_LAST);
    wsframe_connection_free(client);
}

static void limits_are_kept(void) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN;
    config.max_message_len = 10;
    config.max_frame_len = 8;
    config.max_fragments = 3;
    static const struct {
        const char *bytes;
        size_t len;
        ptrdiff_t error;
    } cases[] = {
        {BYTES("\x82\x08" "01234567"), 0},
        {BYTES("\x82\x09"), WSFRAME_ERROR_TOO_BIG},
        {BYTES("\x02\x08" "01234567" "\x80\x02" "89"), 0},
        {BYTES("\x02\x08" "01234567" "\x80\x03"), WSFRAME_ERROR_TOO_BIG},
        {BYTES("\x02\x00\x00\x00\x80\x00"), 0},
        {BYTES("\x02\x00\x00\x00\x00\x00\x80\x00"), WSFRAME_ERROR_TOO_BIG},
        {BYTES("\x89\x09" "012345678"), 0}, /* no frame of a message */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("case %zu", i);
        wsframe_connection *client = made(WSFRAME_ROLE_CLIENT, &config);
        CHECK_EQ(receive(client, cases[i].bytes, cases[i].len), 1);
        CHECK_EQ(event_at(0).error, cases[i].error);
        wsframe_connection_free(client);
    }
}

static void payloads_are_unmasked_in_place(void) {
    about("two that are whole, one that is not");
    wsframe_connection *server = open_server(0);
    unsigned char *in = copy(BYTES(MASKED_HELLO MASKED_PING "\x82\x82\x01\x02\x03\x04" "a"));
    size_t len = sizeof MASKED_HELLO MASKED_PING "\x82\x82\x01\x02\x03\x04" "a" - 1;
    CHECK_EQ(filled(wsframe_connection_receive_in_place(server, in, len, &batch)), 2);
    wsframe_event event = event_at(0);
    CHECK_EQ(event.kind, WSFRAME_EVENT_TEXT);
    CHECK_EQ(event.flags, WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST | WSFRAME_DATA_IN_PLACE);
    CHECK_EQ(event.offset, 6);
    CHECK_BYTES(in + event.offset, "Hello", 5);
    event = event_at(1);
    CHECK_EQ(event.kind, WSFRAME_EVENT_PING);
    CHECK_EQ(event.flags, WSFRAME_DATA_IN_PLACE);
    CHECK_EQ(event.offset, 17);
    CHECK_BYTES(in + event.offset, "p", 1);
    about("what was there is not needed any more");
    memset(in, CANARY, len);
    free(in);
    check_output(server, BYTES("\x8A\x01p"));
    unsigned char rest = 'b' ^ 2;
    CHECK_EQ(filled(wsframe_connection_receive_in_place(server, &rest, 1, &batch)), 1);
    event = check_event(0, WSFRAME_EVENT_BINARY, BYTES("\x60" "b"));
    CHECK_EQ(event.flags, WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST);
    wsframe_connection_free(server);

    about("the opening handshake is copied");
    server = made(WSFRAME_ROLE_SERVER, NULL);
    in = copy(BYTES(REQUEST MASKED_HELLO));
    CHECK_EQ(filled(wsframe_connection_receive_in_place(server, in, sizeof REQUEST MASKED_HELLO - 1, &batch)), 2);
    CHECK_EQ(check_event(0, WSFRAME_EVENT_OPEN, BYTES(REQUEST)).flags, 0);
    CHECK_EQ(check_event(1, WSFRAME_EVENT_TEXT, BYTES("Hello")).flags,
             WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST);
    free(in);
    wsframe_connection_free(server);
}

static void time_passes(void) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.handshake_timeout_ms = 100;
    config.close_timeout_ms = 200;
    config.ping_interval_ms = 300;
    about("a client that says nothing");
    wsframe_connection *server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(turn(server, 0, 5000), 100);
    CHECK_EQ(turn(server, 0, 5099), 1);
    CHECK_EQ(turn(server, 0, 5100), 0);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_FAILED);
    CHECK(strstr(wsframe_connection_error(server), "handshake") != NULL);
    CHECK_EQ(receive(server, BYTES("x")), 0);
    CHECK_EQ(filled(wsframe_connection_gone(server, &batch)), 1);
    CHECK_EQ(event_at(0).error, WSFRAME_ERROR_TIMEOUT);
    CHECK_EQ(event_at(0).close_code, 1006);
    wsframe_connection_free(server);

    about("silence");
    config.flags = WSFRAME_CONFIG_START_OPEN;
    server = made(WSFRAME_ROLE_SERVER, &config);
    CHECK_EQ(turn(server, 0, UINT64_MAX - 1000), 300);
    CHECK_EQ(turn(server, 0, UINT64_MAX - 701), 1);
    CHECK_EQ(output_len(server), 0);
    CHECK_EQ(turn(server, 0, UINT64_MAX - 700), 300);
    check_output(server, BYTES("\x89\x00"));
    CHECK_EQ(turn(server, 0, UINT64_MAX - 401), 1);
    CHECK_EQ(receive(server, BYTES("\x8A\x80\x00\x00\x00\x00")), 1);
    CHECK_EQ(turn(server, 0, UINT64_MAX - 400), 300);
    CHECK_EQ(turn(server, 0, UINT64_MAX), 300); /* late, but the peer has its time */
    check_output(server, BYTES("\x89\x00"));
    about("a clock that goes back");
    CHECK_EQ(turn(server, 0, 0), 300);
    about("a peer that does not close");
    CHECK_EQ(wsframe_connection_close(server, 1000, NULL, 0), 4);
    CHECK_EQ(turn(server, 0, 1000), 200);
    CHECK_EQ(turn(server, 0, 1200), 0);
    CHECK_EQ(wsframe_connection_state(server), WSFRAME_STATE_FAILED);
    wsframe_connection_free(server);
}

static void nothing_is_a_wrong_argument(void) {
    about("no connection");
    const void *out = &out;
    unsigned char in[4] = {CANARY, CANARY, CANARY, CANARY};
    memset(&batch, CANARY, sizeof batch);
    CHECK_EQ(wsframe_connection_receive(NULL, in, 1, &batch), WSFRAME_ERROR_ARGUMENT);
    CHECK(batch.events == NULL && batch.count == 0 && batch.data == NULL && batch.data_len == 0 && batch.flags == 0);
    CHECK_EQ(wsframe_connection_receive_in_place(NULL, in, 4, &batch), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(in, 4);
    CHECK_EQ(wsframe_connection_gone(NULL, &batch), WSFRAME_ERROR_ARGUMENT);
    wsframe_output output;
    memset(&output, CANARY, sizeof output);
    CHECK_EQ(wsframe_connection_output(NULL, 0, 0, &output), WSFRAME_ERROR_ARGUMENT);
    CHECK(output.data == NULL && output.len == 0 && output.wait_ms == 0 && output.flags == 0);
    wsframe_part part;
    CHECK_EQ(wsframe_connection_parts(NULL, &part, 1), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_waiting(NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send(NULL, WSFRAME_OPCODE_TEXT, in, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_close(NULL, 1000, in, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_request(NULL, BYTES("a"), BYTES("/")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_add_field(NULL, BYTES("a"), BYTES("b")), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(accept_request(NULL, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_respond(NULL, 403, NULL, 0), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_target(NULL, &out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_field(NULL, BYTES("Host"), &out), WSFRAME_ERROR_ARGUMENT);
    wsframe_field field;
    CHECK_EQ(wsframe_connection_field_at(NULL, 0, &field), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_subprotocol(NULL, &out), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_state(NULL), WSFRAME_ERROR_ARGUMENT);
    CHECK(wsframe_connection_error(NULL) == NULL);
    CHECK(out == &out);

    for (int opened = 0; opened < 2; opened++) {
        about("no bytes, nowhere to write, or lengths that nothing has, %s", opened ? "open" : "connecting");
        wsframe_connection *c = made_with(WSFRAME_ROLE_SERVER, opened ? WSFRAME_CONFIG_START_OPEN : 0);
        const size_t lens[] = {1, TOO_LONG, SIZE_MAX};
        for (size_t i = 0; i < COUNT(lens); i++) {
            void *bytes = i == 0 ? NULL : in;
            CHECK_EQ(wsframe_connection_receive(c, bytes, lens[i], &batch), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_receive_in_place(c, bytes, lens[i], &batch), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_send(c, WSFRAME_OPCODE_TEXT, bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_send(c, WSFRAME_OPCODE_PING, bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_send(c, WSFRAME_OPCODE_PONG, bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_close(c, 1000, bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_request(c, bytes, lens[i], BYTES("/")), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_request(c, BYTES("a"), bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_add_field(c, bytes, lens[i], BYTES("a")), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_add_field(c, BYTES("a"), bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(accept_request(c, bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_respond(c, 403, bytes, lens[i]), WSFRAME_ERROR_ARGUMENT);
            CHECK_EQ(wsframe_connection_field(c, bytes, lens[i], &out), WSFRAME_ERROR_ARGUMENT);
            CHECK(out == &out);
        }
        CHECK_EQ(wsframe_connection_receive(c, in, 4, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_receive_in_place(c, in, 4, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_accept(c, NULL, 0, 0, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_gone(c, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_output(c, 0, 0, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_parts(c, NULL, 1), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_field_at(c, 0, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_target(c, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_field(c, BYTES("Host"), NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_subprotocol(c, NULL), WSFRAME_ERROR_ARGUMENT);
        CHECK_UNTOUCHED(in, 4);
        CHECK_EQ(wsframe_connection_state(c), opened ? WSFRAME_STATE_OPEN : WSFRAME_STATE_CONNECTING);
        CHECK_EQ(output_len(c), 0);
        wsframe_connection_free(c);
    }
}

int main(void) {
    connections_are_made_and_freed();
    a_config_may_be_older_or_newer();
    wrong_configs_are_refused();
    the_opening_handshake();
    somebody_else_has_done_the_handshake();
    a_request_that_cannot_be_written();
    requests_are_accepted_by_the_library();
    requests_are_refused_by_the_library();
    the_application_answers_requests();
    responses_are_judged();
    messages_go_both_ways();
    what_may_not_be_sent();
    output_waits_until_it_is_sent();
    more_than_one_call_delivers();
    what_the_peer_does_wrong();
    tcp_ends();
    what_came_before_the_end_can_be_answered();
    leniency_is_asked_for();
    limits_are_kept();
    payloads_are_unmasked_in_place();
    time_passes();
    nothing_is_a_wrong_argument();
    return passed();
}

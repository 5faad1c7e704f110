/* Compressed messages: what is agreed on, prepared messages, and many messages with one call. */

#include "wsframe.h"

#include "check.h"

#define HELLO "\xF2\x48\xCD\xC9\xC9\x07\x00" /* RFC 7692 section 7.2.3.1 */
#define HELLO_AGAIN "\xF2\x00\x11\x00\x00"   /* section 7.2.3.2 */
#define OFFER "permessage-deflate; client_max_window_bits"

/* Lengths that nothing in memory has. */
#define TOO_LONG ((size_t)PTRDIFF_MAX + 1)

enum { TEXT = WSFRAME_OPCODE_TEXT, BINARY = WSFRAME_OPCODE_BINARY };
enum { COMPRESSED_TEXT = WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_COMPRESSED };
enum { PIECE_OF_TEXT = WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE };

static wsframe_batch batch;

static wsframe_config config_with(const char *extensions) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE;
    config.server_max_window_bits = config.client_max_window_bits = 15;
    if (extensions != NULL) {
        config.flags |= WSFRAME_CONFIG_START_OPEN;
        config.extensions = extensions;
        config.extensions_len = strlen(extensions);
    }
    return config;
}

static wsframe_connection *made(uint32_t role, const wsframe_config *config) {
    wsframe_connection *connection = NULL;
    CHECK_EQ(wsframe_connection_new(role, config, &connection), 0);
    return connection;
}

/* A server that has agreed to compress. */
static wsframe_connection *compressing(void) {
    wsframe_config config = config_with("permessage-deflate");
    return made(WSFRAME_ROLE_SERVER, &config);
}

static wsframe_message *prepared(uint32_t opcode, const void *in, size_t len, const wsframe_config *config) {
    wsframe_message *message = NULL;
    unsigned char *bytes = copy(in, len);
    CHECK_EQ(wsframe_message_new(opcode, bytes, len, config, &message), 0);
    free(bytes); /* it is copied */
    CHECK(message != NULL);
    return message;
}

/* Checks the output, and takes it. */
static void check_output(wsframe_connection *connection, const void *expected, size_t len) {
    wsframe_output output;
    CHECK_EQ(wsframe_connection_output(connection, 0, 0, &output), len);
    CHECK_BYTES(output.data, expected, len);
    CHECK_EQ(wsframe_connection_output(connection, len, 0, &output), 0);
}

static void what_is_agreed_on_is_told(void) {
    static const struct {
        const char *extensions;
        wsframe_deflate agreed;
    } cases[] = {
        {"permessage-deflate", {0, 0, 15, 15}},
        {"permessage-deflate; server_no_context_takeover", {1, 0, 15, 15}},
        {"permessage-deflate; client_no_context_takeover", {0, 1, 15, 15}},
        {"permessage-deflate; server_max_window_bits=10; client_max_window_bits=8", {0, 0, 10, 8}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].extensions);
        wsframe_config config = config_with(cases[i].extensions);
        for (uint32_t role = 0; role < 2; role++) {
            wsframe_connection *connection = made(role, &config);
            wsframe_deflate *agreed = (wsframe_deflate *)(void *)blank(sizeof *agreed);
            CHECK_EQ(wsframe_connection_deflate(connection, agreed), 1);
            CHECK_BYTES(agreed, &cases[i].agreed, sizeof *agreed);
            CHECK_EQ(wsframe_connection_deflate(connection, NULL), WSFRAME_ERROR_ARGUMENT);
            free(agreed);
            wsframe_connection_free(connection);
        }
    }
    about("nothing");
    wsframe_config config = config_with(NULL);
    wsframe_deflate agreed;
    memset(&agreed, CANARY, sizeof agreed);
    wsframe_connection *connection = made(WSFRAME_ROLE_CLIENT, &config);
    CHECK_EQ(wsframe_connection_deflate(connection, &agreed), 0);
    CHECK_EQ(wsframe_connection_deflate(connection, NULL), WSFRAME_ERROR_ARGUMENT);
    wsframe_connection_free(connection);
    CHECK_EQ(wsframe_connection_deflate(NULL, &agreed), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(&agreed, sizeof agreed);
}

static void compressed_messages_are_marked(void) {
    wsframe_connection *server = compressing();
    unsigned char in[] = "\xC1\x87\0\0\0\0" HELLO "\x81\x85\0\0\0\0Plain";
    about("two messages");
    CHECK_EQ(wsframe_connection_receive_in_place(server, in, sizeof in - 1, &batch), 2);
    const wsframe_event *events = batch.events;
    CHECK_EQ(events[0].flags, WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST | WSFRAME_DATA_COMPRESSED);
    CHECK_EQ(events[1].flags, WSFRAME_DATA_FIRST | WSFRAME_DATA_LAST | WSFRAME_DATA_IN_PLACE);
    CHECK_EQ(batch.data_len, 5);
    CHECK_BYTES(batch.data, "Hello", 5);
    CHECK_BYTES(in + events[1].offset, "Plain", 5);
    wsframe_connection_free(server);
}

static void a_config_says_how_to_compress(void) {
    static const struct {
        const char *about;
        uint32_t min_len, level, server_bits, client_bits;
        ptrdiff_t expected;
    } cases[] = {
        {"the defaults", 0, 0, 0, 0, 0},
        {"the least", 1, 1, 9, 9, 0},
        {"the most", UINT32_MAX, 9, 15, 15, 0},
        {"a level above 9", 0, 10, 0, 0, WSFRAME_ERROR_ARGUMENT},
        {"a level that would fit if it were a byte", 0, 256 + 6, 0, 0, WSFRAME_ERROR_ARGUMENT},
        {"a level above all", 0, UINT32_MAX, 0, 0, WSFRAME_ERROR_ARGUMENT},
        {"a server's window of 8", 0, 0, 8, 0, WSFRAME_ERROR_ARGUMENT},
        {"a server's window of 16", 0, 0, 16, 0, WSFRAME_ERROR_ARGUMENT},
        {"a server's window that would fit if it were a byte", 0, 0, 256 + 12, 0, WSFRAME_ERROR_ARGUMENT},
        {"a client's window of 8", 0, 0, 0, 8, WSFRAME_ERROR_ARGUMENT},
        {"a client's window of 16", 0, 0, 0, 16, WSFRAME_ERROR_ARGUMENT},
        {"a client's window that would fit if it were a byte", 0, 0, 0, 256 + 12, WSFRAME_ERROR_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        wsframe_config config = config_with(NULL);
        config.deflate_min_len = cases[i].min_len;
        config.deflate_level = cases[i].level;
        config.server_max_window_bits = cases[i].server_bits;
        config.client_max_window_bits = cases[i].client_bits;
        wsframe_connection *connection = NULL;
        wsframe_message *message = NULL;
        char out[200];
        ptrdiff_t expected = cases[i].expected;
        CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection), expected);
        CHECK_EQ(wsframe_message_new(TEXT, BYTES("x"), &config, &message), expected);
        CHECK((connection != NULL) == (expected == 0) && (message != NULL) == (expected == 0));
        CHECK((wsframe_extensions_answer(BYTES(OFFER), &config, out, sizeof out) >= 0) == (expected == 0));
        wsframe_connection_free(connection);
        wsframe_message_free(message);
    }

    static const struct {
        const char *about, *extensions;
        size_t len;
        ptrdiff_t expected;
    } extensions[] = {
        {"none", NULL, 0, 0},
        {"none, at an address", "x", 0, 0},
        {"NULL with a length", NULL, 1, WSFRAME_ERROR_ARGUMENT},
        {"lengths that nothing has", "x", TOO_LONG, WSFRAME_ERROR_ARGUMENT},
        {"lengths that nothing has at all", "x", SIZE_MAX, WSFRAME_ERROR_ARGUMENT},
        {"not UTF-8", BYTES("permessage-deflate\xFF"), WSFRAME_ERROR_ARGUMENT},
        {"not ended by a NUL", "permessage-deflatex", 18, 0},
    };
    for (size_t i = 0; i < COUNT(extensions); i++) {
        about("extensions: %s", extensions[i].about);
        wsframe_config config = config_with("");
        config.extensions = extensions[i].extensions;
        config.extensions_len = extensions[i].len;
        wsframe_connection *connection = NULL;
        CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection), extensions[i].expected);
        wsframe_connection_free(connection);
    }

    about("an older header, whose config ends before all that");
    wsframe_config config = config_with("nonsense");
    config.deflate_level = 99;
    config.struct_size = offsetof(wsframe_config, deflate_min_len);
    wsframe_connection *connection = made(WSFRAME_ROLE_SERVER, &config);
    wsframe_deflate agreed;
    CHECK_EQ(wsframe_connection_deflate(connection, &agreed), 0);
    wsframe_connection_free(connection);
}

static void offers_are_answered(void) {
    wsframe_config config = config_with(NULL);
    config.server_max_window_bits = config.client_max_window_bits = 0;
    static const char answer[] = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    size_t len = sizeof answer - 1;
    for (size_t cap = 0; cap < len + 2; cap++) {
        about("out_cap %zu", cap);
        unsigned char *out = blank(cap), *offer = copy(BYTES(OFFER));
        ptrdiff_t expected = cap < len ? WSFRAME_ERROR_SPACE : (ptrdiff_t)len;
        CHECK_EQ(wsframe_extensions_answer(offer, sizeof OFFER - 1, &config, out, cap), expected);
        if (cap < len)
            CHECK_UNTOUCHED(out, cap);
        else
            CHECK_BYTES(out, answer, len);
        if (cap > len)
            CHECK_UNTOUCHED(out + len, cap - len);
        free(offer);
        free(out);
    }
    about("the longest answer");
    static const char longest[] = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                                  "server_max_window_bits=10; client_max_window_bits=10";
    unsigned char *out = blank(128);
    CHECK_EQ(wsframe_extensions_answer(longest, sizeof longest - 1, &config, out, 128), sizeof longest - 1);
    CHECK_BYTES(out, longest, sizeof longest - 1);
    about("what is answered is what a connection starts with");
    config.flags |= WSFRAME_CONFIG_START_OPEN;
    config.extensions = out;
    config.extensions_len = sizeof longest - 1;
    wsframe_connection *connection = made(WSFRAME_ROLE_SERVER, &config);
    free(out); /* not needed after the call */
    wsframe_deflate agreed, expected = {1, 1, 10, 10};
    CHECK_EQ(wsframe_connection_deflate(connection, &agreed), 1);
    CHECK_BYTES(&agreed, &expected, sizeof agreed);
    wsframe_connection_free(connection);

    about("nothing to answer");
    config = config_with(NULL);
    out = blank(128);
    CHECK_EQ(wsframe_extensions_answer(NULL, 0, &config, out, 128), 0);
    CHECK_EQ(wsframe_extensions_answer(BYTES("x-other"), &config, NULL, 0), 0);
    CHECK_EQ(wsframe_extensions_answer(BYTES("permessage-deflate; unknown"), &config, out, 128), 0);
    CHECK_EQ(wsframe_extensions_answer(BYTES(OFFER), NULL, out, 128), 0);
    config.flags = 0;
    CHECK_EQ(wsframe_extensions_answer(BYTES(OFFER), &config, out, 128), 0);
    about("no list of extensions");
    config = config_with(NULL);
    CHECK_EQ(wsframe_extensions_answer(BYTES("a b"), &config, out, 128), WSFRAME_ERROR_HANDSHAKE);
    CHECK_EQ(wsframe_extensions_answer(BYTES("\xFF"), &config, out, 128), WSFRAME_ERROR_HANDSHAKE);
    CHECK_EQ(wsframe_extensions_answer(BYTES("a\0"), &config, out, 128), WSFRAME_ERROR_HANDSHAKE);
    CHECK_EQ(wsframe_extensions_answer(BYTES(OFFER "\r\nX: y"), &config, out, 128), WSFRAME_ERROR_HANDSHAKE);
    about("wrong arguments");
    CHECK_EQ(wsframe_extensions_answer(NULL, 1, &config, out, 128), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_extensions_answer(BYTES(OFFER), &config, NULL, 128), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_extensions_answer("x", TOO_LONG, &config, out, 128), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_extensions_answer("x", SIZE_MAX, &config, out, 128), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_extensions_answer(BYTES(OFFER), &config, out, TOO_LONG), WSFRAME_ERROR_ARGUMENT);
    config.struct_size = 3;
    CHECK_EQ(wsframe_extensions_answer(BYTES(OFFER), &config, out, 128), WSFRAME_ERROR_ARGUMENT);
    CHECK_UNTOUCHED(out, 128);
    free(out);
}

static void a_server_can_do_without_for_one_client(void) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    wsframe_config config = config_with(NULL);
    config.flags |= WSFRAME_CONFIG_ASK;
    for (uint32_t flags = 0; flags <= WSFRAME_ACCEPT_WITHOUT_DEFLATE; flags++) {
        about("accepted with flags %" PRIu32, flags);
        wsframe_connection *server = made(WSFRAME_ROLE_SERVER, &config);
        wsframe_batch events;
        wsframe_output output;
        wsframe_deflate agreed;
        CHECK_EQ(wsframe_connection_receive(server, BYTES(request), &events), 1);
        CHECK_EQ(wsframe_connection_accept(server, NULL, 0, 2, &events), WSFRAME_ERROR_ARGUMENT);
        CHECK_EQ(wsframe_connection_accept(server, NULL, 0, flags, &events), 1);
        CHECK_EQ(wsframe_connection_deflate(server, &agreed), flags == 0);
        char response[1000] = {0};
        ptrdiff_t len = wsframe_connection_output(server, 0, 0, &output);
        CHECK(len > 0 && len < (ptrdiff_t)sizeof response);
        memcpy(response, output.data, (size_t)len);
        CHECK((strstr(response, "permessage-deflate") != NULL) == (flags == 0));
        wsframe_connection_free(server);
    }
}

static void what_comes_out_is_limited(void) {
    wsframe_config config = config_with("permessage-deflate");
    static const struct {
        const char *about;
        uint64_t max_inflated_len, max_message_len;
        ptrdiff_t error;
    } cases[] = {
        {"as much as may", 5, 0, 0},
        {"more than may come compressed", 4, 0, WSFRAME_ERROR_TOO_BIG},
        {"more than a message may have", 5, 4, WSFRAME_ERROR_TOO_BIG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        about("%s", cases[i].about);
        wsframe_batch events;
        config.max_inflated_len = cases[i].max_inflated_len;
        config.max_message_len = cases[i].max_message_len;
        wsframe_connection *client = made(WSFRAME_ROLE_CLIENT, &config);
        CHECK_EQ(wsframe_connection_receive(client, BYTES("\xC1\x07" HELLO), &events), 1);
        CHECK_EQ(events.events[0].error, cases[i].error);
        wsframe_connection_free(client);
    }
}

static void messages_are_prepared(void) {
    wsframe_config config = config_with(NULL);
    wsframe_message *message = prepared(COMPRESSED_TEXT, BYTES("Hello"), &config);
    about("on connections that compress, and those that do not");
    wsframe_connection *first = compressing(), *second = compressing(), *plain = made(WSFRAME_ROLE_SERVER, NULL);
    CHECK_EQ(wsframe_connection_send_message(plain, message), WSFRAME_ERROR_STATE);
    wsframe_connection_free(plain);
    wsframe_config open = {0};
    open.struct_size = sizeof open;
    open.flags = WSFRAME_CONFIG_START_OPEN;
    plain = made(WSFRAME_ROLE_SERVER, &open);
    CHECK_EQ(wsframe_connection_send_message(first, message), 9);
    CHECK_EQ(wsframe_connection_send_message(first, message), 18);
    CHECK_EQ(wsframe_connection_send_message(second, message), 9);
    CHECK_EQ(wsframe_connection_send_message(plain, message), 7);
    about("freed as soon as it was sent");
    wsframe_message_free(message);
    check_output(first, BYTES("\xC1\x07" HELLO "\xC1\x07" HELLO));
    check_output(second, BYTES("\xC1\x07" HELLO));
    check_output(plain, BYTES("\x81\x05Hello"));
    about("a message that follows may refer to it");
    CHECK_EQ(wsframe_connection_send(second, COMPRESSED_TEXT, BYTES("Hello")), 7);
    check_output(second, BYTES("\xC1\x05" HELLO_AGAIN));

    about("compressed if that is shorter, unless told otherwise");
    char as[300];
    memset(as, 'a', sizeof as);
    static const struct {
        uint32_t opcode;
        size_t len;
        unsigned char first;
    } cases[] = {
        {TEXT, 300, 0xC1},
        {TEXT, 255, 0x81},
        {BINARY, 256, 0xC2},
        {(uint32_t)WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_PLAIN, 300, 0x81},
        {COMPRESSED_TEXT, 0, 0xC1},
        {TEXT, 0, 0x81},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        wsframe_output output;
        message = prepared(cases[i].opcode, as, cases[i].len, &config);
        ptrdiff_t len = wsframe_connection_send_message(first, message);
        CHECK_EQ(wsframe_connection_output(first, 0, 0, &output), len);
        CHECK_EQ(*(const unsigned char *)output.data, cases[i].first);
        CHECK_EQ(wsframe_connection_output(first, (size_t)len, 0, &output), 0);
        wsframe_message_free(message);
    }
    about("with the defaults it is not compressed");
    message = prepared(COMPRESSED_TEXT, BYTES("Hello"), NULL);
    CHECK_EQ(wsframe_connection_send_message(first, message), 7);
    check_output(first, BYTES("\x81\x05Hello"));
    wsframe_message_free(message);

    about("while another is sent in pieces");
    message = prepared(TEXT, BYTES("Hello"), &config);
    CHECK(wsframe_connection_send(first, PIECE_OF_TEXT, BYTES("a")) > 0);
    CHECK_EQ(wsframe_connection_send_message(first, message), WSFRAME_ERROR_STATE);
    CHECK(wsframe_connection_send(first, TEXT, BYTES("a")) > 0);
    CHECK(wsframe_connection_send_message(first, message) > 0);
    about("after a close");
    CHECK(wsframe_connection_close(first, 1000, NULL, 0) > 0);
    CHECK_EQ(wsframe_connection_send_message(first, message), 0);
    about("nothing is a wrong argument");
    CHECK_EQ(wsframe_connection_send_message(NULL, message), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_message(second, NULL), WSFRAME_ERROR_ARGUMENT);
    check_output(second, NULL, 0);
    wsframe_message_free(message);
    wsframe_message_free(NULL);
    wsframe_connection_free(first);
    wsframe_connection_free(second);
    wsframe_connection_free(plain);
}

static void wrong_messages_are_not_prepared(void) {
    wsframe_config config = config_with(NULL);
    int something;
    wsframe_message *untouched = (wsframe_message *)(void *)&something, *message = untouched;
    static const uint32_t wrong[] = {0, 3, 8, 16, 0x81, 0x109, 0x20A, 0x601, 0x801, 0x80000001u, UINT32_MAX};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        about("opcode %" PRIX32, wrong[i]);
        CHECK_EQ(wsframe_message_new(wrong[i], BYTES("x"), &config, &message), WSFRAME_ERROR_ARGUMENT);
        wsframe_connection *connection = compressing();
        CHECK_EQ(wsframe_connection_send(connection, wrong[i], BYTES("x")), WSFRAME_ERROR_ARGUMENT);
        const size_t len = 1;
        CHECK_EQ(wsframe_connection_send_many(connection, wrong[i], "x", &len, 1), WSFRAME_ERROR_ARGUMENT);
        check_output(connection, NULL, 0);
        wsframe_connection_free(connection);
    }
    about("what can be sent, but not be prepared");
    static const uint32_t unprepared[] = {9, 10, 0x101, 0x302};
    for (size_t i = 0; i < COUNT(unprepared); i++)
        CHECK_EQ(wsframe_message_new(unprepared[i], BYTES("x"), &config, &message), WSFRAME_ERROR_ARGUMENT);
    about("text that is not UTF-8");
    CHECK_EQ(wsframe_message_new(TEXT, BYTES("\xFF"), &config, &message), WSFRAME_ERROR_ARGUMENT);
    about("wrong arguments");
    CHECK_EQ(wsframe_message_new(TEXT, NULL, 1, &config, &message), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_message_new(TEXT, "x", TOO_LONG, &config, &message), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_message_new(TEXT, "x", SIZE_MAX, &config, &message), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_message_new(TEXT, "x", 1, &config, NULL), WSFRAME_ERROR_ARGUMENT);
    config.struct_size = 0;
    CHECK_EQ(wsframe_message_new(TEXT, "x", 1, &config, &message), WSFRAME_ERROR_ARGUMENT);
    config.struct_size = sizeof config;
    config.flags = 0x80;
    CHECK_EQ(wsframe_message_new(TEXT, "x", 1, &config, &message), WSFRAME_ERROR_ARGUMENT);
    CHECK(message == untouched);
    about("an empty message");
    CHECK_EQ(wsframe_message_new(TEXT, NULL, 0, NULL, &message), 0);
    wsframe_message_free(message);
}

static void many_messages_are_sent_with_one_call(void) {
    wsframe_connection *connection = compressing();
    unsigned char *in = copy(BYTES("HelloHello"));
    const size_t lens[] = {5, 0, 5};
    about("three");
    CHECK_EQ(wsframe_connection_send_many(connection, COMPRESSED_TEXT, in, lens, 3), 3);
    check_output(connection, BYTES("\xC1\x07" HELLO "\xC1\x01\x00\xC1\x05" HELLO_AGAIN));
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, lens, 3), 3);
    check_output(connection, BYTES("\x81\x05Hello\x81\x00\x81\x05Hello"));
    about("none");
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, NULL, NULL, 0), 0);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, lens, 0), 0);
    check_output(connection, NULL, 0);

    about("as many as can be sent");
    const size_t cut[] = {2, 2, 1};
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, "ab\xFF\xFF" "c", cut, 3), 1);
    check_output(connection, BYTES("\x81\x02" "ab"));
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, "\xFF\xFF" "abc", cut, 3), WSFRAME_ERROR_ARGUMENT);
    check_output(connection, NULL, 0);
    wsframe_config config = config_with("permessage-deflate");
    config.high_water_len = 7;
    wsframe_connection *full = made(WSFRAME_ROLE_SERVER, &config);
    const size_t fives[] = {5, 5, 5};
    CHECK_EQ(wsframe_connection_send_many(full, TEXT, "HelloHelloHello", fives, 3), 2);
    CHECK_EQ(wsframe_connection_send_many(full, TEXT, "HelloHelloHello", fives, 3), WSFRAME_ERROR_SPACE);
    check_output(full, BYTES("\x81\x05Hello\x81\x05Hello"));
    about("what found no room is not referred to");
    CHECK_EQ(wsframe_connection_send_many(full, COMPRESSED_TEXT, "HelloHelloHello", fives, 3), 1);
    check_output(full, BYTES("\xC1\x07" HELLO));
    CHECK_EQ(wsframe_connection_send_many(full, COMPRESSED_TEXT, "Hello", fives, 1), 1);
    check_output(full, BYTES("\xC1\x05" HELLO_AGAIN));
    wsframe_connection_free(full);

    about("while another is sent in pieces");
    CHECK(wsframe_connection_send(connection, PIECE_OF_TEXT, BYTES("a")) > 0);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, lens, 3), WSFRAME_ERROR_STATE);

    about("wrong arguments");
    const size_t sum_wraps[] = {5, SIZE_MAX, 2}, sum_is_long[] = {(size_t)PTRDIFF_MAX, 1};
    CHECK_EQ(wsframe_connection_send_many(NULL, TEXT, in, lens, 3), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, NULL, lens, 3), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, NULL, 3), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, sum_wraps, 3), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, sum_is_long, 2), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, lens, SIZE_MAX), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, lens, SIZE_MAX / sizeof *lens), WSFRAME_ERROR_ARGUMENT);
    CHECK_EQ(wsframe_connection_send_many(connection, TEXT, in, lens, SIZE_MAX / sizeof *lens + 2),
             WSFRAME_ERROR_ARGUMENT);
    wsframe_connection_free(connection);
    free(in);
}

#define SAID "connection %d says what it has always said, and %d"

/* The compressors and inflaters of a thread serve all its connections: more of them than it keeps. */
static void connections_take_turns(void) {
    enum { CONNECTIONS = 12, ROUNDS = 5 };
    wsframe_config config = config_with("permessage-deflate");
    wsframe_connection *servers[CONNECTIONS], *clients[CONNECTIONS];
    unsigned char last[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        config.deflate_level = (uint32_t)(1 + i % 3);
        servers[i] = made(WSFRAME_ROLE_SERVER, &config);
        clients[i] = made(WSFRAME_ROLE_CLIENT, &config);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            about("connection %d, round %d", i, round);
            char text[200];
            int len = snprintf(text, sizeof text, SAID, i, round);
            wsframe_output output;
            CHECK(wsframe_connection_send(servers[i], COMPRESSED_TEXT, text, (size_t)len) > 0);
            CHECK(wsframe_connection_output(servers[i], 0, 0, &output) > 0);
            CHECK(round == 0 || output.len < 20);
            /* But for the last byte, so that more inflaters are in use than a thread keeps. */
            CHECK_EQ(wsframe_connection_receive(clients[i], output.data, output.len - 1, &batch), 0);
            last[i] = ((const unsigned char *)output.data)[output.len - 1];
            CHECK_EQ(wsframe_connection_output(servers[i], output.len, 0, &output), 0);
        }
        for (int i = CONNECTIONS - 1; i >= 0; i--) {
            about("connection %d, round %d", i, round);
            char text[200];
            int len = snprintf(text, sizeof text, SAID, i, round);
            CHECK_EQ(wsframe_connection_receive(clients[i], &last[i], 1, &batch), 1);
            CHECK_EQ(batch.data_len, len);
            CHECK_BYTES(batch.data, text, (size_t)len);
        }
    }
    about("freed with messages begun");
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK(wsframe_connection_send(servers[i], PIECE_OF_TEXT, BYTES("begun")) > 0);
        CHECK_EQ(wsframe_connection_receive(clients[i], BYTES("\x41\x03\xF2\x48\xCD"), &batch), 0);
        wsframe_connection_free(servers[i]);
        wsframe_connection_free(clients[i]);
    }
}

int main(void) {
    what_is_agreed_on_is_told();
    compressed_messages_are_marked();
    a_config_says_how_to_compress();
    offers_are_answered();
    a_server_can_do_without_for_one_client();
    what_comes_out_is_limited();
    messages_are_prepared();
    wrong_messages_are_not_prepared();
    many_messages_are_sent_with_one_call();
    connections_take_turns();
    return passed();
}

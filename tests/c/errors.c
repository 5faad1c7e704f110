/* Version, error numbers, their sentences and close codes. */

#include "wsframe.h"

#include "check.h"

/* Numbers are part of the ABI, so they are written down here once more. */
/* Of nobody: made for this test, and good for a hundred years. */
#define CERTIFICATE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIBlTCCATugAwIBAgIUSl1pUORgjN4S/0fiAZTXqp4gHx8wCgYIKoZIzj0EAwIw\n" \
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzE1MDc1NVoYDzIxMjYxMTAz\n" \
    "MTUwNzU1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n" \
    "PQMBBwNCAASSzObGHoc1ewt5C+bKMzDKcw2g5/jB5QNMhK7uvdYBWZutPRo70HGC\n" \
    "6J40cljlBjPfhhYVO1sjAksEWTCCQ5+vo2kwZzAdBgNVHQ4EFgQUq/dykK+z+9P5\n" \
    "8M5BUVaJ8sOyJKUwHwYDVR0jBBgwFoAUq/dykK+z+9P58M5BUVaJ8sOyJKUwDwYD\n" \
    "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID\n" \
    "SAAwRQIgb2M6F7gHPkEVmkMB264WT25Lniod+QUO9/vsJowQyMsCIQD/GB53PMLL\n" \
    "yY4ye3c84tR7TVFmQ1CSVjVJCs21iw7k8g==\n" \
    "-----END CERTIFICATE-----\n"
#define KEY \
    "-----BEGIN PRIVATE KEY-----\n" \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCyUuvmoA2X17nUO1\n" \
    "13ufKKcrfXNMjfQbYb+MFmdo2t6hRANCAASSzObGHoc1ewt5C+bKMzDKcw2g5/jB\n" \
    "5QNMhK7uvdYBWZutPRo70HGC6J40cljlBjPfhhYVO1sjAksEWTCCQ5+v\n" \
    "-----END PRIVATE KEY-----\n"

static const struct {
    ptrdiff_t error;
    int number;
    int close_code;
} errors[] = {
    {WSFRAME_ERROR_ARGUMENT, -1, 0},      {WSFRAME_ERROR_STATE, -2, 0},        {WSFRAME_ERROR_SPACE, -3, 0},
    {WSFRAME_ERROR_MEMORY, -4, 1011},     {WSFRAME_ERROR_INTERNAL, -5, 1011},  {WSFRAME_ERROR_IO, -6, 0},
    {WSFRAME_ERROR_HANDSHAKE, -32, 0},    {WSFRAME_ERROR_PROTOCOL, -33, 1002}, {WSFRAME_ERROR_UTF8, -34, 1007},
    {WSFRAME_ERROR_TOO_BIG, -35, 1009},    {WSFRAME_ERROR_POLICY, -36, 1008},   {WSFRAME_ERROR_TIMEOUT, -37, 0},
};

static int is_error(ptrdiff_t number) {
    for (size_t i = 0; i < COUNT(errors); i++)
        if (errors[i].number == number)
            return 1;
    return 0;
}

static void header_and_library_have_one_version(void) {
    about("version");
    CHECK_EQ(wsframe_version(), WSFRAME_VERSION);
}

static void each_error_has_its_number_sentence_and_close_code(void) {
    for (size_t i = 0; i < COUNT(errors); i++) {
        about("error %d", errors[i].number);
        CHECK_EQ(errors[i].error, errors[i].number);
        CHECK_EQ(wsframe_close_code(errors[i].error), errors[i].close_code);
        CHECK(strlen(wsframe_strerror(errors[i].error)) > 0);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(wsframe_strerror(errors[i].error), wsframe_strerror(errors[j].error)) != 0);
    }
}

static void check_no_error(ptrdiff_t number) {
    about("number %td", number);
    CHECK_EQ(wsframe_close_code(number), 0);
    /* One sentence for every count, another one for every unknown number, neither that of an error. */
    CHECK(strcmp(wsframe_strerror(number), wsframe_strerror(number < 0 ? PTRDIFF_MIN : 0)) == 0);
    for (size_t i = 0; i < COUNT(errors); i++)
        CHECK(strcmp(wsframe_strerror(number), wsframe_strerror(errors[i].error)) != 0);
}

static void every_other_number_has_a_sentence_too(void) {
    for (ptrdiff_t number = -300; number <= 300; number++)
        if (!is_error(number))
            check_no_error(number);
    check_no_error(PTRDIFF_MIN);
    check_no_error(PTRDIFF_MAX);
    /* As wide as the parameter: these are -1 and -33 if the upper half is lost. */
    if (sizeof(ptrdiff_t) > 4) {
        check_no_error((ptrdiff_t)INT64_C(0x00000000FFFFFFFF));
        check_no_error((ptrdiff_t)INT64_C(0x00000000FFFFFFDF));
    }
    CHECK(strcmp(wsframe_strerror(0), wsframe_strerror(PTRDIFF_MIN)) != 0);
}

/* Checks that the call before has failed with this error, and that the sentence has this word in it. The sentence is
 * printed: tests/c_api.rs compares them with those that there are. */
static void check_why(ptrdiff_t returned, ptrdiff_t error, const char *word) {
    about("a mistake that is about \"%s\"", word);
    CHECK_EQ(returned, error);
    CHECK(wsframe_why() != NULL);
    if (strstr(wsframe_why(), word) == NULL)
        check_failed(__FILE__, __LINE__, "the sentence is \"%s\"", wsframe_why());
    puts(wsframe_why());
}

static ptrdiff_t try_config(wsframe_config config) {
    wsframe_connection *connection = NULL;
    ptrdiff_t made = wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection);
    wsframe_connection_free(connection);
    return made;
}

static void a_wrong_config_is_told_how(void) {
    wsframe_config good = {0}, config;
    good.struct_size = sizeof good;
    good.flags = WSFRAME_CONFIG_DEFLATE;
    config = good, config.struct_size = 0;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "struct_size");
    config = good, config.flags = 0x1000;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "flag");
    config = good, config.deflate_level = 10;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "deflate_level");
    config = good, config.server_max_window_bits = 8;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "window_bits");
    config = good, config.client_max_window_bits = 16;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "window_bits");
    config = good, config.max_head_fields = 1001;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "max_head_fields");
    config = good, config.subprotocols = "b c", config.subprotocols_len = 3;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "token");
    config = good, config.subprotocol = "b c", config.subprotocol_len = 3;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "subprotocol");
    config = good, config.origins = "https://example.com/", config.origins_len = 20;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "origin");
    config = good, config.origins = "example.com", config.origins_len = 11;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "scheme://host");
    config = good, config.origins = ",", config.origins_len = 1;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "list");
    config = good, config.flags |= WSFRAME_CONFIG_START_OPEN, config.extensions = "x", config.extensions_len = 1;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "extensions");
    config = good, config.target = "\xFF", config.target_len = 1;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "UTF-8");
    config = good, config.target_len = 1;
    check_why(try_config(config), WSFRAME_ERROR_ARGUMENT, "NULL");
    CHECK_EQ(try_config(good), 0);

    about("a field of a newer header");
    struct {
        wsframe_config known;
        uint64_t newer;
    } newer = {good, 1};
    wsframe_connection *none = NULL;
    newer.known.struct_size = sizeof newer;
    check_why(wsframe_connection_new(WSFRAME_ROLE_SERVER, &newer.known, &none), WSFRAME_ERROR_ARGUMENT, "does not know");
    CHECK(none == NULL);
}

static wsframe_connection *made(uint32_t role, uint32_t flags) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = flags;
    config.high_water_len = 10;
    wsframe_connection *connection = NULL;
    CHECK_EQ(wsframe_connection_new(role, &config, &connection), 0);
    return connection;
}

static void a_wrong_call_is_told_how(void) {
    enum { ARGUMENT = WSFRAME_ERROR_ARGUMENT, STATE = WSFRAME_ERROR_STATE, TEXT = WSFRAME_OPCODE_TEXT };
    wsframe_connection *none = NULL;
    wsframe_batch batch;
    wsframe_output output;
    char bytes[126] = {0}, out[8], large[140];
    check_why(wsframe_connection_new(2, NULL, &none), ARGUMENT, "role");
    check_why(wsframe_connection_send(NULL, TEXT, "a", 1), ARGUMENT, "NULL");

    wsframe_connection *open = made(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_START_OPEN);
    check_why(wsframe_connection_send(open, TEXT, NULL, 1), ARGUMENT, "NULL");
    check_why(wsframe_connection_send(open, TEXT, "a", SIZE_MAX), ARGUMENT, "length");
    check_why(wsframe_connection_send(open, TEXT, "\xFF", 1), ARGUMENT, "UTF-8");
    check_why(wsframe_connection_send(open, WSFRAME_EVENT_REQUEST, "a", 1), ARGUMENT, "text or binary");
    check_why(wsframe_connection_send(open, TEXT | 0x800, "a", 1), ARGUMENT, "MORE");
    check_why(wsframe_connection_send(open, WSFRAME_OPCODE_CONTINUATION, "a", 1), ARGUMENT, "text or binary");
    check_why(wsframe_connection_send(open, TEXT | WSFRAME_OPCODE_PLAIN | WSFRAME_OPCODE_COMPRESSED, "a", 1), ARGUMENT,
              "one of PLAIN and COMPRESSED");
    check_why(wsframe_connection_send(open, WSFRAME_OPCODE_PING | WSFRAME_OPCODE_MORE, "a", 1), ARGUMENT, "ping");
    check_why(wsframe_connection_send(open, WSFRAME_OPCODE_PING, bytes, 126), ARGUMENT, "125");
    check_why(wsframe_connection_send(open, WSFRAME_OPCODE_PONG, bytes, 126), ARGUMENT, "125");
    const size_t lens[] = {1, SIZE_MAX};
    check_why(wsframe_connection_send_many(open, TEXT, "a", lens, 2), ARGUMENT, "length");
    check_why(wsframe_connection_send_many(open, TEXT, "a", NULL, 1), ARGUMENT, "NULL");
    check_why(wsframe_connection_send_many(open, TEXT | WSFRAME_OPCODE_MORE, "a", lens, 1), ARGUMENT, "MORE");
    check_why(wsframe_connection_send_message(open, NULL), ARGUMENT, "NULL");
    check_why(wsframe_connection_close(open, 1006, NULL, 0), ARGUMENT, "close code");
    check_why(wsframe_connection_close(open, 65536 + 1000, NULL, 0), ARGUMENT, "close code");
    check_why(wsframe_connection_close(open, 1000, bytes, 124), ARGUMENT, "123");
    check_why(wsframe_connection_close(open, 1000, "\xFF", 1), ARGUMENT, "UTF-8");
    check_why(wsframe_connection_receive(open, NULL, 1, &batch), ARGUMENT, "NULL");
    check_why(wsframe_connection_receive(open, "a", 1, NULL), ARGUMENT, "NULL");
    check_why(wsframe_connection_output(open, 1, 0, &output), ARGUMENT, "sent");
    check_why(wsframe_connection_accept(open, NULL, 0, 0, &batch), STATE, "no request waits");
    check_why(wsframe_connection_accept(open, NULL, 0, 2, &batch), ARGUMENT, "bit");
    check_why(wsframe_connection_respond(open, 100, NULL, 0), ARGUMENT, "status");
    check_why(wsframe_connection_respond(open, 200, NULL, 0), STATE, "no request waits");
    check_why(wsframe_connection_request(open, "a", 1, "/", 1), STATE, "client");
    check_why(wsframe_connection_add_field(open, "a", 1, "b", 1), STATE, "written before");
    CHECK_EQ(wsframe_connection_send(open, TEXT | WSFRAME_OPCODE_MORE, "a", 1), 3);
    check_why(wsframe_connection_send(open, WSFRAME_OPCODE_BINARY, "a", 1), STATE, "pieces");
    CHECK_EQ(wsframe_connection_send(open, TEXT, bytes, 20), 25);
    check_why(wsframe_connection_send(open, TEXT, "a", 1), WSFRAME_ERROR_SPACE, "high_water_len");
    wsframe_connection_free(open);

    wsframe_connection *asks = made(WSFRAME_ROLE_SERVER, WSFRAME_CONFIG_ASK);
    check_why(wsframe_connection_send(asks, TEXT, "a", 1), STATE, "not open yet");
    check_why(wsframe_connection_close(asks, 1000, NULL, 0), STATE, "not open yet");
    check_why(wsframe_connection_add_field(asks, "a b", 3, "c", 1), ARGUMENT, "token");
    check_why(wsframe_connection_add_field(asks, "a", 1, "b\r\nc", 4), ARGUMENT, "control character");
    check_why(wsframe_connection_add_field(asks, "Host", 4, "b", 1), ARGUMENT, "writes this field itself");
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    CHECK_EQ(wsframe_connection_receive(asks, request, sizeof request - 1, &batch), 1);
    check_why(wsframe_connection_accept(asks, "chat", 4, 0, &batch), ARGUMENT, "offered");
    CHECK_EQ(wsframe_connection_accept(asks, NULL, 0, 0, &batch), 1);
    wsframe_connection_free(asks);

    wsframe_connection *client = made(WSFRAME_ROLE_CLIENT, 0);
    check_why(wsframe_connection_accept(client, NULL, 0, 0, &batch), STATE, "server");
    check_why(wsframe_connection_respond(client, 200, NULL, 0), STATE, "server");
    check_why(wsframe_connection_request(client, "ws://a/", 7, "/", 1), ARGUMENT, "host");
    check_why(wsframe_connection_request(client, "a", 1, "chat", 4), ARGUMENT, "target");
    CHECK(wsframe_connection_request(client, "a", 1, "/", 1) > 0);
    check_why(wsframe_connection_request(client, "a", 1, "/", 1), STATE, "sent before");
    wsframe_connection_free(client);

    wsframe_config ask = {0};
    ask.struct_size = sizeof ask;
    ask.flags = WSFRAME_CONFIG_ASK;
    check_why(wsframe_handshake_answer(request, sizeof request - 1, &ask, NULL, 0), STATE, "WSFRAME_CONFIG_ASK");
    check_why(wsframe_handshake_answer(request, 10, NULL, NULL, 0), WSFRAME_ERROR_HANDSHAKE, "head");
    check_why(wsframe_accept_key("abc", 3, out, sizeof out), WSFRAME_ERROR_HANDSHAKE, "16 bytes");
    check_why(wsframe_frame_build(0x83, "a", 1, out, sizeof out), ARGUMENT, "reserved");
    check_why(wsframe_frame_build(0x181, "a", 1, out, sizeof out), ARGUMENT, "bit");
    check_why(wsframe_frame_build(0x09, "a", 1, out, sizeof out), ARGUMENT, "FIN");
    check_why(wsframe_frame_build(0x89, bytes, 126, large, sizeof large), ARGUMENT, "125");
    wsframe_header header = {0};
    header.payload_len = UINT64_C(1) << 63, header.opcode = TEXT;
    check_why(wsframe_header_build(&header, out, sizeof out), ARGUMENT, "2^63-1");
    header.payload_len = 0, header.flags = 2;
    check_why(wsframe_header_build(&header, out, sizeof out), ARGUMENT, "flags");
    header.flags = 0, header.reserved = 1;
    check_why(wsframe_header_build(&header, out, sizeof out), ARGUMENT, "reserved field");
    check_why(wsframe_header_parse("a", 1, NULL), ARGUMENT, "NULL");
    check_why(wsframe_unmask(out, 4, NULL, 0, out), ARGUMENT, "NULL");
    check_why(wsframe_unmask(out, 4, "key", 0, out + 1), ARGUMENT, "overlap");
    check_why(wsframe_utf8_check(NULL, 1), ARGUMENT, "NULL");
    check_why(wsframe_utf8_check("\xFF", 1), WSFRAME_ERROR_UTF8, "UTF-8");
    check_why(wsframe_frame_build(0x81, out, 4, out, sizeof out), ARGUMENT, "overlap");
    check_why(wsframe_frame_build(0x81, "abcdefgh", 8, out, sizeof out), WSFRAME_ERROR_SPACE, "too small");
    check_why(wsframe_message_new(WSFRAME_OPCODE_PING, "a", 1, NULL, NULL), ARGUMENT, "NULL");
    wsframe_message *message = NULL;
    check_why(wsframe_message_new(WSFRAME_OPCODE_PING, "a", 1, NULL, &message), ARGUMENT, "text or binary");
}

static void a_wrong_call_of_a_hub_is_told_how(void) {
    wsframe_hub *hub = NULL;
    struct {
        wsframe_hub_config known;
        uint64_t newer;
    } newer = {.known = {.struct_size = sizeof newer}, .newer = 1};
    check_why(wsframe_hub_new(&newer.known, &hub), WSFRAME_ERROR_ARGUMENT, "does not know");
    newer.newer = 0;
    CHECK_EQ(wsframe_hub_new(&newer.known, &hub), 0);
    check_why(wsframe_hub_listen(hub, "localhost:80", 12, 0, NULL), WSFRAME_ERROR_ARGUMENT, "looked up");
    check_why(wsframe_hub_subscribe(hub, 1, NULL, 0), WSFRAME_ERROR_ARGUMENT, "topic");
    uint64_t id;
    check_why(wsframe_hub_adopt(hub, -1, WSFRAME_ROLE_SERVER, 0, NULL, &id), WSFRAME_ERROR_ARGUMENT, "less than 0");
    check_why(wsframe_hub_connect(hub, "http://a/", 9, NULL, 0, NULL, &id), WSFRAME_ERROR_ARGUMENT, "ws:// or wss://");
    check_why(wsframe_hub_trust(hub, "a", 1), WSFRAME_ERROR_ARGUMENT, "PEM");
    check_why(wsframe_hub_set_certificate(hub, 80, "a", 1, "a", 1), WSFRAME_ERROR_ARGUMENT, "PEM");
    check_why(wsframe_hub_set_certificate(hub, 80, CERTIFICATE, sizeof CERTIFICATE - 1, KEY, sizeof KEY - 1),
              WSFRAME_ERROR_ARGUMENT, "listen at this port");
    check_why(wsframe_hub_watch(hub, 1000000, WSFRAME_WATCH_READ), WSFRAME_ERROR_IO, "wait for this descriptor");
    check_why(wsframe_hub_listen(hub, "unix:/", 6, 0, NULL), WSFRAME_ERROR_IO, "errno");
    CHECK_EQ(wsframe_hub_stop(hub, 0), 0);
    check_why(wsframe_hub_listen(hub, "127.0.0.1:0", 11, 0, NULL), WSFRAME_ERROR_STATE, "stopped");
    wsframe_hub_free(hub);
}

int main(void) {
    about("no mistake yet");
    CHECK(wsframe_why() == NULL);
    header_and_library_have_one_version();
    each_error_has_its_number_sentence_and_close_code();
    every_other_number_has_a_sentence_too();
    a_wrong_config_is_told_how();
    a_wrong_call_is_told_how();
    a_wrong_call_of_a_hub_is_told_how();
    return passed();
}

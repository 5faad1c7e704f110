/* The loops on the first page of the header, as they stand there: page.inc has them, cut out by tests/sample.rs. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wsframe.h"

#include "check.h"

/* A socket that is memory. It takes so many bytes before it says EAGAIN, and so many at a time. */
static unsigned char written[1 << 23];
static size_t written_len, room, step;
static int is_shut;

static ssize_t send_to_memory(int fd, const void *data, size_t len, int flags) {
    CHECK_EQ(fd, 7);
    CHECK_EQ(flags, 0x4000);
    CHECK(data != NULL && len > 0); /* never what nothing was lent for */
    if (room == 0)
        return -1;
    size_t taken = len < room ? len : room;
    if (taken > step)
        taken = step;
    CHECK(written_len + taken <= sizeof written);
    memcpy(written + written_len, data, taken);
    written_len += taken;
    room -= taken;
    return (ssize_t)taken;
}

static int shut_memory(int fd, int how) {
    CHECK_EQ(fd, 7);
    CHECK_EQ(how, 1);
    is_shut = 1;
    return 0;
}

#define MSG_NOSIGNAL 0x4000
#define SHUT_WR 1
#define send send_to_memory
#define shutdown shut_memory

#include "page.inc"

static wsframe_connection *open_server(void) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN | WSFRAME_CONFIG_ACCEPT_ANY_MASK;
    config.high_water_len = 1 << 23;
    wsframe_connection *connection = NULL;
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection), 0);
    written_len = 0;
    room = step = sizeof written;
    is_shut = 0;
    return connection;
}

static void check_gone(wsframe_connection *connection, int close_code, int error) {
    wsframe_batch batch;
    CHECK_EQ(wsframe_connection_gone(connection, &batch), 1);
    CHECK_EQ(batch.events[0].close_code, close_code);
    CHECK_EQ(batch.events[0].error, error);
    wsframe_connection_free(connection);
}

static void a_silent_peer_that_answers_pings_lives(void) {
    about("an hour of silence, with an answer to each ping");
    wsframe_connection *server = open_server();
    uint64_t now = 0;
    int pings = 0;
    while (now < 3600000) {
        uint32_t wait_ms = turn(server, 7, NULL, 0, now);
        CHECK(wait_ms > 0 && !is_shut);
        now += wait_ms;
        if (written_len > 0) {
            CHECK_EQ(written_len, 2);
            CHECK_BYTES(written, "\x89\x00", 2);
            written_len = 0;
            pings++;
            turn(server, 7, "\x8A\x00", 2, now - wait_ms + 10);
            now = now - wait_ms + 10;
        }
    }
    CHECK(pings > 100);
    check_gone(server, 1006, 0);
}

static void a_peer_that_does_not_answer_is_given_up(void) {
    about("silence");
    wsframe_connection *server = open_server();
    CHECK_EQ(turn(server, 7, NULL, 0, 0), 30000);
    CHECK_EQ(turn(server, 7, NULL, 0, 30000), 30000);
    CHECK_EQ(written_len, 2);
    CHECK_EQ(turn(server, 7, NULL, 0, 59999), 1);
    CHECK(!is_shut);
    CHECK_EQ(turn(server, 7, NULL, 0, 60000), 0);
    CHECK(is_shut);
    check_gone(server, 1006, WSFRAME_ERROR_TIMEOUT);
}

static void short_writes_lose_nothing(void) {
    static const size_t steps[] = {1, 2, 7, 1000};
    for (size_t i = 0; i < COUNT(steps); i++) {
        about("writes of at most %zu bytes, and a socket that is full after 3 times as many", steps[i]);
        wsframe_connection *server = open_server();
        unsigned char in[3000];
        size_t in_len = 0, expected_len = 0;
        for (int message = 0; message < 100; message++) {
            in[in_len++] = 0x82;
            in[in_len++] = (unsigned char)(message % 20);
            for (int at = 0; at < message % 20; at++)
                in[in_len++] = (unsigned char)(message * 7 + at);
        }
        room = 0;
        turn(server, 7, in, in_len, 0);
        CHECK_EQ(written_len, 0);
        step = steps[i];
        while (wsframe_connection_waiting(server) > 0) {
            room = 3 * step;
            CHECK(turn(server, 7, NULL, 0, 0) > 0);
            CHECK(written_len > expected_len);
            expected_len = written_len;
        }
        CHECK_EQ(written_len, in_len); /* an echo of a server is as long as what was not masked */
        CHECK_BYTES(written, in, in_len);
        check_gone(server, 1006, 0);
    }
}

static void the_closing_handshake_ends_it(void) {
    about("the peer closes, and what it said before is answered");
    wsframe_connection *server = open_server();
    CHECK_EQ(turn(server, 7, "\x81\x01" "a\x88\x02\x03\xE9", 7, 0), 0);
    CHECK(is_shut);
    CHECK_EQ(written_len, 7);
    CHECK_BYTES(written, "\x81\x01" "a\x88\x02\x03\xE9", 7);
    check_gone(server, 1001, 0);

    about("the peer closes, but does not take the answer");
    server = open_server();
    room = 0;
    CHECK_EQ(turn(server, 7, "\x88\x02\x03\xE9", 4, 0), 5000);
    CHECK(!is_shut);
    room = sizeof written;
    CHECK_EQ(turn(server, 7, NULL, 0, 10), 0);
    CHECK(is_shut);
    check_gone(server, 1001, 0);

    about("this end closes");
    server = open_server();
    CHECK_EQ(wsframe_connection_close(server, 1000, NULL, 0), 4);
    CHECK_EQ(turn(server, 7, NULL, 0, 0), 5000);
    CHECK_EQ(turn(server, 7, "\x88\x02\x03\xE8", 4, 10), 0);
    CHECK(is_shut);
    check_gone(server, 1000, 0);

    about("the peer breaks the rules");
    server = open_server();
    CHECK_EQ(turn(server, 7, "\x83", 1, 0), 0);
    CHECK_BYTES(written, "\x88\x02\x03\xEA", 4);
    CHECK_EQ(turn(server, 7, "more", 4, 0), 0);
    CHECK_EQ(written_len, 4);
    check_gone(server, 1006, WSFRAME_ERROR_PROTOCOL);
}

static void everything_of_a_large_read_is_delivered(void) {
    about("64 KiB of empty messages");
    wsframe_connection *server = open_server();
    static unsigned char in[1 << 16];
    for (size_t i = 0; i < sizeof in; i += 2)
        in[i] = 0x82;
    turn(server, 7, in, sizeof in, 0);
    CHECK_EQ(written_len, sizeof in);
    CHECK_BYTES(written, in, sizeof in);
    check_gone(server, 1006, 0);
}

static void a_slow_reader_of_much_is_not_given_up(void) {
    about("4 MiB that the system takes at once, and the peer at 16 KiB a second");
    wsframe_connection *server = open_server();
    turn(server, 7, NULL, 0, 0);
    CHECK(wsframe_connection_send(server, WSFRAME_OPCODE_BINARY, written, 1 << 22) > 0);
    for (uint64_t now = 1000; now < 256000; now += 1000) {
        CHECK(turn(server, 7, NULL, 0, now) > 0);
        CHECK(!is_shut);
    }
    about("it does not answer when it has had the time to read all");
    for (uint64_t now = 256000; turn(server, 7, NULL, 0, now) > 0; now += 1000)
        CHECK(now < 400000);
    CHECK(is_shut);
    check_gone(server, 1006, WSFRAME_ERROR_TIMEOUT);
}

static void a_dead_handle_writes_nothing(void) {
    about("no connection");
    written_len = 0;
    is_shut = 0;
    CHECK_EQ(turn(NULL, 7, "x", 1, 0), 0);
    CHECK_EQ(written_len, 0);
    CHECK(is_shut);
}

static void frames_are_answered(void) {
    unsigned char in[64], out[64];
    uint16_t close_code;
    for (size_t len = 0; len < 11; len++) {
        about("%zu bytes of a frame", len);
        memcpy(in, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", len);
        CHECK_EQ(answer(in, len, out, sizeof out, &close_code), 0);
        CHECK_EQ(close_code, 0);
    }
    about("a frame");
    memcpy(in, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    CHECK_EQ(answer(in, 11, out, sizeof out, &close_code), 7);
    CHECK_BYTES(out, "\x81\x05Hello", 7);
    about("no room");
    memcpy(in, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    CHECK_EQ(answer(in, 11, out, 6, &close_code), WSFRAME_ERROR_SPACE);
    static const struct {
        const char *frame;
        size_t len;
        int close_code;
    } refused[] = {{BYTES("\x81\x01" "a"), 1002}, {BYTES("\x83"), 1002}, {BYTES("\x82\xFF\0\0\0\0\0\1\0\1\0\0\0\0"), 1009}};
    for (size_t i = 0; i < COUNT(refused); i++) {
        about("a frame that is closed with %d", refused[i].close_code);
        memcpy(in, refused[i].frame, refused[i].len);
        CHECK(answer(in, refused[i].len, out, sizeof out, &close_code) < 0);
        CHECK_EQ(close_code, refused[i].close_code);
    }
}

int main(void) {
    a_silent_peer_that_answers_pings_lives();
    a_peer_that_does_not_answer_is_given_up();
    short_writes_lose_nothing();
    the_closing_handshake_ends_it();
    everything_of_a_large_read_is_delivered();
    a_slow_reader_of_much_is_not_given_up();
    a_dead_handle_writes_nothing();
    frames_are_answered();
    return passed();
}

/* Every function from several threads at once, and several threads on one connection: rule 8 of the header. */

#define _POSIX_C_SOURCE 200809L

#include "wsframe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 10000, ROUNDS_WITH_CONNECTIONS = 200, ROUNDS_WITH_HUB = 20, WAKES_OF_EACH = 2000, SENT_BY_EACH = 1000, LEN = 1000, HEADER_LEN = 8 };

/* What one thread works with. Each has something else: if they shared state they would see each other's answers. */
struct work {
    char key[24];
    unsigned char accept[28]; /* the answer to key, from before there were threads */
    unsigned char seed;
};

/* The shared checks count in one variable, so a thread returns what went wrong instead. */
#define EXPECT(condition) \
    if (!(condition))     \
    return #condition

static const char *use_every_function(const struct work *work) {
    const unsigned char key[4] = {work->seed, 0xfa, 0x21, 0x3d};
    unsigned char payload[LEN], frame[HEADER_LEN + LEN], out[LEN], accept[28];
    memset(payload, 'a' + work->seed, LEN);

    EXPECT(wsframe_version() == WSFRAME_VERSION);
    EXPECT(wsframe_close_code(WSFRAME_ERROR_UTF8) == 1007);
    EXPECT(strcmp(wsframe_strerror(WSFRAME_ERROR_UTF8), wsframe_strerror(WSFRAME_ERROR_SPACE)) != 0);
    /* Each thread has its own last mistake. */
    EXPECT(wsframe_accept_key(NULL, work->seed, accept, sizeof accept) < 0);
    EXPECT(strstr(wsframe_why(), work->seed > 0 ? "NULL" : "base64") != NULL);
    EXPECT(wsframe_accept_key(work->key, sizeof work->key, accept, sizeof accept) == sizeof accept);
    EXPECT(memcmp(accept, work->accept, sizeof accept) == 0);

    wsframe_header sent = {0}, received;
    sent.payload_len = LEN;
    sent.opcode = WSFRAME_OPCODE_TEXT;
    sent.flags = WSFRAME_OPCODE_FIN | WSFRAME_HEADER_MASK;
    memcpy(sent.mask_key, key, sizeof key);
    EXPECT(wsframe_header_build(&sent, frame, sizeof frame) == HEADER_LEN);
    EXPECT(wsframe_unmask(payload, LEN, key, 0, frame + HEADER_LEN) == LEN);
    EXPECT(wsframe_header_parse(frame, sizeof frame, &received) == HEADER_LEN);
    EXPECT(received.payload_len == LEN);
    EXPECT(memcmp(received.mask_key, key, sizeof key) == 0);
    EXPECT(memcmp(frame + HEADER_LEN, payload, LEN) != 0);
    EXPECT(wsframe_unmask(frame + HEADER_LEN, LEN, received.mask_key, 0, frame + HEADER_LEN) == LEN);
    EXPECT(memcmp(frame + HEADER_LEN, payload, LEN) == 0);
    EXPECT(wsframe_utf8_check(frame + HEADER_LEN, LEN) == LEN);

    EXPECT(wsframe_frame_build(0x81, payload, LEN - 4, out, LEN) == LEN);
    EXPECT(memcmp(out + 4, payload, LEN - 4) == 0);
    const size_t lens[] = {1, 2};
    EXPECT(wsframe_frames_build(0x81, payload, lens, 2, out, LEN) == 7);
    EXPECT(memcmp(out + 5, payload, 2) == 0);
    return "";
}

/* A client and a server that are this thread's own. */
struct pair {
    wsframe_connection *client, *server;
};

/* Gives one end what the other has to say, and returns the number of events. */
static ptrdiff_t carry(wsframe_connection *from, wsframe_connection *to, wsframe_batch *batch) {
    wsframe_output output;
    ptrdiff_t len = wsframe_connection_output(from, 0, 0, &output);
    if (len < 0)
        return len;
    ptrdiff_t events = wsframe_connection_receive(to, output.data, output.len, batch);
    ptrdiff_t left = wsframe_connection_output(from, (size_t)len, 0, &output);
    return left == 0 ? events : WSFRAME_ERROR_INTERNAL;
}

static const char *open_pair(struct pair pair, const struct work *work) {
    char target[] = "/a";
    target[1] = (char)('a' + work->seed);
    const void *value;
    wsframe_batch batch;
    wsframe_field field;
    EXPECT(wsframe_connection_add_field(pair.client, BYTES("X-Thread"), work->key, sizeof work->key) == 0);
    EXPECT(wsframe_connection_request(pair.client, BYTES("example.com"), target, 2) > 0);
    EXPECT(carry(pair.client, pair.server, &batch) == 1);
    EXPECT(wsframe_connection_state(pair.server) == WSFRAME_STATE_ASKED);
    EXPECT(wsframe_connection_target(pair.server, &value) == 2 && memcmp(value, target, 2) == 0);
    EXPECT(wsframe_connection_field(pair.server, BYTES("host"), &value) == 11);
    EXPECT(wsframe_connection_field_at(pair.server, 0, &field) == 1 && field.value_len == 11);
    EXPECT(wsframe_connection_respond(pair.server, 100, NULL, 0) == WSFRAME_ERROR_ARGUMENT);
    EXPECT(wsframe_connection_accept(pair.server, BYTES("chat"), WSFRAME_ACCEPT_WITHOUT_DEFLATE, &batch) == 1);
    EXPECT(wsframe_connection_subprotocol(pair.server, &value) == 4);
    EXPECT(carry(pair.server, pair.client, &batch) == 1);
    EXPECT(wsframe_connection_state(pair.client) == WSFRAME_STATE_OPEN);
    return "";
}

static const char *talk_over_pair(struct pair pair, const struct work *work) {
    unsigned char message[LEN], frame[HEADER_LEN + LEN];
    memset(message, 'a' + work->seed, LEN);
    EXPECT(wsframe_connection_send(pair.client, WSFRAME_OPCODE_TEXT, message, LEN) == HEADER_LEN + LEN);
    EXPECT(wsframe_connection_send(pair.client, WSFRAME_OPCODE_PING, message, 1) > 0);
    wsframe_batch batch;
    EXPECT(carry(pair.client, pair.server, &batch) == 2);
    EXPECT(batch.data_len == LEN + 1);
    EXPECT(batch.events[0].kind == WSFRAME_EVENT_TEXT && batch.events[0].len == LEN);
    EXPECT(memcmp((const char *)batch.data + batch.events[0].offset, message, LEN) == 0);
    EXPECT(wsframe_connection_send(pair.server, WSFRAME_OPCODE_BINARY | WSFRAME_OPCODE_MORE, batch.data, LEN) > LEN);
    EXPECT(wsframe_connection_send(pair.server, WSFRAME_OPCODE_BINARY, NULL, 0) > LEN);
    EXPECT(wsframe_connection_send(pair.server, WSFRAME_OPCODE_PONG, NULL, 0) > LEN);
    EXPECT(carry(pair.server, pair.client, &batch) == 3);

    wsframe_output output;
    wsframe_part part;
    EXPECT(wsframe_connection_send(pair.server, WSFRAME_OPCODE_TEXT, message, LEN - 4) == LEN);
    EXPECT(wsframe_connection_waiting(pair.server) == LEN);
    EXPECT(wsframe_connection_parts(pair.server, &part, 1) == 1 && part.len == LEN);
    EXPECT(wsframe_connection_output(pair.server, WSFRAME_ALL, 0, &output) == LEN);
    EXPECT(output.wait_ms == 30000);
    memcpy(frame, output.data, LEN);
    EXPECT(wsframe_connection_receive_in_place(pair.client, frame, LEN, &batch) == 1);
    EXPECT(batch.events->flags & WSFRAME_DATA_IN_PLACE);
    EXPECT(memcmp(frame + batch.events->offset, message, LEN - 4) == 0);

    EXPECT(wsframe_connection_close(pair.client, 3000u + work->seed, NULL, 0) > 0);
    EXPECT(carry(pair.client, pair.server, &batch) == 1);
    EXPECT(batch.events->close_code == 3000 + work->seed);
    EXPECT(carry(pair.server, pair.client, &batch) == 1);
    EXPECT(wsframe_connection_gone(pair.server, &batch) == 1 && batch.events->kind == WSFRAME_EVENT_GONE);
    EXPECT(wsframe_connection_error(pair.client) == NULL);
    EXPECT(wsframe_connection_state(pair.client) == WSFRAME_STATE_CLOSED);
    return "";
}

static const char *use_connections(const struct work *work) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_ASK;
    config.subprotocols = "chat";
    config.subprotocols_len = 4;
    struct pair pair;
    EXPECT(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &pair.server) == 0);
    EXPECT(wsframe_connection_new(WSFRAME_ROLE_CLIENT, &config, &pair.client) == 0);
    const char *failed = open_pair(pair, work);
    if (*failed == '\0')
        failed = talk_over_pair(pair, work);
    wsframe_connection_free(pair.client);
    wsframe_connection_free(pair.server);

    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[1024];
    EXPECT(wsframe_handshake_answer(request, sizeof request - 1, NULL, answer, sizeof answer) > 0);
    EXPECT(memcmp(answer, "HTTP/1.1 426 ", 13) == 0);
    return failed;
}

/* A client and a server that compress, each made once for all threads. */
static const char *open_compressing(struct pair *pair) {
    wsframe_config config = {0};
    wsframe_deflate agreed;
    char extensions[128];
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE;
    ptrdiff_t len = wsframe_extensions_answer(BYTES("permessage-deflate; client_max_window_bits"), &config, extensions,
                                              sizeof extensions);
    EXPECT(len > 0);
    config.flags |= WSFRAME_CONFIG_START_OPEN;
    config.extensions = extensions;
    config.extensions_len = (size_t)len;
    EXPECT(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &pair->server) == 0);
    EXPECT(wsframe_connection_new(WSFRAME_ROLE_CLIENT, &config, &pair->client) == 0);
    EXPECT(wsframe_connection_deflate(pair->server, &agreed) == 1 && agreed.server_max_window_bits == 12);
    return "";
}

static const char *receives(wsframe_connection *from, wsframe_connection *to, const void *message, size_t len) {
    wsframe_batch batch;
    EXPECT(carry(from, to, &batch) == 1);
    EXPECT(batch.events->flags & WSFRAME_DATA_COMPRESSED);
    EXPECT(batch.data_len == len && memcmp(batch.data, message, len) == 0);
    return "";
}

enum { PREPARED_LEN = 500, ROUNDS_WITH_MESSAGE = 100 };
static unsigned char prepared_bytes[PREPARED_LEN];
static wsframe_message *prepared;

/* One message, which all threads send at the same time, and others between, which refer to it. */
static const char *send_prepared(const struct work *work) {
    struct pair pair;
    unsigned char message[LEN];
    const size_t lens[] = {LEN};
    memset(message, 'a' + work->seed, LEN);
    const char *failed = open_compressing(&pair);
    for (int round = 0; round < ROUNDS_WITH_MESSAGE && *failed == '\0'; round++) {
        EXPECT(wsframe_connection_send_message(pair.server, prepared) > 0);
        failed = receives(pair.server, pair.client, prepared_bytes, PREPARED_LEN);
        if (*failed == '\0') {
            EXPECT(wsframe_connection_send_many(pair.client, WSFRAME_OPCODE_BINARY, message, lens, 1) == 1);
            failed = receives(pair.client, pair.server, message, LEN);
        }
        wsframe_message *own;
        EXPECT(wsframe_message_new(WSFRAME_OPCODE_TEXT, message, LEN, NULL, &own) == 0);
        wsframe_message_free(own);
    }
    wsframe_connection_free(pair.client);
    wsframe_connection_free(pair.server);
    return failed;
}

/* A pair of connections that goes from thread to thread: each has its compressors, none of which knows the other's. */
struct baton {
    pthread_mutex_t mutex;
    struct pair pair;
    int round;
};

static const char *take_turns(struct baton *baton) {
    enum { TURNS = 40 };
    const char *failed = "";
    for (int turn = 0; turn < TURNS && *failed == '\0'; turn++) {
        char text[100];
        EXPECT(pthread_mutex_lock(&baton->mutex) == 0);
        int len = snprintf(text, sizeof text, "what every thread says to all the others, %d times", baton->round++);
        ptrdiff_t sent = wsframe_connection_send(
            baton->pair.server, WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_COMPRESSED, text, (size_t)len);
        if (sent <= 0 || (baton->round > 1 && sent > 20))
            failed = "it is compressed with what other threads have said";
        else
            failed = receives(baton->pair.server, baton->pair.client, text, (size_t)len);
        EXPECT(pthread_mutex_unlock(&baton->mutex) == 0);
        sched_yield();
    }
    return failed;
}

static void *run_with_baton(void *baton) {
    return (void *)take_turns(baton);
}

static void connections_go_from_thread_to_thread(void) {
    about("a pair of connections that goes from thread to thread");
    struct baton baton;
    pthread_t threads[THREADS];
    baton.round = 0;
    CHECK_EQ(pthread_mutex_init(&baton.mutex, NULL), 0);
    CHECK(*open_compressing(&baton.pair) == '\0');
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, run_with_baton, &baton), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        CHECK_EQ(pthread_join(threads[i], &failed), 0);
        about("baton in thread %d: %s", i, (const char *)failed);
        CHECK(*(const char *)failed == '\0');
    }
    /* Freed by a thread that has never compressed with them. */
    wsframe_connection_free(baton.pair.client);
    wsframe_connection_free(baton.pair.server);
    CHECK_EQ(pthread_mutex_destroy(&baton.mutex), 0);
}

static const char *serve(wsframe_hub *hub, int client, const struct work *work) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    wsframe_batch batch;
    wsframe_connection *connection;
    wsframe_stats stats;
    const void *address;
    char heard[1024], said[2] = {'a', (char)('a' + work->seed)};
    const size_t len = 1;
    EXPECT(write(client, request, sizeof request - 1) == sizeof request - 1);
    EXPECT(wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) == 1 && batch.events->kind == WSFRAME_EVENT_OPEN);
    uint64_t id = batch.events->connection;
    EXPECT(wsframe_hub_connection(hub, id, &connection) == 1);
    EXPECT(wsframe_connection_state(connection) == WSFRAME_STATE_OPEN);
    EXPECT(read(client, heard, sizeof heard) > 100);
    EXPECT(wsframe_hub_subscribe(hub, id, said, 2) == 1);
    EXPECT(wsframe_hub_subscribers(hub, said, 2) == 1);
    EXPECT(wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, said, 2) == 4);
    EXPECT(wsframe_hub_send_many(hub, &id, WSFRAME_OPCODE_TEXT, said + 1, &len, 1) == 1);
    EXPECT(wsframe_hub_publish(hub, said, 2, 0, WSFRAME_OPCODE_TEXT, said + 1, 1) == 1);
    EXPECT(wsframe_hub_unsubscribe(hub, id, said, 2) == 1);
    EXPECT(wsframe_hub_pause(hub, id, 1) == 1);
    EXPECT(wsframe_hub_set_user(hub, id, hub) == 1 && wsframe_hub_user(hub, id) == hub);
    EXPECT(wsframe_hub_address(hub, id, &address) > 10);
    EXPECT(wsframe_hub_timer(hub, 1, 100000) == 0);
    EXPECT(wsframe_hub_watch(hub, client, WSFRAME_WATCH_READ) == 0 && wsframe_hub_watch(hub, client, 0) == 0);
    EXPECT(wsframe_hub_fd(hub) >= 0);
    EXPECT(wsframe_hub_wake(hub) == 0);
    EXPECT(wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) == 0);
    const char expected[] = {'\x81', 2, said[0], said[1], '\x81', 1, said[1], '\x81', 1, said[1]};
    EXPECT(read(client, heard, sizeof heard) == sizeof expected);
    EXPECT(memcmp(heard, expected, sizeof expected) == 0);
    /* Not by name: the standard library's threads are not made for ThreadSanitizer. */
    EXPECT(wsframe_hub_connect(hub, BYTES("ws://127.0.0.1:1/"), NULL, 0, NULL, &id) == 0);
    EXPECT(wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) == 1 && batch.events->kind == WSFRAME_EVENT_GONE);
    EXPECT(wsframe_hub_terminate(hub, id) == 0);
    EXPECT(wsframe_hub_set_certificate(hub, 1, said, 2, said, 2) == WSFRAME_ERROR_ARGUMENT);
    EXPECT(wsframe_hub_trust(hub, said, 2) == WSFRAME_ERROR_ARGUMENT);
    EXPECT(wsframe_hub_adopt(hub, client, WSFRAME_ROLE_CLIENT, 0, NULL, &id) == 0);
    EXPECT(wsframe_hub_stop(hub, 0) == 0);
    while (!(batch.flags & WSFRAME_BATCH_STOPPED))
        EXPECT(wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) >= 0);
    EXPECT(wsframe_hub_stats(hub, &stats, sizeof stats) == sizeof stats && stats.accepted == 1 && stats.connections == 0);
    return "";
}

/* Each thread has a hub, and a client of it. */
static const char *use_hub(const struct work *work) {
    wsframe_hub *hub;
    EXPECT(wsframe_hub_new(NULL, &hub) == 0);
    ptrdiff_t port = wsframe_hub_listen(hub, BYTES("127.0.0.1:0"), 0, NULL);
    EXPECT(port > 0);
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    const char *failed = serve(hub, client, work);
    close(client);
    wsframe_hub_free(hub);
    return failed;
}

/* What other threads leave for the one that polls. */
struct mailbox {
    wsframe_hub *hub;
    pthread_mutex_t mutex;
    int letters;
};

/* All that another thread may do with a hub is to wake it, also while it is polled, and to ask for its numbers. */
static void *leave_letters(void *argument) {
    struct mailbox *mailbox = argument;
    const char *failed = "";
    for (int i = 0; i < WAKES_OF_EACH; i++) {
        wsframe_stats stats;
        pthread_mutex_lock(&mailbox->mutex);
        mailbox->letters++;
        pthread_mutex_unlock(&mailbox->mutex);
        if (wsframe_hub_wake(mailbox->hub) != 0) failed = "wake";
        if (wsframe_hub_send(mailbox->hub, 1, WSFRAME_OPCODE_TEXT, "a", 1) != WSFRAME_ERROR_STATE) failed = "send";
        ptrdiff_t asked = wsframe_hub_stats(mailbox->hub, &stats, sizeof stats);
        if (asked != 0 && asked != WSFRAME_ERROR_STATE) failed = "stats";
    }
    return (void *)failed;
}

/* However the wakes fall together, none is lost: a poll that waits returns when a letter is left. */
static void no_wake_is_lost(void) {
    about("wake");
    struct mailbox mailbox = {NULL, PTHREAD_MUTEX_INITIALIZER, 0};
    pthread_t threads[THREADS];
    wsframe_batch batch;
    CHECK_EQ(wsframe_hub_new(NULL, &mailbox.hub), 0);
    CHECK_EQ(wsframe_hub_poll(mailbox.hub, 0, &batch), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, leave_letters, &mailbox), 0);
    alarm(300); /* as long as nothing here takes, under whatever it runs */
    for (int letters = 0, polled = 0; letters < THREADS * WAKES_OF_EACH;) {
        /* While another thread asks for the numbers, no other call is let in. */
        do
            polled = (int)wsframe_hub_poll(mailbox.hub, WSFRAME_NEVER, &batch);
        while (polled == WSFRAME_ERROR_STATE);
        CHECK_EQ(polled, 0);
        pthread_mutex_lock(&mailbox.mutex);
        letters += mailbox.letters;
        mailbox.letters = 0;
        pthread_mutex_unlock(&mailbox.mutex);
    }
    alarm(0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        CHECK_EQ(pthread_join(threads[i], &failed), 0);
        about("wake: %s", (const char *)failed);
        CHECK(*(const char *)failed == '\0');
    }
    CHECK_EQ(pthread_mutex_destroy(&mailbox.mutex), 0);
    wsframe_hub_free(mailbox.hub);
}

static void *run(void *work) {
    const char *failed = "";
    for (int round = 0; round < ROUNDS && *failed == '\0'; round++)
        failed = use_every_function(work);
    for (int round = 0; round < ROUNDS_WITH_CONNECTIONS && *failed == '\0'; round++)
        failed = use_connections(work);
    if (*failed == '\0')
        failed = send_prepared(work);
    for (int round = 0; round < ROUNDS_WITH_HUB && *failed == '\0'; round++)
        failed = use_hub(work);
    return (void *)failed;
}

/* What a thread does to a connection that it must not share, and what it counts of it. */
struct intruder {
    wsframe_connection *connection;
    ptrdiff_t sent_len;
    unsigned long refused;
};

/* Either the call was alone, or it was refused and did nothing. */
static int alone(struct intruder *intruder, ptrdiff_t result) {
    if (result == WSFRAME_ERROR_STATE)
        intruder->refused++;
    return result >= 0;
}

static const char *intrude(struct intruder *intruder) {
    wsframe_connection *c = intruder->connection;
    unsigned char pong[] = {0x8A, 0x01, 'p'}, binary[] = {0x82, 0x01, 'b'};
    const void *lent;
    wsframe_deflate agreed;
    wsframe_batch batch;
    wsframe_output output;
    wsframe_part part;
    wsframe_field field;
    ptrdiff_t results[] = {
        wsframe_connection_receive(c, pong, sizeof pong, &batch),
        wsframe_connection_receive_in_place(c, binary, sizeof binary, &batch),
        wsframe_connection_output(c, 0, 0, &output),
        wsframe_connection_parts(c, &part, 1),
        wsframe_connection_waiting(c),
        wsframe_connection_target(c, &lent),
        wsframe_connection_field(c, BYTES("Host"), &lent),
        wsframe_connection_field_at(c, 0, &field),
        wsframe_connection_subprotocol(c, &lent),
        wsframe_connection_deflate(c, &agreed),
        wsframe_connection_state(c),
        wsframe_connection_request(c, BYTES("a"), BYTES("/")),
        wsframe_connection_add_field(c, BYTES("a"), BYTES("b")),
        wsframe_connection_accept(c, NULL, 0, 0, &batch),
        wsframe_connection_respond(c, 403, NULL, 0),
    };
    for (size_t i = 0; i < COUNT(results); i++)
        EXPECT(alone(intruder, results[i]) || results[i] == WSFRAME_ERROR_STATE);
    (void)wsframe_connection_error(c);
    ptrdiff_t sent[] = {
        wsframe_connection_send(c, WSFRAME_OPCODE_TEXT, BYTES("H")),
        wsframe_connection_send(c, WSFRAME_OPCODE_BINARY, BYTES("\xFF")),
        wsframe_connection_send(c, WSFRAME_OPCODE_PING, BYTES("p")),
        wsframe_connection_send(c, WSFRAME_OPCODE_PONG, BYTES("p")),
    };
    for (size_t i = 0; i < COUNT(sent); i++) {
        if (alone(intruder, sent[i]))
            intruder->sent_len += 3;
        else
            EXPECT(sent[i] == WSFRAME_ERROR_STATE && strstr(wsframe_why(), "still running") != NULL);
    }
    return "";
}

/* Until each has been let in often: not so often that a connection which is never free ends the test by its time. */
static int intrudes_again(const struct intruder *intruder) {
    return intruder->sent_len < 3 * SENT_BY_EACH && intruder->refused < 10000000;
}

static void *run_intruder(void *intruder) {
    const char *failed = "";
    while (intrudes_again(intruder) && *failed == '\0') {
        failed = intrude(intruder);
        sched_yield(); /* the one that was refused may have waited for a thread that does not run */
    }
    return (void *)failed;
}

/* Several threads on one connection is a mistake of the program, but harms nothing. */
static void one_connection_from_several_threads(void) {
    about("one connection from several threads");
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN | WSFRAME_CONFIG_ACCEPT_ANY_MASK;
    config.high_water_len = SIZE_MAX;
    wsframe_connection *connection;
    CHECK_EQ(wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection), 0);
    pthread_t threads[THREADS];
    struct intruder intruders[THREADS] = {{0}};
    for (int i = 0; i < THREADS; i++) {
        intruders[i].connection = connection;
        CHECK_EQ(pthread_create(&threads[i], NULL, run_intruder, &intruders[i]), 0);
    }
    ptrdiff_t sent_len = 0;
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        CHECK_EQ(pthread_join(threads[i], &failed), 0);
        about("intruder %d: %s", i, (const char *)failed);
        CHECK(*(const char *)failed == '\0');
        CHECK(intruders[i].refused >= 4); /* what an open server refuses anyway */
        CHECK(intruders[i].sent_len >= 3 * SENT_BY_EACH);
        sent_len += intruders[i].sent_len;
    }
    about("what the threads have sent is there, and nothing else");
    wsframe_output output;
    CHECK_EQ(wsframe_connection_output(connection, 0, 0, &output), sent_len);
    for (ptrdiff_t at = 0; at < sent_len; at += 3)
        CHECK_EQ(((const unsigned char *)output.data)[at + 1], 1);
    CHECK_EQ(wsframe_connection_state(connection), WSFRAME_STATE_OPEN);
    wsframe_connection_free(connection);
}

int main(void) {
    pthread_t threads[THREADS];
    struct work works[THREADS];
    about("the message for all threads");
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE;
    memset(prepared_bytes, 'p', sizeof prepared_bytes);
    CHECK_EQ(wsframe_message_new(WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_COMPRESSED, prepared_bytes, PREPARED_LEN,
                                 &config, &prepared),
             0);
    for (unsigned char i = 0; i < THREADS; i++) {
        about("the answer for thread %d", i);
        works[i].seed = i;
        memcpy(works[i].key, "dGhlIHNhbXBsZSBub25jZQ==", sizeof works[i].key);
        works[i].key[0] = (char)('A' + i);
        CHECK_EQ(wsframe_accept_key(works[i].key, sizeof works[i].key, works[i].accept, sizeof works[i].accept), 28);
    }
    for (int i = 0; i < THREADS; i++) {
        about("thread %d", i);
        CHECK_EQ(pthread_create(&threads[i], NULL, run, &works[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        CHECK_EQ(pthread_join(threads[i], &failed), 0);
        about("thread %d: %s", i, (const char *)failed);
        CHECK(*(const char *)failed == '\0');
    }
    wsframe_message_free(prepared);
    connections_go_from_thread_to_thread();
    one_connection_from_several_threads();
    no_wake_is_lost();
    return passed();
}

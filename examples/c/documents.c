/*
 * Both servers of the documents on libwsframe's hub.
 *
 *     cc documents.c -lwsframe -o documents && ./documents [RESOLUTION-PORT [WORKS-PORT]]
 *
 * The ports are 4000 and 8002; 0 lets the system choose. The addresses are printed. SIGTERM and Ctrl-C close the
 * connections with 1001.
 */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <wsframe.h>

enum { GRACE_MS = 5000, PIECE_LEN = 125, MAX_PIECES = 1000 };

static char resolution[] = "/", works[] = "/xxoo"; /* one of them is the user of each connection */
static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) { is_stopping = signal_number; }

/* At "/" the answer is in pieces, as by the document's frame(), but not in more than a thousand; at "/xxoo" it is whole. */
static void answer(wsframe_hub *hub, uint64_t id, uint32_t opcode, const char *data, size_t len) {
    size_t piece = len / MAX_PIECES > PIECE_LEN ? len / MAX_PIECES : PIECE_LEN;
    if (wsframe_hub_user(hub, id) == works) piece = len;
    for (; len > piece; data += piece, len -= piece) wsframe_hub_send(hub, id, opcode | WSFRAME_OPCODE_MORE, data, piece);
    if (wsframe_hub_send(hub, id, opcode, data, len) < 0) fprintf(stderr, "an answer is lost: %s\n", wsframe_why());
}

static void answer_all(wsframe_hub *hub, const wsframe_batch *batch);

/* Lets in who asks for one of the two paths. */
static void let_in(wsframe_hub *hub, uint64_t id) {
    wsframe_connection *connection;
    wsframe_batch accepted;
    const void *target;
    char body[256];
    if (wsframe_hub_connection(hub, id, &connection) != 1) return;
    ptrdiff_t len = wsframe_connection_target(connection, &target);
    if (len <= 0) return; /* it has left */
    const char *query = memchr(target, '?', (size_t)len);
    if (query) len = query - (const char *)target;
    char *path = len == 1 ? resolution : works;
    if (len != (ptrdiff_t)strlen(path) || memcmp(target, path, (size_t)len) != 0) {
        const int shown = (int)(len < 200 ? len : 200);
        int body_len = snprintf(body, sizeof body, "There is nothing at %.*s\n", shown, (const char *)target);
        wsframe_connection_respond(connection, 404, body, (size_t)body_len);
    } else if (wsframe_connection_accept(connection, NULL, 0, 0, &accepted) > 0) {
        wsframe_hub_set_user(hub, id, path);
        answer_all(hub, &accepted); /* it may have sent more already */
    } else {
        wsframe_connection_respond(connection, 426, NULL, 0); /* plain HTTP */
    }
}

static void answer_all(wsframe_hub *hub, const wsframe_batch *batch) {
    for (const wsframe_event *event = batch->events; event < batch->events + batch->count; event++) {
        const char *data = (const char *)batch->data + event->offset;
        if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)
            answer(hub, event->connection, event->kind, data, event->len);
        if (event->kind == WSFRAME_EVENT_REQUEST || event->kind == WSFRAME_EVENT_HTTP) let_in(hub, event->connection);
    }
}

static int serve(wsframe_hub *hub, const char *port, const char *name, const char *path) {
    wsframe_config config = {0};
    char address[32];
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_ASK | WSFRAME_CONFIG_DEFLATE;
    config.max_inflated_len = 16 << 20;
    config.high_water_len = 32 << 20;
    int len = snprintf(address, sizeof address, "127.0.0.1:%.5s", port);
    ptrdiff_t listening = wsframe_hub_listen(hub, address, (size_t)len, 0, &config);
    if (listening > 0) printf("%s ws://127.0.0.1:%d%s\n", name, (int)listening, path);
    return listening > 0 && fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    wsframe_hub *hub = NULL;
    wsframe_batch batch = {0};
    struct sigaction on_stop = {.sa_handler = stop};
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGINT, &on_stop, NULL);
    if (wsframe_hub_new(NULL, &hub) < 0 || !serve(hub, argc > 1 ? argv[1] : "4000", "resolution", resolution)
        || !serve(hub, argc > 2 ? argv[2] : "8002", "works", works)) {
        fprintf(stderr, "documents: %s\n", wsframe_why());
        return 1;
    }
    while (!(batch.flags & WSFRAME_BATCH_STOPPED) && wsframe_hub_poll(hub, 500, &batch) >= 0) {
        answer_all(hub, &batch);
        if (is_stopping && wsframe_hub_stop(hub, GRACE_MS) == 0) is_stopping = 0;
    }
    wsframe_hub_free(hub);
    return 0;
}

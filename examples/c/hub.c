/*
 * A WebSocket server that sends each message back, for as many clients as there are descriptors: libwsframe's hub.
 *
 *     cc hub.c -lwsframe -o hub && ./hub [port]
 *
 * Port 0, the default, lets the system choose. The address is printed. SIGTERM closes the connections, ends, and prints what
 * there was to do.
 */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <wsframe.h>

enum { GRACE_MS = 5000 };

static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
    (void)signal_number;
    is_stopping = 1;
}

static int fail(const char *what) {
    fprintf(stderr, "hub: %s: %s\n", what, wsframe_why());
    return 1;
}

int main(int argc, char **argv) {
    wsframe_hub *hub;
    wsframe_batch batch = {0};
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE;
    struct sigaction on_stop = {.sa_handler = stop};
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGINT, &on_stop, NULL);

    char address[32];
    int len = snprintf(address, sizeof address, "127.0.0.1:%.5s", argc > 1 ? argv[1] : "0");
    if (wsframe_hub_new(NULL, &hub) < 0) return fail("cannot start");
    ptrdiff_t port = wsframe_hub_listen(hub, address, (size_t)len, 0, &config);
    if (port < 0) return fail("cannot listen");
    printf("ws://127.0.0.1:%d/\n", (int)port);
    fflush(stdout);

    while (!(batch.flags & WSFRAME_BATCH_STOPPED)) {
        /* A signal that comes just before the call is seen half a second later. */
        if (wsframe_hub_poll(hub, 500, &batch) < 0) return fail("cannot go on");
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++) {
            const char *data = (const char *)batch.data + event->offset;
            if (event->kind != WSFRAME_EVENT_TEXT && event->kind != WSFRAME_EVENT_BINARY) continue;
            if (wsframe_hub_send(hub, event->connection, event->kind, data, event->len) < 0) fail("an echo is lost");
        }
        if (is_stopping && wsframe_hub_stop(hub, GRACE_MS) == 0) is_stopping = 0;
    }
    wsframe_stats stats;
    wsframe_hub_stats(hub, &stats, sizeof stats);
    fprintf(stderr, "%llu clients, %llu messages received, %llu sent, %llu dropped\n",
            (unsigned long long)stats.accepted, (unsigned long long)stats.messages_received,
            (unsigned long long)stats.messages_sent, (unsigned long long)stats.dropped);
    wsframe_hub_free(hub);
    return 0;
}

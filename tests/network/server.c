/* A hub that listens where it is told, pings as often as it is told, sends each message back, and prints whoever comes and goes. */

#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wsframe.h>

static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
    (void)signal_number;
    is_stopping = 1;
}

static int fail(void) {
    fprintf(stderr, "server: %s\n", wsframe_why());
    return 1;
}

int main(int argc, char **argv) {
    wsframe_hub *hub;
    wsframe_batch batch = {0};
    wsframe_config config = {0};
    struct sigaction on_stop = {.sa_handler = stop};
    if (argc != 3) return 2;
    sigaction(SIGTERM, &on_stop, NULL);
    config.struct_size = sizeof config;
    config.ping_interval_ms = (uint32_t)atoi(argv[2]);
    if (wsframe_hub_new(NULL, &hub) < 0) return fail();
    ptrdiff_t port = wsframe_hub_listen(hub, argv[1], strlen(argv[1]), 0, &config);
    if (port < 0) return fail();
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("port %d\n", (int)port);
    while (!(batch.flags & WSFRAME_BATCH_STOPPED)) {
        if (wsframe_hub_poll(hub, 100, &batch) < 0) return fail();
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++) {
            const char *data = (const char *)batch.data + event->offset;
            if (event->kind == WSFRAME_EVENT_OPEN) printf("open %llu\n", (unsigned long long)event->connection);
            if (event->kind == WSFRAME_EVENT_GONE)
                printf("gone %llu %d %d\n", (unsigned long long)event->connection, event->close_code, event->error);
            if (event->kind != WSFRAME_EVENT_TEXT && event->kind != WSFRAME_EVENT_BINARY) continue;
            if (wsframe_hub_send(hub, event->connection, event->kind, data, event->len) < 0) return fail();
        }
        if (is_stopping && wsframe_hub_stop(hub, 1000) == 0) is_stopping = 0;
    }
    wsframe_hub_free(hub);
    return 0;
}

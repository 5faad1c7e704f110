/* Sends each message to all: the topics of libwsframe's hub, for server.py. Prints its port, and serves until SIGTERM. */
#include <stdio.h>
#include <wsframe.h>

static const char topic[] = "news";
enum { TOPIC_LEN = sizeof topic - 1 };

static int fail(void) {
    fprintf(stderr, "hub_publish: %s\n", wsframe_why());
    return 1;
}

int main(void) {
    static const char address[] = "127.0.0.1:0";
    wsframe_hub *hub;
    wsframe_batch batch;
    wsframe_config config = {.struct_size = sizeof config, .flags = WSFRAME_CONFIG_DEFLATE};
    if (wsframe_hub_new(NULL, &hub) < 0) return fail();
    ptrdiff_t port = wsframe_hub_listen(hub, address, sizeof address - 1, 0, &config);
    if (port < 0) return fail();
    printf("%d\n", (int)port);
    fflush(stdout);

    while (wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) >= 0) {
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++) {
            const char *data = (const char *)batch.data + event->offset;
            ptrdiff_t done = 0;
            if (event->kind == WSFRAME_EVENT_OPEN)
                done = wsframe_hub_subscribe(hub, event->connection, topic, TOPIC_LEN);
            else if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)
                done = wsframe_hub_publish(hub, topic, TOPIC_LEN, 0, event->kind, data, event->len);
            if (done < 0) return fail();
        }
    }
    return fail();
}

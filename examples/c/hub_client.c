/*
 * A WebSocket client on libwsframe's hub: it says words and prints what comes back, or sends back all that it is sent.
 *
 *     cc hub_client.c -lwsframe -o hub_client && ./hub_client [--no-context-takeover] wss://HOST/TARGET [WORD...]
 *
 * With words it closes the connection when as many messages have come; without, it is the server that does.
 */
#include <stdio.h>
#include <string.h>
#include <wsframe.h>

/* Returns how the connection has ended, 0 if in good order. */
static int talk(wsframe_hub *hub, uint64_t id, char **words, int count) {
    wsframe_batch batch;
    wsframe_connection *connection;
    int left = count;
    while (wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) >= 0)
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++) {
            const char *data = (const char *)batch.data + event->offset;
            if (event->kind == WSFRAME_EVENT_OPEN) {
                for (int i = 0; i < count; i++) wsframe_hub_send(hub, id, WSFRAME_OPCODE_TEXT, words[i], strlen(words[i]));
            } else if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY) {
                if (count == 0) wsframe_hub_send(hub, id, event->kind, data, event->len);
                else printf("%.*s\n", (int)event->len, data);
                if (--left == 0 && wsframe_hub_connection(hub, id, &connection) == 1)
                    wsframe_connection_close(connection, 1000, NULL, 0);
            } else if (event->kind == WSFRAME_EVENT_GONE) {
                const char *why = NULL;
                if (wsframe_hub_connection(hub, id, &connection) == 1) why = wsframe_connection_error(connection);
                if (why) fprintf(stderr, "hub_client: %s\n", why);
                return event->close_code == 1006;
            }
        }
    return 1;
}

int main(int argc, char **argv) {
    wsframe_hub *hub = NULL;
    uint64_t id = 0;
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE;
    config.client_max_window_bits = 15; /* the most there is, of which the server may want less */
    config.max_inflated_len = config.high_water_len = 16 << 20;
    if (argc > 1 && strcmp(argv[1], "--no-context-takeover") == 0) {
        config.flags |= WSFRAME_CONFIG_CLIENT_NO_CONTEXT_TAKEOVER;
        argc--, argv++;
    }
    const char *url = argc > 1 ? argv[1] : "";
    int result = 2;
    if (wsframe_hub_new(NULL, &hub) < 0 || wsframe_hub_connect(hub, url, strlen(url), NULL, 0, &config, &id) < 0)
        fprintf(stderr, "hub_client: %s\n", wsframe_why());
    else
        result = talk(hub, id, argv + 2, argc > 2 ? argc - 2 : 0);
    wsframe_hub_free(hub);
    return result;
}

#include <ctype.h>
#include <stdio.h>
#include <wsframe.h>

/* One turn of a server's loop, with bytes that a browser sends: each text goes back, and the output is printed. */
static void turn(wsframe_connection *connection, const void *in, size_t in_len) {
    wsframe_batch batch;
    wsframe_output output;
    wsframe_connection_receive(connection, in, in_len, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        const wsframe_event *event = &batch.events[i];
        const char *data = (const char *)batch.data + event->offset;
        if (event->kind != WSFRAME_EVENT_TEXT) continue;
        printf("received: %.*s\n", (int)event->len, data);
        wsframe_connection_send(connection, event->kind, data, event->len);
    }

    size_t sent = 0; /* in a server: what send() returned, and the time */
    while (wsframe_connection_output(connection, sent, 0, &output) > 0) {
        const unsigned char *bytes = output.data;
        printf("to send: ");
        for (sent = 0; sent < output.len; sent++)
            printf(isprint(bytes[sent]) || isspace(bytes[sent]) ? "%c" : "\\x%02x", bytes[sent]);
        printf("\n");
    }
}

int main(void) {
    static const char request[] = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    static const char frame[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; /* "Hello" as text, masked */
    wsframe_connection *connection;
    if (wsframe_connection_new(WSFRAME_ROLE_SERVER, NULL, &connection) < 0) return 1;
    turn(connection, request, sizeof request - 1);
    turn(connection, frame, sizeof frame - 1);
    wsframe_connection_free(connection);
}

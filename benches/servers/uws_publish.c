/* Sends each message to all: the topics of uWebSockets, for server.py. */
#include "uws.h"

static void on_open(socket *socket, void *user_data) {
    (void)user_data;
    uws_ws_subscribe(0, socket, "news", 4);
}

static void on_message(socket *socket, const char *payload, size_t len, int opcode, void *user_data) {
    (void)socket;
    uws_publish(0, user_data, "news", 4, payload, len, opcode, true);
}

int main(void) {
    serve((behavior){.open = on_open, .message = on_message});
}

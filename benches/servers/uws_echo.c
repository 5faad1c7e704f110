/* An echo server: uWebSockets, for servers.py. */
#include "uws.h"

static void on_message(socket *socket, const char *payload, size_t len, int opcode, void *user_data) {
    (void)user_data;
    uws_ws_send_with_options(0, socket, payload, len, opcode, true, true);
}

int main(void) {
    serve((behavior){.message = on_message});
}

/* An echo server: libwebsockets on libuv, for servers.py. Prints its port. */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 16 << 10, READ = 128 << 10, HIGH_WATER = 1 << 20 };

/* A message, or a part of one, that waits until the socket takes it. Its bytes begin with room for a header. */
struct piece {
    struct piece *next;
    size_t len;
    int how;
    unsigned char bytes[];
};

struct client {
    struct piece *first, **end;
    size_t waiting;
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    struct client *client = user;
    struct piece *piece;
    if (reason == LWS_CALLBACK_ESTABLISHED) {
        client->end = &client->first;
    } else if (reason == LWS_CALLBACK_RECEIVE) {
        if (!(piece = malloc(sizeof *piece + LWS_PRE + len))) return -1;
        int opcode = lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
        int how = lws_write_ws_flags(opcode, lws_is_first_fragment(wsi), lws_is_final_fragment(wsi));
        *piece = (struct piece){.len = len, .how = how};
        memcpy(piece->bytes + LWS_PRE, in, len);
        client->end = (*client->end = piece, &piece->next);
        if ((client->waiting += len) > HIGH_WATER) lws_rx_flow_control(wsi, 0);
        lws_callback_on_writable(wsi);
    } else if (reason == LWS_CALLBACK_SERVER_WRITEABLE || reason == LWS_CALLBACK_CLOSED) {
        while ((piece = client->first) && (reason == LWS_CALLBACK_CLOSED || !lws_send_pipe_choked(wsi))) {
            if (reason != LWS_CALLBACK_CLOSED && lws_write(wsi, piece->bytes + LWS_PRE, piece->len, piece->how) < 0) return -1;
            if (!(client->first = piece->next)) client->end = &client->first;
            client->waiting -= piece->len;
            free(piece);
        }
        if (client->first) lws_callback_on_writable(wsi);
        if (reason != LWS_CALLBACK_CLOSED && client->waiting <= HIGH_WATER / 2) lws_rx_flow_control(wsi, 1);
    }
    return 0;
}

int main(void) {
    const struct lws_protocols protocols[] = {{.name = "echo", on_event, sizeof(struct client), PIECE, 0, NULL, 0}, {0}};
    const struct lws_extension extensions[] = {{"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate"}, {0}};
    struct lws_context_creation_info info = {.iface = "127.0.0.1", .protocols = protocols, .extensions = extensions, .pt_serv_buf_size = READ};
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_VALIDATE_UTF8;
    lws_set_log_level(0, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (!context) return 1;
    printf("%d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
    fflush(stdout);
    lws_service(context, 0); /* until a signal comes */
}

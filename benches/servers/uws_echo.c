/*
 * An echo server: uWebSockets, for turn.py. The package socketify of PyPI has it as a shared library with functions for
 * C, but no header: what is used of it is declared here, as socketify/native.py does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct app app;
typedef struct socket socket;
typedef void (*handler)(void);

typedef struct {
    const char *files[6];
    int prefers_low_memory;
} context_options;

typedef struct {
    int port;
    const char *host;
    int options;
} listen_config;

typedef struct {
    int compression; /* 0: none */
    unsigned max_payload_len;
    unsigned short idle_timeout_s;
    unsigned max_backpressure;
    bool closes_on_backpressure, resets_idle_timeout_on_send, sends_pings;
    unsigned short max_lifetime_min;
    handler upgrade, open;
    void (*message)(socket *socket, const char *payload, size_t len, int opcode, void *user_data);
    handler drain, ping, pong, close, subscription;
} behavior;

app *uws_create_app(int ssl, context_options options);
void uws_ws(int ssl, app *app, const char *pattern, behavior behavior, void *user_data);
void uws_app_listen_with_config(int ssl, app *app, listen_config config, void (*handler)(void *, listen_config, void *), void *user_data);
void uws_app_run(int ssl, app *app);
int us_socket_local_port(int ssl, void *socket);
int uws_ws_send(int ssl, socket *socket, const char *payload, size_t len, int opcode);

static void on_message(socket *socket, const char *payload, size_t len, int opcode, void *user_data) {
    (void)user_data;
    uws_ws_send(0, socket, payload, len, opcode);
}

static void on_listen(void *listener, listen_config config, void *user_data) {
    (void)config, (void)user_data;
    printf("%d\n", us_socket_local_port(0, listener));
    fflush(stdout);
}

int main(void) {
    app *app = uws_create_app(0, (context_options){0});
    behavior echo = {.max_payload_len = 16 << 20, .max_backpressure = 64 << 20, .idle_timeout_s = 120, .message = on_message};
    uws_ws(0, app, "/*", echo, NULL);
    uws_app_listen_with_config(0, app, (listen_config){.host = "127.0.0.1"}, on_listen, NULL);
    uws_app_run(0, app);
}

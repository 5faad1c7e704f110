/*
 * uWebSockets for C. The package socketify of PyPI has it as a shared library with functions for C, but no header: what is
 * used of it is declared here, as socketify/native.py does.
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
    int compression;
    unsigned max_payload_len;
    unsigned short idle_timeout_s;
    unsigned max_backpressure;
    bool closes_on_backpressure, resets_idle_timeout_on_send, sends_pings;
    unsigned short max_lifetime_min;
    handler upgrade;
    void (*open)(socket *socket, void *user_data);
    void (*message)(socket *socket, const char *payload, size_t len, int opcode, void *user_data);
    handler drain, ping, pong, close, subscription;
} behavior;

/* For a connection that compresses 4 KiB of memory for what it sends, and 32 KiB for what it receives. */
enum { COMPRESSOR_4KB_DECOMPRESSOR_32KB = 9 << 4 | 2 | 15 << 8 };

app *uws_create_app(int ssl, context_options options);
void uws_ws(int ssl, app *app, const char *pattern, behavior behavior, void *user_data);
void uws_app_listen_with_config(int ssl, app *app, listen_config config, void (*handler)(void *, listen_config, void *), void *user_data);
void uws_app_run(int ssl, app *app);
int us_socket_local_port(int ssl, void *socket);
int uws_ws_send_with_options(int ssl, socket *socket, const char *payload, size_t len, int opcode, bool compress, bool fin);
bool uws_ws_subscribe(int ssl, socket *socket, const char *topic, size_t topic_len);
bool uws_publish(int ssl, app *app, const char *topic, size_t topic_len, const char *payload, size_t len, int opcode, bool compress);

static void on_listen(void *listener, listen_config config, void *user_data) {
    (void)config, (void)user_data;
    printf("%d\n", us_socket_local_port(0, listener));
    fflush(stdout);
}

/* Serves at a port of the system's choice, which is printed. Handlers get the app as their user data. */
static void serve(behavior behavior) {
    app *app = uws_create_app(0, (context_options){0});
    behavior.compression = COMPRESSOR_4KB_DECOMPRESSOR_32KB;
    behavior.max_payload_len = 16 << 20;
    behavior.max_backpressure = 64 << 20;
    behavior.idle_timeout_s = 120;
    uws_ws(0, app, "/*", behavior, app);
    uws_app_listen_with_config(0, app, (listen_config){.host = "127.0.0.1"}, on_listen, NULL);
    uws_app_run(0, app);
}

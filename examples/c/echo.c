/*
 * A WebSocket server that sends each message back: libwsframe in a poll() loop, for many clients.
 *
 *     cc echo.c -lwsframe -o echo && ./echo [port]
 *
 * Port 0, the default, lets the system choose. The address is printed. SIGTERM closes the connections and ends.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wsframe.h>

enum { MAX_CLIENTS = 1000, MAX_MESSAGE = 16 << 20, CHUNK = 64 << 10, LINGER_MS = 2000 };

struct client {
    wsframe_connection *connection; /* NULL when all is said and the client is to hang up */
    uint64_t due_ms;                /* when its next turn is, if nothing happens before */
};

static struct client clients[MAX_CLIENTS];
static struct pollfd polls[MAX_CLIENTS + 1]; /* the clients' in the same order, then the listener's */
static int client_count;
static uint64_t open_again_ms; /* until then nobody is let in: there was no descriptor left, unless a client leaves */
static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
    (void)signal_number;
    is_stopping = 1;
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int listen_on(uint16_t port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t address_len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, SOMAXCONN) ||
        getsockname(listener, (struct sockaddr *)&address, &address_len) || fcntl(listener, F_SETFL, O_NONBLOCK)) {
        perror("echo: cannot listen");
        exit(1);
    }
    printf("ws://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_client(int listener) {
    wsframe_config config = {0};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_DEFLATE;
    config.max_inflated_len = MAX_MESSAGE;
    config.high_water_len = MAX_MESSAGE; /* whatever answers one read: a client is read from when it has taken that */
    int client = accept(listener, NULL, NULL), on = 1;
    /* With no descriptor left the client waits at the door, and poll() would report that again and again. */
    if (client < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        fprintf(stderr, "echo: no place for another client: %s\n", strerror(errno));
        open_again_ms = now_ms() + 1000;
    }
    if (client < 0) return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(client, F_SETFL, O_NONBLOCK) ||
        wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &clients[client_count].connection) < 0) {
        close(client);
        return;
    }
    clients[client_count].due_ms = 0;
    polls[client_count++] = (struct pollfd){.fd = client, .events = POLLIN};
}

static void remove_client(int i) {
    close(polls[i].fd);
    wsframe_connection_free(clients[i].connection);
    client_count--;
    open_again_ms = 0;
    clients[i] = clients[client_count];
    polls[i] = polls[client_count];
}

/* Reads what has come, and answers. Returns whether the client is still there. */
static int read_from(int fd, wsframe_connection *connection) {
    static char in[CHUNK];
    wsframe_batch batch;
    ssize_t in_len = recv(fd, in, sizeof in, 0);
    if (in_len <= 0) return in_len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (connection == NULL) return 1; /* it said more than it needed to */

    do { /* once, but for what one call may deliver */
        if (wsframe_connection_receive_in_place(connection, in, (size_t)in_len, &batch) < 0) return 0; /* no memory */
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++) {
            const char *data = event->flags & WSFRAME_DATA_IN_PLACE ? in : (const char *)batch.data;
            ptrdiff_t sent = 0;
            if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)
                sent = wsframe_connection_send(connection, event->kind, data + event->offset, event->len);
            else if (event->kind == WSFRAME_EVENT_ERROR)
                fprintf(stderr, "echo: %s\n", wsframe_connection_error(connection));
            if (sent < 0) fprintf(stderr, "echo: %s\n", wsframe_why());
            if (sent < 0) return 0;
        }
        in_len = 0;
    } while (batch.flags & WSFRAME_BATCH_MORE);
    return 1;
}

/* Writes as much as the client takes, and says what time it is. Returns when the next turn is due, 0 for the last. */
static uint32_t end_turn(int fd, wsframe_connection *connection, uint64_t now) {
    wsframe_output output;
    ssize_t sent = 0;
    while (wsframe_connection_output(connection, (size_t)sent, now, &output) > 0) {
        sent = send(fd, output.data, output.len, MSG_NOSIGNAL);
        if (sent <= 0) break;
    }
    return output.wait_ms;
}

/* One turn of the loop for one client. Returns whether it is still there. */
static int take_turn(struct client *client, struct pollfd *poll, uint64_t now) {
    if (poll->revents & ~POLLOUT && !read_from(poll->fd, client->connection)) return 0;
    if (client->connection == NULL) return now < client->due_ms;
    if (!poll->revents && now < client->due_ms && !is_stopping) return 1;
    if (is_stopping) wsframe_connection_close(client->connection, 1001, NULL, 0); /* the second time does nothing */

    uint32_t wait_ms = end_turn(poll->fd, client->connection, now);
    client->due_ms = wait_ms == WSFRAME_NEVER ? UINT64_MAX : now + wait_ms;
    /* Who does not take his answers gets no new ones. */
    poll->events = wsframe_connection_waiting(client->connection) > 0 ? POLLOUT : POLLIN;
    if (wait_ms == 0) { /* the end, as RFC 6455 section 7.1.1 has it: close() alone could destroy what is on its way */
        shutdown(poll->fd, SHUT_WR);
        wsframe_connection_free(client->connection);
        *client = (struct client){.due_ms = now + LINGER_MS};
        poll->events = POLLIN;
    }
    return 1;
}

int main(int argc, char **argv) {
    struct sigaction on_stop = {.sa_handler = stop};
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGINT, &on_stop, NULL);
    int listener = listen_on(argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0);

    while (!is_stopping || client_count > 0) {
        uint64_t now = now_ms(), wait_ms = 500; /* a signal that comes just before poll() is seen after it */
        for (int i = 0; i < client_count; i++) {
            uint64_t left_ms = clients[i].due_ms > now ? clients[i].due_ms - now : 0;
            if (left_ms < wait_ms) wait_ms = left_ms;
        }
        int is_open = !is_stopping && client_count < MAX_CLIENTS && now >= open_again_ms;
        struct pollfd *door = &polls[client_count];
        *door = (struct pollfd){.fd = is_open ? listener : -1, .events = POLLIN};
        if (poll(polls, (nfds_t)client_count + 1, (int)wait_ms) < 0) continue;

        if (door->revents) accept_client(listener);
        now = now_ms();
        for (int i = client_count - 1; i >= 0; i--)
            if (!take_turn(&clients[i], &polls[i], now)) remove_client(i);
    }
    close(listener);
    return 0;
}

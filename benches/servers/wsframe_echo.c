/* An echo server as a C user writes it, but without timeouts: libwsframe's connection in an epoll loop. Prints its port. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <wsframe.h>

static wsframe_connection *connections[1 << 16]; /* by descriptor */
static char in[64 << 10];

static void turn(int fd, uint64_t now_ms) {
    wsframe_connection *c = connections[fd];
    wsframe_batch batch;
    wsframe_output output;
    ssize_t waits, in_len, sent;
    do { /* until there is nothing to read, or the socket is full: epoll tells a change once */
        waits = wsframe_connection_waiting(c);
        in_len = waits ? 0 : recv(fd, in, sizeof in, MSG_DONTWAIT);
        wsframe_connection_receive_in_place(c, in, in_len > 0 ? (size_t)in_len : 0, &batch);
        for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++) {
            const char *data = event->flags & WSFRAME_DATA_IN_PLACE ? in : (const char *)batch.data;
            if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)
                wsframe_connection_send(c, event->kind, data + event->offset, event->len);
        }
        for (sent = 0; wsframe_connection_output(c, (size_t)sent, now_ms, &output) > 0;)
            if ((sent = send(fd, output.data, output.len, MSG_NOSIGNAL | MSG_DONTWAIT)) <= 0) break;
    } while (output.len == 0 && (waits || in_len == sizeof in || batch.flags & WSFRAME_BATCH_MORE));
    if ((waits == 0 && in_len == 0) || output.wait_ms == 0) wsframe_connection_free(c), close(fd);
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_len = sizeof address;
    struct epoll_event events[256] = {{.events = EPOLLIN, .data.fd = listener}};
    if (bind(listener, (struct sockaddr *)&address, address_len) || listen(listener, SOMAXCONN)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &address_len);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, events);
    for (;;) {
        int count = epoll_wait(poll, events, 256, -1);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        for (int i = 0, fd; i < count; i++) {
            if ((fd = events[i].data.fd) != listener) {
                turn(fd, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
            } else if ((fd = accept(listener, NULL, NULL)) >= 0) {
                struct epoll_event both = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                if (wsframe_connection_new(WSFRAME_ROLE_SERVER, NULL, &connections[fd]) == 0)
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &both);
                else
                    close(fd);
            }
        }
    }
}

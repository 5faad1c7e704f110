/*
 * GENERATED from src/ffi by `make header`: do not edit.
 */
/*
 * libwsframe speaks WebSocket (RFC 6455, compressed or not: RFC 7692) for programs in any language that can call C. A hub is a
 * server or a client with its sockets, for many connections, and their loop. All else does no I/O: bytes that were read go in,
 * bytes to be written come out.
 *
 * The whole of a server that sends each message back, on a hub; see wsframe_hub_new() and those that follow:
 *
 *     void serve(const char *address, size_t address_len) {
 *         wsframe_hub *hub = NULL;
 *         wsframe_batch batch;
 *         if (wsframe_hub_new(NULL, &hub) < 0 || wsframe_hub_listen(hub, address, address_len, 0, NULL) < 0)
 *             puts(wsframe_why());
 *         else
 *             while (wsframe_hub_poll(hub, WSFRAME_NEVER, &batch) >= 0)
 *                 for (const wsframe_event *event = batch.events; event < batch.events + batch.count; event++)
 *                     if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)
 *                         wsframe_hub_send(hub, event->connection, event->kind, (const char *)batch.data + event->offset, event->len);
 *         wsframe_hub_free(hub);
 *     }
 *
 * For those who have a loop: the connection does all of the protocol. A turn of a server's loop, when something was read from a
 * client's socket, or the socket takes more, or the time is over that the last turn has returned:
 *
 *     uint32_t turn(wsframe_connection *c, int socket, const void *in, size_t in_len, uint64_t now_ms) {
 *         wsframe_batch batch;
 *         wsframe_output output;
 *         do {                                                              // once, but for what one call may deliver
 *             ptrdiff_t count = wsframe_connection_receive(c, in, in_len, &batch);
 *             for (ptrdiff_t i = 0; i < count; i++) {
 *                 const wsframe_event *event = &batch.events[i];
 *                 if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)  // an echo, for instance
 *                     wsframe_connection_send(c, event->kind, (const char *)batch.data + event->offset, event->len);
 *             }
 *             in_len = 0;
 *         } while (batch.flags & WSFRAME_BATCH_MORE);
 *
 *         ptrdiff_t sent = 0;
 *         while (wsframe_connection_output(c, (size_t)sent, now_ms, &output) > 0) {
 *             sent = send(socket, output.data, output.len, MSG_NOSIGNAL);
 *             if (sent <= 0) break;                                         // the rest when the socket takes more
 *         }
 *         if (output.wait_ms == 0) shutdown(socket, SHUT_WR);               // then read until the peer has closed too,
 *         return output.wait_ms;                                            // two seconds at most, and close()
 *     }
 *
 * Do not read from a peer that does not take what is sent to it: while wsframe_connection_waiting() is not 0, wait until the
 * socket can be written. When TCP has ended, tell wsframe_connection_gone(), and free the connection.
 *
 * The frame functions below the connection are for those who have a parser, or want to see how it is done. With bytes from a
 * client, after the opening handshake:
 *
 *     ptrdiff_t answer(unsigned char *in, size_t in_len, void *out, size_t out_cap, uint16_t *close_code) {
 *         wsframe_header header;
 *         ptrdiff_t used = wsframe_header_parse(in, in_len, &header);
 *         *close_code = used < 0 ? wsframe_close_code(used) : 0;
 *         if (used <= 0) return used;                                       // 0: read more, then begin again
 *         if (!(header.flags & WSFRAME_HEADER_MASK)) *close_code = 1002;    // a client masks
 *         if (header.payload_len > 65536) *close_code = 1009;               // your limit
 *         if (*close_code != 0) return -1;
 *         if (in_len - (size_t)used < header.payload_len) return 0;         // read more, then begin again
 *         unsigned char *payload = in + used;
 *         size_t payload_len = (size_t)header.payload_len;
 *         wsframe_unmask(payload, payload_len, header.mask_key, 0, payload);
 *         return wsframe_frame_build(WSFRAME_OPCODE_FIN | header.opcode, payload, payload_len, out, out_cap);
 *     }
 *
 * Rules that hold for every function:
 *
 * 1. What can fail returns ptrdiff_t: 0 or more is a count (0 may mean that more bytes are needed, or that the connection is
 *    over), less than 0 is a WSFRAME_ERROR_*, and wsframe_why() has the exact cause. From -1 to -31 the call was wrong, or there
 *    is no room or no memory: nothing was done. From -32 down the peer was wrong: end that connection with
 *    wsframe_close_code(). Nothing that a peer does to a connection makes a call an error: it is an event, and calls on a
 *    connection that is over return 0.
 * 2. Bytes are a void pointer and a length. The pointer may be NULL only where the length is 0; a length above PTRDIFF_MAX
 *    is a WSFRAME_ERROR_ARGUMENT.
 * 3. Names are wsframe_noun_verb. Lengths end in _len, capacities of buffers in _cap, both in bytes; times in _ms,
 *    milliseconds.
 * 4. The caller owns what it passes, the library what it returns. Input is read during the call only; output is untouched
 *    when the call fails, but for a wsframe_batch and a wsframe_output, which are always written. An input and an output must
 *    not overlap unless a function says so. How long what is lent lives, each function says; where it lends nothing, the pointer is NULL.
 *    What a connection lent may be given back to it: data of events to its sending functions, a field to
 *    wsframe_connection_accept() and _add_field(); its output to none. Strings that are returned are static: never free them.
 * 5. Handles are opaque. Records are fixed in every version: wsframe_header has 16 bytes, wsframe_event 32, wsframe_batch 40
 *    and wsframe_output 24 where a pointer has eight; a wsframe_config and a wsframe_hub_config begin with their size and may
 *    grow, as may wsframe_stats, whose size is said with the call.
 * 6. Enums only name constants. Parameters and fields are plain integers.
 * 7. Nothing unwinds or aborts across this border. The frame functions cannot panic, but for two that call code of which
 *    that cannot be shown, wsframe_accept_key and wsframe_utf8_check. These and the functions of connections, hubs, messages
 *    and extensions would catch a panic and return WSFRAME_ERROR_INTERNAL. The connection or hub is then dead: every call
 *    but _free() returns WSFRAME_ERROR_STATE. The process and its other handles live on. A connection of a hub that panics while
 *    it receives, or in a call on it, is gone, with WSFRAME_ERROR_INTERNAL, and its hub lives; a panic while the hub writes,
 *    publishes, stops, or sends what is long ends the hub. Where memory ends
 *    a call returns WSFRAME_ERROR_MEMORY, or a peer is closed with 1011. Out of reach is only what the C library takes for a
 *    thread that uses libwsframe for the first time, a few hundred bytes, what it takes for the thread in which a hub looks
 *    up the name of a server, and what a hub needs for TLS.
 * 8. The frame functions have no state and may be called from any thread at any time. A connection may be used from one
 *    thread at a time; different connections never meet. A wsframe_message does not change, and any number of threads may
 *    use it at a time. A hub belongs to the thread of its first poll; only wsframe_hub_wake() may be called from others.
 */

#ifndef WSFRAME_H
#define WSFRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * The version of this header: major * 65536 + minor * 256 + patch.
 */
enum { WSFRAME_VERSION = 0x000100 };

/*
 * By how much a server's frame is longer than its payload, in bytes and at most.
 */
enum { WSFRAME_FRAME_OVERHEAD = 10 };

/* As sent of wsframe_connection_output(): all that is lent counts as written. */
#define WSFRAME_ALL SIZE_MAX
/* Stands for no limit of time, in a wsframe_config and in wsframe_output.wait_ms. */
#define WSFRAME_NEVER UINT32_MAX

/**
 * What a function returns instead of a count when it failed. Each code stands for a different thing to do next.
 *
 * Codes from -1 down to -31 are about the call: mend the program. Codes from -32 down are the peer's fault: end that
 * one connection. A number is never given a new meaning.
 */
typedef enum wsframe_error {
    /**
     * An argument cannot be right: NULL with a length, a length or flag out of range, buffers that overlap, a frame
     * that RFC 6455 does not allow to be sent. Nothing was done.
     */
    WSFRAME_ERROR_ARGUMENT = -1,
    /**
     * The handle cannot do this now, for instance send before the connection is open. It is well, unless a defect was
     * caught on it (-5). Nothing was done.
     */
    WSFRAME_ERROR_STATE = -2,
    /**
     * There is no room: the output buffer is too small, or more output waits than the config's high_water_len. Nothing was
     * done; call again with a larger buffer, or when the peer has taken some.
     */
    WSFRAME_ERROR_SPACE = -3,
    /**
     * Memory could not be allocated. Nothing was done.
     */
    WSFRAME_ERROR_MEMORY = -4,
    /**
     * A defect in the library, kept from harming the process. Please report it.
     */
    WSFRAME_ERROR_INTERNAL = -5,
    /**
     * The operating system refused; errno says why.
     */
    WSFRAME_ERROR_IO = -6,
    /**
     * The peer's opening handshake is not one (RFC 6455 section 4). Answer it with HTTP status 400.
     */
    WSFRAME_ERROR_HANDSHAKE = -32,
    /**
     * The peer broke a framing rule (RFC 6455 section 5). Close with 1002.
     */
    WSFRAME_ERROR_PROTOCOL = -33,
    /**
     * The peer sent text that is not UTF-8 (RFC 6455 section 8.1). Close with 1007.
     */
    WSFRAME_ERROR_UTF8 = -34,
    /**
     * The peer sent more than the limits allow. Close with 1009.
     */
    WSFRAME_ERROR_TOO_BIG = -35,
    /**
     * The peer did what this endpoint does not want. Close with 1008.
     */
    WSFRAME_ERROR_POLICY = -36,
    /**
     * The peer had its time: for the opening handshake, to answer a ping, or to answer a close frame.
     */
    WSFRAME_ERROR_TIMEOUT = -37,
} wsframe_error;

/**
 * Opcodes (RFC 6455 section 5.2), and the bits that are combined with one: those of a frame's first byte on the wire, so
 * that WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_TEXT is the first byte for wsframe_frame_build(), and from 0x100 on those that say
 * how wsframe_connection_send() is to send a message.
 */
typedef enum wsframe_opcode {
    /**
     * Goes on with the message of the frame before.
     */
    WSFRAME_OPCODE_CONTINUATION = 0,
    /**
     * Text, in UTF-8.
     */
    WSFRAME_OPCODE_TEXT = 1,
    /**
     * Bytes.
     */
    WSFRAME_OPCODE_BINARY = 2,
    /**
     * Closes the connection.
     */
    WSFRAME_OPCODE_CLOSE = 8,
    /**
     * Asks for a pong.
     */
    WSFRAME_OPCODE_PING = 9,
    /**
     * Answers a ping.
     */
    WSFRAME_OPCODE_PONG = 10,
    /**
     * The third reserved bit.
     */
    WSFRAME_OPCODE_RSV3 = 16,
    /**
     * The second reserved bit.
     */
    WSFRAME_OPCODE_RSV2 = 32,
    /**
     * The first reserved bit; permessage-deflate marks compressed messages with it.
     */
    WSFRAME_OPCODE_RSV1 = 64,
    /**
     * This frame ends its message.
     */
    WSFRAME_OPCODE_FIN = 128,
    /**
     * To send: this is a piece of a message, and not the last.
     */
    WSFRAME_OPCODE_MORE = 256,
    /**
     * To send: not compressed, for instance because it has a secret next to what an attacker chose (RFC 7692 section 8).
     */
    WSFRAME_OPCODE_PLAIN = 512,
    /**
     * To send: compressed, however short it is, and even if that makes it longer.
     */
    WSFRAME_OPCODE_COMPRESSED = 1024,
} wsframe_opcode;

/**
 * A bit of wsframe_header.flags, beside WSFRAME_OPCODE_FIN and _RSV1 to _RSV3.
 */
typedef enum wsframe_header_flag {
    /**
     * The payload is masked; mask_key is valid.
     */
    WSFRAME_HEADER_MASK = 1,
} wsframe_header_flag;

/**
 * Which end of the connection this is.
 */
typedef enum wsframe_role {
    /**
     * The end that was connected to.
     */
    WSFRAME_ROLE_SERVER = 0,
    /**
     * The end that connected.
     */
    WSFRAME_ROLE_CLIENT = 1,
} wsframe_role;

/**
 * How far a connection has come.
 */
typedef enum wsframe_state {
    /**
     * The opening handshake is not done.
     */
    WSFRAME_STATE_CONNECTING = 0,
    /**
     * A request waits for the application's answer.
     */
    WSFRAME_STATE_ASKED = 1,
    /**
     * Messages go both ways.
     */
    WSFRAME_STATE_OPEN = 2,
    /**
     * A close frame was sent; the peer's is awaited.
     */
    WSFRAME_STATE_CLOSING = 3,
    /**
     * Both close frames were exchanged, or a request was answered with something else than 101. Nothing that still comes
     * is looked at. A server closes TCP when the output is written, a client waits for the server to do so, but not
     * forever.
     */
    WSFRAME_STATE_CLOSED = 4,
    /**
     * The peer broke the rules, refused or was refused, had its time, or is gone. Close TCP when the output is written.
     */
    WSFRAME_STATE_FAILED = 5,
} wsframe_state;

/**
 * What an event is. Those that are a frame of the peer have the number of its opcode, so that an echo is
 * wsframe_connection_send(c, event->kind, ...).
 */
typedef enum wsframe_event_kind {
    /**
     * A text message, or a piece of one.
     */
    WSFRAME_EVENT_TEXT = 1,
    /**
     * A binary message, or a piece of one.
     */
    WSFRAME_EVENT_BINARY = 2,
    /**
     * The peer's close frame, with close_code (1005 if it had none); the data are the reason. Nothing is received after
     * it: only WSFRAME_EVENT_GONE may follow.
     */
    WSFRAME_EVENT_CLOSE = 8,
    /**
     * A ping. It has been answered, unless the config has WSFRAME_CONFIG_MANUAL_PONG.
     */
    WSFRAME_EVENT_PING = 9,
    /**
     * A pong.
     */
    WSFRAME_EVENT_PONG = 10,
    /**
     * A client asks to be let in, and the application is to answer; the data are the request's head. It is the last event
     * of its call.
     */
    WSFRAME_EVENT_REQUEST = 16,
    /**
     * A plain HTTP request, and the application is to answer; the data are the request's head. It is the last event of its
     * call.
     */
    WSFRAME_EVENT_HTTP = 17,
    /**
     * The opening handshake is done; the data are the head of the request, or of the response for a client.
     */
    WSFRAME_EVENT_OPEN = 18,
    /**
     * The peer broke the rules or refused, or memory or randomness ran out: error is the code of the failure, close_code
     * what the peer is told; where the opening handshake was refused it is the HTTP status that was sent or received.
     * wsframe_connection_error() has a sentence for the log. The data are what a client was answered instead, head and
     * the start of the content as far as it came along, else none. Nothing is received after it: only
     * WSFRAME_EVENT_GONE may follow.
     */
    WSFRAME_EVENT_ERROR = 19,
    /**
     * TCP has ended, as wsframe_connection_gone() was told: close_code is that of the peer's close frame if the closing
     * handshake was done, else 1006; error is the code of the failure if there was one.
     */
    WSFRAME_EVENT_GONE = 20,
    /**
     * Of a hub: more output waited than high_water_len of the config, so that there was no room for a message, and now no
     * more than half of that waits.
     */
    WSFRAME_EVENT_DRAIN = 21,
    /**
     * Of a hub: a time is over that wsframe_hub_timer() was told of. connection is the timer's number.
     */
    WSFRAME_EVENT_TIMER = 22,
    /**
     * Of a hub: a descriptor can be read from or written to that wsframe_hub_watch() was told of. connection is the
     * descriptor, flags has what can be done: any of WSFRAME_WATCH_*.
     */
    WSFRAME_EVENT_READY = 23,
} wsframe_event_kind;

/**
 * Bits of an event's flags.
 */
typedef enum wsframe_data_flag {
    /**
     * The message came compressed.
     */
    WSFRAME_DATA_COMPRESSED = 4,
    /**
     * A message begins with these data.
     */
    WSFRAME_DATA_FIRST = 32,
    /**
     * A message ends with these data.
     */
    WSFRAME_DATA_LAST = 64,
    /**
     * The data are in the input of wsframe_connection_receive_in_place(), and offset counts from there.
     */
    WSFRAME_DATA_IN_PLACE = 128,
} wsframe_data_flag;

/**
 * Bits of a config's flags. Each of the last four lets a peer break one rule.
 */
typedef enum wsframe_config_flag {
    /**
     * A server that answers each request itself: a request becomes WSFRAME_EVENT_REQUEST, which waits for
     * wsframe_connection_accept() or wsframe_connection_respond(), and plain HTTP WSFRAME_EVENT_HTTP, which waits for
     * wsframe_connection_respond(). Without it the library answers.
     */
    WSFRAME_CONFIG_ASK = 1,
    /**
     * Messages are delivered in pieces as they arrive, text cut between characters, instead of whole.
     */
    WSFRAME_CONFIG_PIECES = 2,
    /**
     * Pings are not answered by the library.
     */
    WSFRAME_CONFIG_MANUAL_PONG = 4,
    /**
     * The connection starts open: somebody else has done the opening handshake.
     */
    WSFRAME_CONFIG_START_OPEN = 8,
    /**
     * Messages may be compressed with permessage-deflate (RFC 7692), if the peer agrees. Do not compress secrets together
     * with what an attacker chooses (section 8): how long the message gets tells him about both.
     */
    WSFRAME_CONFIG_DEFLATE = 16,
    /**
     * Each message of the server is compressed on its own. It gets longer, and nothing is kept for it between messages.
     */
    WSFRAME_CONFIG_SERVER_NO_CONTEXT_TAKEOVER = 32,
    /**
     * The same for the messages of the client.
     */
    WSFRAME_CONFIG_CLIENT_NO_CONTEXT_TAKEOVER = 64,
    /**
     * A server accepts frames that are not masked, a client frames that are.
     */
    WSFRAME_CONFIG_ACCEPT_ANY_MASK = 256,
    /**
     * Lengths need not be in their shortest form.
     */
    WSFRAME_CONFIG_ACCEPT_LONG_LENGTHS = 512,
    /**
     * Text is not checked to be UTF-8, neither received nor sent.
     */
    WSFRAME_CONFIG_SKIP_UTF8 = 1024,
    /**
     * Every close code from 1000 to 4999 is accepted but 1005, 1006 and 1015, which stand for no close frame.
     */
    WSFRAME_CONFIG_ACCEPT_ANY_CLOSE_CODE = 2048,
} wsframe_config_flag;

/**
 * A bit of the flags of wsframe_connection_accept().
 */
typedef enum wsframe_accept_flag {
    /**
     * Messages are not compressed although the config has WSFRAME_CONFIG_DEFLATE.
     */
    WSFRAME_ACCEPT_WITHOUT_DEFLATE = 1,
} wsframe_accept_flag;

/**
 * A bit of wsframe_batch.flags.
 */
typedef enum wsframe_batch_flag {
    /**
     * There is more than one call delivers: call again, also without new bytes. Never set by a hub.
     */
    WSFRAME_BATCH_MORE = 1,
    /**
     * wsframe_hub_stop() was called, and no connection is left: there will be no more events.
     */
    WSFRAME_BATCH_STOPPED = 2,
} wsframe_batch_flag;

/**
 * A bit of wsframe_output.flags.
 */
typedef enum wsframe_output_flag {
    /**
     * More output waits already, behind these bytes.
     */
    WSFRAME_OUTPUT_MORE = 1,
} wsframe_output_flag;

/**
 * A bit of the flags of wsframe_hub_listen() and wsframe_hub_adopt().
 */
typedef enum wsframe_listen_flag {
    /**
     * Other sockets may listen at the same port with this flag, in other processes, too: the system lets each have a part of
     * the clients (SO_REUSEPORT). Means nothing to a Unix socket or one that is adopted.
     */
    WSFRAME_LISTEN_REUSE_PORT = 1,
    /**
     * Clients come by a proxy that says in front of their bytes where they are: the PROXY protocol, version 1 or 2, as HAProxy,
     * nginx and load balancers of clouds speak it. wsframe_hub_address() is then what the proxy has said. Who comes without a
     * proxy is turned away: anybody could say so, so let nobody but the proxy reach the address.
     */
    WSFRAME_LISTEN_PROXY = 2,
    /**
     * Who has more than high_water_len waiting when something is published is ended with WSFRAME_ERROR_POLICY, instead of not
     * getting it.
     */
    WSFRAME_LISTEN_DROP_SLOW = 4,
} wsframe_listen_flag;

/**
 * What a descriptor is watched for, and what can be done with it.
 */
typedef enum wsframe_watch_flag {
    /**
     * It can be read from, or has ended.
     */
    WSFRAME_WATCH_READ = 1,
    /**
     * It can be written to.
     */
    WSFRAME_WATCH_WRITE = 2,
} wsframe_watch_flag;

/**
 * One WebSocket connection, of a server or a client, without I/O. The page above shows its loop. A hub has its own, and lends
 * them by wsframe_hub_connection().
 *
 * A connection may be used from one thread at a time and from any thread; different connections never meet. A call
 * while another is running on the same connection returns WSFRAME_ERROR_STATE and does nothing.
 */
typedef struct wsframe_connection wsframe_connection;

/**
 * Many WebSocket connections, accepted and made, and the loop that serves them: sockets, timers, topics. The page above shows
 * how it is used.
 *
 * A hub belongs to the thread of its first wsframe_hub_poll(), and to the process that made it: in another thread, and after a
 * fork, its functions return WSFRAME_ERROR_STATE, but for wsframe_hub_wake(), which may be called from any thread, and
 * wsframe_hub_free(). Hubs do not know of each other: make one for each thread that is to serve.
 *
 * A connection has an id: a number, never 0, that no other connection of the hub has had or will have. What is done with an
 * id whose connection is gone does nothing and returns 0.
 */
typedef struct wsframe_hub wsframe_hub;

/**
 * A message that is checked and compressed once, and sent on many connections.
 *
 * It does not change: any number of threads may send it at the same time. It may be freed as soon as it was sent: what
 * connections still need of it lives until they have written it.
 */
typedef struct wsframe_message wsframe_message;

/**
 * What an application can choose for a connection. All zeroes are the defaults, which are strict, and right for most: set
 * struct_size, and change what you want.
 *
 *   wsframe_config config = {0};
 *   config.struct_size = sizeof config;
 *   config.flags = WSFRAME_CONFIG_DEFLATE;
 *
 * Nothing it points to is needed after the call it is given to.
 */
typedef struct wsframe_config {
    /**
     * sizeof(wsframe_config). A shorter one, of an older header, is taken as if it went on with zeroes.
     */
    uint32_t struct_size;
    /**
     * Any of WSFRAME_CONFIG_*.
     */
    uint32_t flags;
    /**
     * The longest message in bytes; 0 stands for 16 MiB.
     */
    uint64_t max_message_len;
    /**
     * The longest payload of a message's frame in bytes; 0 stands for 16 MiB.
     */
    uint64_t max_frame_len;
    /**
     * With WSFRAME_CONFIG_DEFLATE: the longest message in bytes that came compressed, and no more than max_message_len; 0
     * stands for 1 MiB. A thousandth of it may be all that a peer has to send.
     */
    uint64_t max_inflated_len;
    /**
     * How many bytes of output may wait, headers included, when another message is taken; 0 stands for 1 MiB. A message
     * of any length finds room when no more than that waits.
     */
    uint64_t high_water_len;
    /**
     * The most frames of one message; 0 stands for 65,536.
     */
    uint32_t max_fragments;
    /**
     * The longest head of a request or response in bytes; 0 stands for 16 KiB.
     */
    uint32_t max_head_len;
    /**
     * The most fields of a head, at most 1000; 0 stands for 100.
     */
    uint32_t max_head_fields;
    /**
     * How long the opening handshake may take, in milliseconds; 0 stands for 10 seconds, WSFRAME_NEVER for ever.
     */
    uint32_t handshake_timeout_ms;
    /**
     * How long the peer may take to answer a close frame, and to take what was written last, in milliseconds; 0 stands for
     * 5 seconds, WSFRAME_NEVER for ever.
     */
    uint32_t close_timeout_ms;
    /**
     * After how long a silence a ping is sent, and then how long the peer may be silent still, in milliseconds; 0 stands
     * for 30 seconds, WSFRAME_NEVER for no pings. A peer to whom much was written before has a second more for each
     * 16 KB of it.
     */
    uint32_t ping_interval_ms;
    /**
     * Subprotocols with commas between them: a server answers with the first of them that the client offers, a client
     * offers them all.
     */
    const void *subprotocols;
    /**
     * Length of subprotocols in bytes, 0 for none.
     */
    size_t subprotocols_len;
    /**
     * The Origins that a server accepts, with commas between them, each as a browser sends it: `https://example.com` or
     * `http://localhost:8080`, in lower case, without a default port and without a path. If there are any, a request needs
     * one of them.
     */
    const void *origins;
    /**
     * Length of origins in bytes, 0 for none. A list with nothing but commas and spaces is an error.
     */
    size_t origins_len;
    /**
     * With WSFRAME_CONFIG_DEFLATE: the shortest message in bytes that is compressed unasked; 0 stands for 64, or for 256
     * where each message is compressed on its own.
     */
    uint32_t deflate_min_len;
    /**
     * How hard to compress, from 1, the fastest, to 9, the smallest; 0 stands for 6.
     */
    uint32_t deflate_level;
    /**
     * How far back a server's messages may refer to those before them, as a power of two, 9 to 15. So many bytes does a
     * connection keep at most: 4,096 for 12. 0 stands for 12 for a server, and lets a client take what the server likes:
     * many servers cannot do less than 15.
     */
    uint32_t server_max_window_bits;
    /**
     * The same for a client's messages; 0 stands for 12. A client that does not offer to be asked keeps to 15.
     */
    uint32_t client_max_window_bits;
    /**
     * With WSFRAME_CONFIG_START_OPEN and WSFRAME_CONFIG_DEFLATE: the Sec-WebSocket-Extensions of the response that somebody
     * else has written, for instance what wsframe_extensions_answer() answered.
     */
    const void *extensions;
    /**
     * Length of extensions in bytes, 0 if the response had none.
     */
    size_t extensions_len;
    /**
     * With WSFRAME_CONFIG_START_OPEN: the subprotocol that was agreed on, for wsframe_connection_subprotocol().
     */
    const void *subprotocol;
    /**
     * Length of subprotocol in bytes, 0 for none.
     */
    size_t subprotocol_len;
    /**
     * With WSFRAME_CONFIG_START_OPEN: the path and query of the request, for wsframe_connection_target().
     */
    const void *target;
    /**
     * Length of target in bytes, 0 if it is not to be kept.
     */
    size_t target_len;
} wsframe_config;

/**
 * What both ends of a connection agreed on for compressed messages (RFC 7692 section 7.1).
 */
typedef struct wsframe_deflate {
    /**
     * 1 if each message of the server is compressed on its own, else 0.
     */
    uint8_t server_no_context_takeover;
    /**
     * 1 if each message of the client is compressed on its own, else 0.
     */
    uint8_t client_no_context_takeover;
    /**
     * How far back the server's messages may refer, as a power of two: 8 to 15.
     */
    uint8_t server_max_window_bits;
    /**
     * The same for the client's.
     */
    uint8_t client_max_window_bits;
} wsframe_deflate;

/**
 * One thing that happened. 32 bytes, no pointers, in every version of the library.
 */
typedef struct wsframe_event {
    /**
     * On which connection of a hub: its id. 0 for a connection of your own. Of WSFRAME_EVENT_TIMER and _READY what they say.
     * It is in the record, and not in a list beside it, so that whoever goes through a batch has all of an event in one
     * place; the record would not be shorter without it by more than the eight bytes that it takes.
     */
    uint64_t connection;
    /**
     * Where the data begin, counted from the batch's data.
     */
    uint64_t offset;
    /**
     * Length of the data in bytes.
     */
    uint64_t len;
    /**
     * A close code or HTTP status, for WSFRAME_EVENT_CLOSE, _ERROR and _GONE; else 0.
     */
    uint16_t close_code;
    /**
     * One of WSFRAME_EVENT_*.
     */
    uint8_t kind;
    /**
     * Any of WSFRAME_DATA_*: FIRST and LAST for a message that is whole. Of WSFRAME_EVENT_READY any of WSFRAME_WATCH_*.
     */
    uint8_t flags;
    /**
     * A WSFRAME_ERROR_*, for WSFRAME_EVENT_ERROR and _GONE; else 0.
     */
    int32_t error;
} wsframe_event;

/**
 * What a call left: events, and their data. 40 bytes where a pointer has eight, in every version of the library. All calls
 * that write one write all of it.
 */
typedef struct wsframe_batch {
    /**
     * The events; NULL if there are none.
     */
    const struct wsframe_event *events;
    /**
     * How many events there are.
     */
    size_t count;
    /**
     * The data that the events' offsets count from; NULL if there are none.
     */
    const void *data;
    /**
     * So many bytes are there. The data of all events lie in them, in any order; some bytes may be no event's.
     */
    size_t data_len;
    /**
     * 0, WSFRAME_BATCH_MORE or WSFRAME_BATCH_STOPPED.
     */
    uint32_t flags;
    /**
     * 0.
     */
    uint32_t reserved;
} wsframe_batch;

/**
 * A field of the head of a request or response.
 */
typedef struct wsframe_field {
    /**
     * The name, as it was sent; NULL if there is no such field.
     */
    const void *name;
    /**
     * Length of the name in bytes.
     */
    size_t name_len;
    /**
     * The value, without the white space around it; NULL if it is empty.
     */
    const void *value;
    /**
     * Length of the value in bytes.
     */
    size_t value_len;
} wsframe_field;

/**
 * What ends a turn of the loop: bytes to be written now, and the time of the next turn. 24 bytes where a pointer has eight,
 * in every version of the library.
 */
typedef struct wsframe_output {
    /**
     * The bytes to write to the peer; NULL if there are none.
     */
    const void *data;
    /**
     * How many bytes that are.
     */
    size_t len;
    /**
     * In how many milliseconds to call wsframe_connection_output() again, at the latest: WSFRAME_NEVER if nothing is due,
     * 0 if TCP is to be closed.
     */
    uint32_t wait_ms;
    /**
     * 0 or WSFRAME_OUTPUT_MORE.
     */
    uint32_t flags;
} wsframe_output;

/**
 * Bytes in one place; laid out as a struct iovec.
 */
typedef struct wsframe_part {
    /**
     * Where they begin.
     */
    const void *data;
    /**
     * How many they are.
     */
    size_t len;
} wsframe_part;

/**
 * A frame header (RFC 6455 section 5.2). 16 bytes, in every version of the library.
 */
typedef struct wsframe_header {
    /**
     * Length of the payload in bytes, at most 2^63-1.
     */
    uint64_t payload_len;
    /**
     * One of WSFRAME_OPCODE_*.
     */
    uint8_t opcode;
    /**
     * Any of WSFRAME_HEADER_MASK, WSFRAME_OPCODE_FIN, _RSV1, _RSV2 and _RSV3.
     */
    uint8_t flags;
    /**
     * Length of the header itself in bytes, 2 to 14. Set by wsframe_header_parse(), ignored by wsframe_header_build().
     */
    uint8_t header_len;
    /**
     * 0.
     */
    uint8_t reserved;
    /**
     * The masking key if flags has WSFRAME_HEADER_MASK, zeroes otherwise.
     */
    uint8_t mask_key[4];
} wsframe_header;

/**
 * What an application can choose for a hub. All zeroes are the defaults.
 */
typedef struct wsframe_hub_config {
    /**
     * sizeof(wsframe_hub_config).
     */
    uint32_t struct_size;
    /**
     * How many connections there are when no more clients are let in; others wait until one leaves. 0 for as many as the
     * system has descriptors for.
     */
    uint32_t max_connections;
    /**
     * How many bytes the connections may hold together: what was received of messages that are not complete, and what waits to be
     * written, but for what was published. Beyond it those are ended that hold the most, with WSFRAME_ERROR_MEMORY. 0 for as many
     * as there are.
     */
    uint64_t max_memory;
    /**
     * How many clients are let in from one address at a time, of IPv6 from one network of 64 bits; others are turned away. 0 for
     * any number. From Unix sockets there may be any number.
     */
    uint32_t max_per_address;
    /**
     * 0.
     */
    uint32_t reserved;
} wsframe_hub_config;

/**
 * What a hub has done so far. 136 bytes in this version.
 */
typedef struct wsframe_stats {
    /**
     * How many connections there are now, those included whose opening handshake is not done or that are just ending.
     */
    uint64_t connections;
    /**
     * How many of them are not open yet.
     */
    uint64_t opening;
    /**
     * How many of them are closing, or have ended while WSFRAME_EVENT_GONE is still to come.
     */
    uint64_t closing;
    /**
     * From how many of them nothing is read: wsframe_hub_pause() was called, or they do not take what they are sent.
     */
    uint64_t paused;
    /**
     * How many bytes wait to be written to them; what was published is counted for each of them.
     */
    uint64_t waiting_len;
    /**
     * How many clients were let in.
     */
    uint64_t accepted;
    /**
     * How many clients were turned away: because there was no memory for them, their address had max_per_address already, or
     * they did not come by a proxy although WSFRAME_LISTEN_PROXY says so.
     */
    uint64_t refused;
    /**
     * How often nobody was let in for a second, or until somebody left, because the system had no descriptor or memory left.
     */
    uint64_t accept_pauses;
    /**
     * How many messages have come, each piece counted with WSFRAME_CONFIG_PIECES.
     */
    uint64_t messages_received;
    /**
     * How many messages were sent by functions of the hub, each piece counted, and each receiver.
     */
    uint64_t messages_sent;
    /**
     * How many bytes have come from the sockets.
     */
    uint64_t bytes_received;
    /**
     * How many bytes went to the sockets.
     */
    uint64_t bytes_sent;
    /**
     * How many messages were not sent because more waited than high_water_len.
     */
    uint64_t dropped;
    /**
     * How often reading from a peer paused because it did not take what it was sent.
     */
    uint64_t read_pauses;
    /**
     * How many calls of wsframe_hub_poll() there were.
     */
    uint64_t polls;
    /**
     * How many microseconds these have taken, without the waiting: what the hub does.
     */
    uint64_t busy_us;
    /**
     * How many microseconds were between them: what the application does.
     */
    uint64_t application_us;
} wsframe_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a connection and writes its handle to *connection. role is WSFRAME_ROLE_SERVER or WSFRAME_ROLE_CLIENT; config may
 * be NULL for the defaults. A server then waits for a request, a client for wsframe_connection_request().
 *
 * The handle lives until wsframe_connection_free(). An open connection that nothing is happening on takes at most
 * 256 bytes of memory, and once compressed messages were exchanged as many more as the next may refer to: see
 * server_max_window_bits and client_max_window_bits of the config. What compresses them is shared by the connections of a
 * thread; only while a compressed message has come in part, its connection has an inflater of 68 KB to itself.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, role is another number, or the config is wrong, of which
 * wsframe_why() says how; WSFRAME_ERROR_MEMORY.
 *
 * config is NULL or points to a config, connection to a pointer that can be written.
 */
ptrdiff_t wsframe_connection_new(uint32_t role,
                                 const struct wsframe_config *config,
                                 struct wsframe_connection **connection);

/**
 * Frees a connection and all that it lent. NULL does nothing, and neither does a connection that a hub has lent. No call may
 * be running on it.
 *
 * connection is NULL, or came from wsframe_connection_new() and was not freed, or is lent by a hub.
 */
void wsframe_connection_free(struct wsframe_connection *connection);

/**
 * Returns how far the connection has come: one of WSFRAME_STATE_*.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if it is NULL, WSFRAME_ERROR_STATE if it is dead or another call is running on it.
 *
 * connection is a live handle.
 */
ptrdiff_t wsframe_connection_state(const struct wsframe_connection *connection);

/**
 * Returns a sentence for the log that says why the connection failed, to the exact cause: what the peer did wrong or did
 * not do in time, or that memory ran out; NULL if it has not failed. The string is static.
 *
 * connection is a live handle.
 */
const char *wsframe_connection_error(const struct wsframe_connection *connection);

/**
 * Writes to *subprotocol where the name of the subprotocol is that both ends speak, and returns its length; NULL and 0 if
 * they agreed on none. It lives as long as the connection.
 *
 * Errors: as wsframe_connection_state().
 *
 * connection is a live handle, subprotocol a pointer that can be written.
 */
ptrdiff_t wsframe_connection_subprotocol(const struct wsframe_connection *connection,
                                         const void **subprotocol);

/**
 * Writes to *deflate what both ends agreed on for compressed messages and returns 1; returns 0 and writes nothing if
 * messages are not compressed.
 *
 * Errors: as wsframe_connection_state().
 *
 * connection is a live handle, deflate a record that can be written.
 */
ptrdiff_t wsframe_connection_deflate(const struct wsframe_connection *connection,
                                     struct wsframe_deflate *deflate);

/**
 * Puts a client's request into the output (RFC 6455 section 4.1). host is the value of the Host field, target the path
 * and query, which begins with a slash. WSFRAME_EVENT_OPEN tells that the server has accepted, WSFRAME_EVENT_ERROR that it
 * has not.
 *
 * Returns how many bytes of output wait.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if host is no name or address with a port, or target does not begin with a slash or has
 * anything but visible ASCII characters, or a #; WSFRAME_ERROR_STATE for a server or a second request; WSFRAME_ERROR_MEMORY;
 * WSFRAME_ERROR_IO if the system gives no random key.
 *
 * connection is a live handle, host and target have their lengths.
 */
ptrdiff_t wsframe_connection_request(struct wsframe_connection *connection,
                                     const void *host,
                                     size_t host_len,
                                     const void *target,
                                     size_t target_len);

/**
 * Adds a field to a client's request or a server's response, before it is written: directly after
 * wsframe_connection_new(), or after WSFRAME_EVENT_REQUEST.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if name is no token or value has a control character, so neither can smuggle in another
 * field, or if the field is one that the library writes itself: Host, Connection, Upgrade, Content-Length,
 * Transfer-Encoding, Sec-WebSocket-*. WSFRAME_ERROR_STATE if it is too late; not if the connection is over.
 * WSFRAME_ERROR_MEMORY.
 *
 * connection is a live handle, name and value have their lengths.
 */
ptrdiff_t wsframe_connection_add_field(struct wsframe_connection *connection,
                                       const void *name,
                                       size_t name_len,
                                       const void *value,
                                       size_t value_len);

/**
 * Lets in the client of a WSFRAME_EVENT_REQUEST. subprotocol is one that it offered; if subprotocol_len is 0, the
 * config's list decides. flags is 0, or WSFRAME_ACCEPT_WITHOUT_DEFLATE to do without permessage-deflate for this client
 * although the config has it.
 *
 * Writes to *batch, as wsframe_connection_receive() does: WSFRAME_EVENT_OPEN, and what the client has sent since.
 *
 * Returns the number of events; 0 if the connection is over meanwhile.
 *
 * Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT if the subprotocol was not offered or flags has an
 * unknown bit; WSFRAME_ERROR_MEMORY. The request still waits then.
 *
 * connection is a live handle, subprotocol has its length, batch points to a record that can be written.
 */
ptrdiff_t wsframe_connection_accept(struct wsframe_connection *connection,
                                    const void *subprotocol,
                                    size_t subprotocol_len,
                                    uint32_t flags,
                                    struct wsframe_batch *batch);

/**
 * Answers a WSFRAME_EVENT_REQUEST or WSFRAME_EVENT_HTTP with an HTTP status from 200 to 599, the fields that were added,
 * and a body: a page, or why the client is refused. A request with HEAD is told the length of the body only. The connection
 * is closed then.
 *
 * Returns how many bytes of output wait; 0 if the connection is over meanwhile.
 *
 * Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT for another status, WSFRAME_ERROR_MEMORY.
 *
 * connection is a live handle, body has its length.
 */
ptrdiff_t wsframe_connection_respond(struct wsframe_connection *connection,
                                     uint32_t status,
                                     const void *body,
                                     size_t body_len);

/**
 * Writes to *target where the path and query of the request are, for instance /chat?room=1, and returns their length. A
 * client that sent a whole address, as behind some proxies, is taken to mean the path in it. A server has them from
 * WSFRAME_EVENT_REQUEST or _HTTP until the request is answered, and as long as the batch with WSFRAME_EVENT_OPEN lives; with
 * WSFRAME_CONFIG_START_OPEN always, if the config had them. Else *target is NULL and 0 is returned.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL, WSFRAME_ERROR_STATE if the connection is dead or another call is
 * running on it.
 *
 * connection is a live handle, target a pointer that can be written.
 */
ptrdiff_t wsframe_connection_target(const struct wsframe_connection *connection,
                                    const void **target);

/**
 * Writes to *value where the value of the first field called name is, whatever the case of its letters, and returns its
 * length. It is in the head of the request, or of the response for a client, and lives as long as
 * wsframe_connection_target() says, for a client as long as the batch with WSFRAME_EVENT_OPEN or _ERROR; else, if there is
 * no such field, or if it is empty, *value is NULL and 0 is returned.
 *
 * Errors: as wsframe_connection_target().
 *
 * connection is a live handle, name has its length, value is a pointer that can be written.
 */
ptrdiff_t wsframe_connection_field(const struct wsframe_connection *connection,
                                   const void *name,
                                   size_t name_len,
                                   const void **value);

/**
 * Writes to *field the name and the value of a field of that head by its number, the first has 0: to go through all of them,
 * in their order and with those that stand there more than once.
 *
 * Returns 1, or 0 if there are not so many; *field has no bytes then.
 *
 * Errors: as wsframe_connection_target().
 *
 * connection is a live handle, field points to a record that can be written.
 */
ptrdiff_t wsframe_connection_field_at(const struct wsframe_connection *connection,
                                      size_t number,
                                      struct wsframe_field *field);

/**
 * Ends a turn of the loop, in one: says that the first sent bytes of the output have been written, and what time it is;
 * writes to *output what is to be written to the peer now, and in how many milliseconds at the latest to call again. Call
 * it until it returns 0 or the socket takes no more, and when the time is over that it has returned.
 *
 * now_ms are milliseconds from any start that do not go back. When the peer has been silent for ping_interval_ms, a ping is
 * put into the output; it is given up when it does not answer in time, counted from when the ping was written. Events and
 * data that were lent are given back.
 *
 * output->wait_ms of 0 says that TCP is to be closed: all is said and written, or the peer had its time. close() alone
 * could destroy what is on its way to the peer: shut down the sending side, read until the peer has closed its own, for a
 * short time at most, and then close.
 *
 * After WSFRAME_EVENT_CLOSE or WSFRAME_EVENT_ERROR the output ends with the close frame that answers it: what answers the
 * messages before that event is sent before this call.
 *
 * What is lent is in one place, and lives until the next call that sends on this connection, or frees it. A large prepared
 * message is a place of its own: see wsframe_connection_parts() for one write of all. Hosts whose write takes all that it
 * is given, such as asyncio's, pass SIZE_MAX (WSFRAME_ALL) for sent: then what is lent counts as written, needs no second
 * call unless output->flags has WSFRAME_OUTPUT_MORE, and lives until the next call of this function in the same thread,
 * on whatever connection.
 *
 * *output is always written; it has no bytes if the call fails.
 *
 * Returns how many bytes are to be written now.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if less than sent waits, or a pointer is NULL; WSFRAME_ERROR_STATE if the connection is
 * dead, another call is running on it, or it is a hub's; with WSFRAME_ALL WSFRAME_ERROR_MEMORY.
 *
 * connection is a live handle, output points to a record that can be written.
 */
ptrdiff_t wsframe_connection_output(struct wsframe_connection *connection,
                                    size_t sent,
                                    uint64_t now_ms,
                                    struct wsframe_output *output);

/**
 * Writes to the first of count records at parts where all the output is, in order, for one writev() of it: a wsframe_part is
 * laid out as a struct iovec. Call it after wsframe_connection_output(), and tell the next one how much was written.
 *
 * Returns how many records were written, 0 if nothing waits. There may be more output than count parts.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, or parts is and count is not 0; WSFRAME_ERROR_STATE if the connection is
 * dead, another call is running on it, or it is a hub's.
 *
 * connection is a live handle, parts points to count records that can be written.
 */
ptrdiff_t wsframe_connection_parts(const struct wsframe_connection *connection,
                                   struct wsframe_part *parts,
                                   size_t count);

/**
 * Returns how many bytes of output wait to be written. A server that does not want to keep much for who does not read stops
 * reading from that peer until it is 0, or small; and messages are taken until it is above the config's high_water_len.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, WSFRAME_ERROR_STATE if it is dead or another call is running on it.
 *
 * connection is a live handle.
 */
ptrdiff_t wsframe_connection_waiting(const struct wsframe_connection *connection);

/**
 * Takes in_len bytes that were read from the peer, in pieces of any size, and writes to *batch what happened: events, and
 * their data. What is to be answered is in wsframe_connection_output().
 *
 * One call delivers no more than about 1 MiB beyond a single message, nor more than 4,094 events. If there is more, the
 * batch has WSFRAME_BATCH_MORE: call again, with in_len 0 or with what was read since.
 *
 * *batch is always written, and has no events if the call fails or nothing has happened yet. Its events and data live
 * until the next receive, accept, gone, output or free on this connection. Events have the order in which things happened;
 * after WSFRAME_EVENT_REQUEST, _HTTP, _CLOSE and _ERROR there is none in the same batch.
 *
 * Returns the number of events.
 *
 * What the peer does wrong is not an error of this call: it is the last event, WSFRAME_EVENT_ERROR, after all that was
 * valid before it. What comes after it or after WSFRAME_EVENT_CLOSE is ignored.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL, WSFRAME_ERROR_STATE if the connection is dead or another call is
 * running on it or it is a hub's, WSFRAME_ERROR_MEMORY: nothing was received then.
 *
 * connection is a live handle, in points to in_len readable bytes, batch to a record that can be written.
 */
ptrdiff_t wsframe_connection_receive(struct wsframe_connection *connection,
                                     const void *in,
                                     size_t in_len,
                                     struct wsframe_batch *batch);

/**
 * As wsframe_connection_receive(), but in may be changed: payloads that lie whole in it are unmasked there, without a
 * copy. Their events have WSFRAME_DATA_IN_PLACE, and their offsets count from in; the data of the others are those of the
 * batch. For languages in which a buffer can be written to.
 *
 * Returns and errors as wsframe_connection_receive().
 *
 * connection is a live handle, in points to in_len bytes that can be read and written, batch to a record that can be
 * written.
 */
ptrdiff_t wsframe_connection_receive_in_place(struct wsframe_connection *connection,
                                              void *in,
                                              size_t in_len,
                                              struct wsframe_batch *batch);

/**
 * Says that TCP has ended: the peer closed it, it broke, or the program gives it up. The batch has one last event,
 * WSFRAME_EVENT_GONE, with the close code of the closing handshake if it was done, and else 1006; a second call has none.
 * Nothing is received or sent after it, and all memory but the handle's own is given back, at the latest with the next call
 * of wsframe_connection_output() or _free().
 *
 * Returns the number of events.
 *
 * Errors: as wsframe_connection_receive().
 *
 * connection is a live handle, batch points to a record that can be written.
 */
ptrdiff_t wsframe_connection_gone(struct wsframe_connection *connection,
                                  struct wsframe_batch *batch);

/**
 * Puts a message into the output. opcode is WSFRAME_OPCODE_TEXT or _BINARY for a message, whose in_len bytes at in must
 * be UTF-8 for text, or WSFRAME_OPCODE_PING or _PONG with at most 125 bytes. The kind of an event will do. Pings are
 * answered without it, unless the config has WSFRAME_CONFIG_MANUAL_PONG.
 *
 * opcode | WSFRAME_OPCODE_MORE is a piece of a message, which becomes a frame of its own (RFC 6455 section 5.4). All pieces of
 * a message have its opcode, and the last one no MORE. Text may be cut anywhere. Pings, pongs and close may come between
 * them, other messages not.
 *
 * If both ends have agreed to compress, a message of at least the config's deflate_min_len is compressed if that makes it
 * shorter, one in pieces always; opcode | WSFRAME_OPCODE_PLAIN or opcode | WSFRAME_OPCODE_COMPRESSED decides otherwise for
 * this one, with its first piece. What goes to many connections is compressed once by wsframe_message_new().
 *
 * Returns how many bytes of output wait, at least 2. Returns 0 if the connection is over, whoever ended it, and nothing is
 * sent any more. What answers messages that came together with the end can still be sent until
 * wsframe_connection_output() is called, and a pong while the peer's close frame is awaited.
 *
 * Errors: WSFRAME_ERROR_SPACE if more output waits already than high_water_len: the peer does not take what it was sent. Send
 * again when wsframe_connection_waiting() is less, or do without. WSFRAME_ERROR_STATE if the connection is not open yet, or
 * while pieces of another message are not finished. WSFRAME_ERROR_ARGUMENT for another opcode, text that is not UTF-8, a
 * ping or pong that is longer or has MORE, PLAIN or COMPRESSED, or a NULL pointer. WSFRAME_ERROR_MEMORY;
 * WSFRAME_ERROR_IO if a client gets no random masking key from the system. Nothing is sent then.
 *
 * connection is a live handle, in points to in_len readable bytes, which may be data of an event, but not output.
 */
ptrdiff_t wsframe_connection_send(struct wsframe_connection *connection,
                                  uint32_t opcode,
                                  const void *in,
                                  size_t in_len);

/**
 * Puts count messages into the output, as wsframe_connection_send() does with each, for many small messages with one call.
 * They stand one behind the other at in; lens are their count lengths. opcode is without WSFRAME_OPCODE_MORE.
 *
 * Returns how many messages were put there; 0 if the connection is over. That is less than count if more output waits than
 * high_water_len, or the next message cannot be sent; a call that begins with it returns the error.
 *
 * Errors: as wsframe_connection_send(), for the first of them. WSFRAME_ERROR_ARGUMENT if a pointer is NULL.
 *
 * connection is a live handle, lens points to count lengths, in to as many readable bytes as they sum up to.
 */
ptrdiff_t wsframe_connection_send_many(struct wsframe_connection *connection,
                                       uint32_t opcode,
                                       const void *in,
                                       const size_t *lens,
                                       size_t count);

/**
 * Puts a prepared message into the output; compressed if it is, and if both ends of this connection have agreed to
 * compress. A server does not copy what is long: connections share it until it is written, also after
 * wsframe_message_free().
 *
 * Returns and errors as wsframe_connection_send().
 *
 * connection and message are live handles.
 */
ptrdiff_t wsframe_connection_send_message(struct wsframe_connection *connection,
                                          const struct wsframe_message *message);

/**
 * Puts a close frame into the output (RFC 6455 section 7.1.2). Nothing more can be sent then; what still comes is received
 * until the peer's close frame. code is a close code that may be sent, or 1005 for a frame without one; reason is UTF-8 of
 * at most 123 bytes.
 *
 * Returns how many bytes of output wait; 0 if the connection is over already, or was closed before.
 *
 * Errors: WSFRAME_ERROR_STATE if the connection is not open yet; WSFRAME_ERROR_ARGUMENT for another code, a longer reason,
 * or one that is not UTF-8; WSFRAME_ERROR_MEMORY and WSFRAME_ERROR_IO as wsframe_connection_send().
 *
 * connection is a live handle, reason points to reason_len readable bytes.
 */
ptrdiff_t wsframe_connection_close(struct wsframe_connection *connection,
                                   uint32_t code,
                                   const void *reason,
                                   size_t reason_len);

/**
 * Returns the version of the library that was loaded: major * 65536 + minor * 256 + patch.
 *
 * WSFRAME_VERSION is the version of the header. A program fits the library if the major numbers are equal and the
 * library's version is not the lower one.
 */
uint32_t wsframe_version(void);

/**
 * Returns an English sentence for the log that says what a return value below 0 means. The string is static and ends
 * with NUL. It is never NULL: for 0 and more the sentence says that there is no error, for a number that is no
 * WSFRAME_ERROR_* that it is unknown.
 */
const char *wsframe_strerror(ptrdiff_t error);

/**
 * Returns an English sentence for the log that says why this thread's last call failed that returned less than 0, to the
 * exact cause, where wsframe_strerror() only knows the kind. The string is static and ends with NUL; NULL if no call has
 * failed in this thread.
 */
const char *wsframe_why(void);

/**
 * Returns the close code that tells the peer of an error (RFC 6455 section 7.4.1): 1002, 1007, 1008 or 1009 for its own
 * faults, 1011 for WSFRAME_ERROR_MEMORY and _INTERNAL. Returns 0 where no close frame is due: for what is no error, for
 * WSFRAME_ERROR_HANDSHAKE, which is answered with an HTTP status, and for the other errors of the call.
 */
uint16_t wsframe_close_code(ptrdiff_t error);

/**
 * Reads the frame header at the start of in, which holds in_len received bytes, into *header (RFC 6455 section 5.2).
 *
 * Returns the length of the header, 2 to 14; the payload begins there. Returns 0 if in may be the start of a header but
 * more bytes are needed; call again with what was there and what has come since. The payload need not have arrived:
 * compare header->payload_len with your limit before you wait for it. The RSV bits and the MASK bit are reported, not
 * judged: a server refuses a frame without MASK, and RSV bits without an extension.
 *
 * Errors: WSFRAME_ERROR_PROTOCOL if the opcode is reserved, a control frame is fragmented or longer than 125 bytes, or
 * the length is not in its shortest form or above 2^63-1; it may come before the header is complete.
 * WSFRAME_ERROR_ARGUMENT if header is NULL, or in is NULL and in_len is not 0.
 *
 * in points to in_len readable bytes, header to a record that can be written.
 */
ptrdiff_t wsframe_header_parse(const void *in,
                               size_t in_len,
                               struct wsframe_header *header);

/**
 * Writes a frame header to out, which has room for out_cap bytes (RFC 6455 section 5.2).
 *
 * Takes payload_len, opcode, flags and, if flags has WSFRAME_HEADER_MASK, mask_key from *header; header_len is ignored,
 * so that a parsed header can be built again. The length takes its shortest form. A client sends this header with a
 * fresh random masking key, and behind it the payload masked with wsframe_unmask(). A server that has a large payload
 * sends header and payload from where they are (writev); for others wsframe_frame_build() does both.
 *
 * Returns how many bytes were written, 2 to 14.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if header is NULL, out is NULL and out_cap is not 0, the opcode is reserved, flags has
 * an unknown bit, reserved is not 0, payload_len is above 2^63-1, or a control frame has no FIN or more than 125 bytes.
 * WSFRAME_ERROR_SPACE if out_cap is too small; 14 always is enough.
 *
 * header points to a record, out to out_cap bytes that can be written.
 */
ptrdiff_t wsframe_header_build(const struct wsframe_header *header,
                               void *out,
                               size_t out_cap);

/**
 * Writes a server's frame, which has no masking key, to out (RFC 6455 section 5.2): its header, then the payload_len
 * bytes at payload.
 *
 * first_byte is the first byte on the wire: 0x81 for a whole text message, or with the constants
 * WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_TEXT. A message in several frames starts with its opcode without FIN, goes on with
 * WSFRAME_OPCODE_CONTINUATION and ends with WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_CONTINUATION.
 *
 * Returns how many bytes were written, at most payload_len + WSFRAME_FRAME_OVERHEAD. For a client's frame, or to save the
 * copy of a large payload, see wsframe_header_build().
 *
 * Errors: WSFRAME_ERROR_SPACE if out_cap is too small. WSFRAME_ERROR_ARGUMENT if first_byte is above 255 or has a reserved
 * opcode, a control frame has no FIN or more than 125 bytes, payload and out overlap, or one of them is NULL and its
 * length is not 0.
 *
 * payload points to payload_len readable bytes, out to out_cap bytes that can be written.
 */
ptrdiff_t wsframe_frame_build(uint32_t first_byte,
                              const void *payload,
                              size_t payload_len,
                              void *out,
                              size_t out_cap);

/**
 * Writes a server's frame for each of count payloads, one behind the other, to out. As wsframe_frame_build(), but for many
 * small messages with one call. The payloads stand one behind the other at in; lens are their count lengths.
 *
 * Returns how many bytes were written, for each at most its length + WSFRAME_FRAME_OVERHEAD.
 *
 * Errors: as wsframe_frame_build().
 *
 * lens points to count lengths, in to as many readable bytes as they sum up to, out to out_cap bytes that can be written.
 */
ptrdiff_t wsframe_frames_build(uint32_t first_byte,
                               const void *in,
                               const size_t *lens,
                               size_t count,
                               void *out,
                               size_t out_cap);

/**
 * Computes the Sec-WebSocket-Accept value that answers a client's Sec-WebSocket-Key (RFC 6455 section 4.2.2).
 *
 * key is the value of that field, without the white space around it. The answer is written to out without a NUL behind
 * it.
 *
 * Returns 28, the length of the answer.
 *
 * Errors: WSFRAME_ERROR_HANDSHAKE unless key is the base64 of 16 bytes: answer with HTTP status 400.
 * WSFRAME_ERROR_SPACE if out_cap is below 28. WSFRAME_ERROR_ARGUMENT if key or out is NULL and its length is not 0.
 * WSFRAME_ERROR_INTERNAL as the seventh rule above says.
 *
 * key points to key_len readable bytes, out to out_cap bytes that can be written.
 */
ptrdiff_t wsframe_accept_key(const void *key,
                             size_t key_len,
                             void *out,
                             size_t out_cap);

/**
 * Computes the response to the opening handshake whose head is the in_len bytes at in, for hosts that have read it
 * themselves: "GET /chat HTTP/1.1", the fields, and the blank line, each line ending with CR LF. config may be NULL for
 * the defaults. The connection then starts with WSFRAME_CONFIG_START_OPEN, and with the extensions of the response.
 *
 * Returns the length of the response. It lets the client in if its status, at out + 9, is 101; other responses refuse,
 * and TCP is to be closed after them.
 *
 * Errors: WSFRAME_ERROR_HANDSHAKE if in is not a head up to its blank line and nothing else. WSFRAME_ERROR_STATE if the
 * config has WSFRAME_CONFIG_ASK. WSFRAME_ERROR_SPACE if out_cap is too
 * small; 1,024 is enough without subprotocols of unusual length. WSFRAME_ERROR_ARGUMENT for a wrong config, or if a pointer
 * is NULL and its length is not 0.
 *
 * in points to in_len readable bytes, config is NULL or points to a config, out to out_cap bytes that can be written.
 */
ptrdiff_t wsframe_handshake_answer(const void *in,
                                   size_t in_len,
                                   const struct wsframe_config *config,
                                   void *out,
                                   size_t out_cap);

/**
 * Computes the Sec-WebSocket-Extensions of a response, for hosts that write it themselves (RFC 7692 section 5). in are the
 * in_len bytes of that field of the request, several of them joined with commas. What is written goes into the response,
 * and into the extensions of the config with which the connection then starts. The config has WSFRAME_CONFIG_DEFLATE.
 *
 * Returns how many bytes were written; 0 says that the response must not have the field: nothing was offered that can be
 * accepted, or the config does not want it.
 *
 * Errors: WSFRAME_ERROR_HANDSHAKE if in is no list of extensions. WSFRAME_ERROR_SPACE if out_cap is too small; 128 always
 * is enough. WSFRAME_ERROR_ARGUMENT for a wrong config, or if a pointer is NULL and its length is not 0.
 *
 * in points to in_len readable bytes, config is NULL or points to a config, out to out_cap bytes that can be written.
 */
ptrdiff_t wsframe_extensions_answer(const void *in,
                                    size_t in_len,
                                    const struct wsframe_config *config,
                                    void *out,
                                    size_t out_cap);

/**
 * Makes a hub and writes its handle to *hub. config may be NULL for the defaults. It has half a megabyte of memory for what is
 * received on all its connections, and a connection that nothing is happening on takes some 256 bytes beside.
 *
 * The handle lives until wsframe_hub_free().
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL or the config's struct_size is wrong; WSFRAME_ERROR_IO if the system has no
 * descriptor for it; WSFRAME_ERROR_MEMORY.
 *
 * config is NULL or points to a config, hub to a pointer that can be written.
 */
ptrdiff_t wsframe_hub_new(const struct wsframe_hub_config *config,
                          struct wsframe_hub **hub);

/**
 * Frees a hub, all that it lent, and its connections, without a word to their peers: see wsframe_hub_stop(). NULL does nothing.
 * No call may be running on it. In a process that was forked from the hub's it closes the descriptors that this process has,
 * and disturbs nobody.
 *
 * hub is NULL or came from wsframe_hub_new() and was not freed.
 */
void wsframe_hub_free(struct wsframe_hub *hub);

/**
 * Waits until something has happened on a connection, and writes it to *batch; for timeout_ms milliseconds at most, 0 for not
 * at all, WSFRAME_NEVER for as long as it takes. Before that it writes what was sent since the last call.
 *
 * Each event has the id of its connection. Their offsets count from batch->data, also with what was received in place: there is
 * no WSFRAME_DATA_IN_PLACE. The events of one connection have the order in which things happened. After the last one,
 * WSFRAME_EVENT_GONE, its id stands for nobody; each connection that there was an event of has exactly one. Of a client that
 * leaves before its request is complete there is none.
 *
 * Pings are answered, clients are let in or refused, and who had his time is given up, as with a connection of your own; see
 * wsframe_config. A client that does not take what it is sent is not read from while more than half of high_water_len waits: so
 * there is always room for an answer to each message. When a message found none, WSFRAME_EVENT_DRAIN tells when there is room again.
 * One call reads no more than 128 KiB from each connection, or 1 MiB of a message that is longer, so that a peer that sends much
 * does not keep the others waiting, and returns about half a megabyte or 4,096 events; call again for the rest. A long message that came in parts is a batch alone, with its data where they were put together.
 *
 * WSFRAME_EVENT_TIMER and _READY are of no connection: see wsframe_hub_timer() and wsframe_hub_watch().
 *
 * The call also returns when a signal has come and when wsframe_hub_wake() was called. *batch is always written. Events and data
 * live until the next poll or free.
 *
 * Returns the number of events, which may be 0. batch->flags has WSFRAME_BATCH_STOPPED when the hub was stopped and the last
 * connection is gone.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead, another call is running on it, or it
 * is not of this thread or process; WSFRAME_ERROR_IO if the system does not let it wait.
 *
 * hub is a live handle, batch points to a record that can be written.
 */
ptrdiff_t wsframe_hub_poll(struct wsframe_hub *hub,
                           uint32_t timeout_ms,
                           struct wsframe_batch *batch);

/**
 * Ends a hub in good order: lets nobody in any more, closes all connections with 1001, and answers requests that wait with 503.
 * Go on to poll until the batch has WSFRAME_BATCH_STOPPED: each connection that is known has its WSFRAME_EVENT_GONE before.
 * Connections that have not ended in grace_ms milliseconds are given up. A second call only sets a new time.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_stop(struct wsframe_hub *hub,
                           uint32_t grace_ms);

/**
 * Writes to *stats what the hub has done so far: its first stats_size bytes, sizeof(wsframe_stats), so that a library with more to
 * tell fits a program with an older header. It looks at each connection, for which it takes some microseconds for a thousand
 * of them: ask once a second, if you like.
 *
 * Returns how many bytes were written.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
 *
 * hub is a live handle, stats points to stats_size bytes that can be written.
 */
ptrdiff_t wsframe_hub_stats(const struct wsframe_hub *hub,
                            struct wsframe_stats *stats,
                            size_t stats_size);

/**
 * Lends the connection with this id until the next poll: writes its handle to *connection. What can be done with a connection
 * can be done with it: wsframe_connection_accept(), _respond(), _add_field(), _target(), _field(), _field_at(), _subprotocol(),
 * _deflate(), _error(), _state(), _waiting(), _send() with pieces and all, _send_many(), _send_message() and _close(). What the
 * hub does itself it does not let others do: wsframe_connection_receive(), _receive_in_place(), _output(), _parts() and _gone()
 * return WSFRAME_ERROR_STATE, and wsframe_connection_free() does nothing.
 *
 * The events of wsframe_connection_accept() are not among those of a poll. If it says that there is more
 * (WSFRAME_BATCH_MORE), that comes with the next one.
 *
 * Returns 1, or 0 if the connection is gone: *connection is not written then.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead, another call is running on it, or it
 * is not of this thread or process; WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, connection points to a pointer that can be written.
 */
ptrdiff_t wsframe_hub_connection(struct wsframe_hub *hub,
                                 uint64_t id,
                                 struct wsframe_connection **connection);

/**
 * Reads no more from the connection with this id if is_paused is not 0, and reads on if it is 0. What was read already is still
 * delivered. The peer is not given up meanwhile for a ping that it does not answer, and that it is gone shows later.
 *
 * Returns 1, or 0 if the connection is gone.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_pause(struct wsframe_hub *hub,
                            uint64_t id,
                            uint32_t is_paused);

/**
 * Ends TCP of the connection with this id at once, without a word to the peer. To close in good order there is
 * wsframe_connection_close(). WSFRAME_EVENT_GONE follows, if there was an event of the connection before.
 *
 * Returns 1, or 0 if TCP had ended already.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection().
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_terminate(struct wsframe_hub *hub,
                                uint64_t id);

/**
 * Writes to *address where the text is that says where the peer is, and returns its length: "192.0.2.1:50000",
 * "[2001:db8::1]:50000", or "unix:" with the path of its socket if that has one. It is NULL and 0 if the connection is not
 * connected yet or any more. The text has no NUL at its end, and lives until the next call on the hub.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection(); WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, address points to a pointer that can be written.
 */
ptrdiff_t wsframe_hub_address(struct wsframe_hub *hub,
                              uint64_t id,
                              const void **address);

/**
 * Keeps a pointer with the connection with this id, for wsframe_hub_user(): to what the application knows of it. The hub does not
 * look at it.
 *
 * Returns 1, or 0 if the connection is gone.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection(); WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_set_user(struct wsframe_hub *hub,
                               uint64_t id,
                               void *user);

/**
 * Returns the pointer that wsframe_hub_set_user() has kept; NULL if there is none, or the connection is gone. Still there while
 * the batch lives that has its WSFRAME_EVENT_GONE.
 *
 * hub is a live handle.
 */
void *wsframe_hub_user(const struct wsframe_hub *hub,
                       uint64_t id);

/**
 * Sends a message on the connection with this id, as wsframe_connection_send() does: opcode is that of an event, or a piece, or
 * says whether to compress. It is written with the next poll, together with what else is sent until then; of 16 KiB or more
 * as much as possible at once, from where it is.
 *
 * Returns how many bytes of output it takes to send it and what waits already, at least 2. Returns 0 if the connection is over
 * or gone, or is not open yet.
 *
 * Errors: as wsframe_connection_send(), WSFRAME_ERROR_STATE only while the pieces of another message are not finished; WSFRAME_ERROR_STATE
 * if the hub is dead, another call is running on it, or it is not of this thread or process. If memory ends when
 * a part of the message was written, the connection ends with WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, in points to in_len readable bytes, which may be data of an event.
 */
ptrdiff_t wsframe_hub_send(struct wsframe_hub *hub,
                           uint64_t id,
                           uint32_t opcode,
                           const void *in,
                           size_t in_len);

/**
 * Sends count messages, each as wsframe_hub_send() does, with one call: the answers to a whole batch. They stand one behind the
 * other at in; lens are their lengths, and ids say on which connections, which may be there more than once. opcode is without
 * WSFRAME_OPCODE_MORE.
 *
 * What is for a connection that is over or gone, is not open yet, or has more than high_water_len waiting, is left out.
 *
 * Returns how many messages are done with, those that were left out included. That is less than count if the next one cannot be
 * sent, for instance because it is not UTF-8; a call that begins with it returns the error.
 *
 * Errors: as wsframe_hub_send(), for the first of them. WSFRAME_ERROR_ARGUMENT if a pointer is NULL.
 *
 * hub is a live handle, ids and lens point to count numbers, in to as many readable bytes as the lengths sum up to.
 */
ptrdiff_t wsframe_hub_send_many(struct wsframe_hub *hub,
                                const uint64_t *ids,
                                uint32_t opcode,
                                const void *in,
                                const size_t *lens,
                                size_t count);

/**
 * Lets the connection with this id have what is published on a topic, until it ends. A topic has a name of at least one byte,
 * and comes and goes with those who have subscribed to it. A second time does nothing.
 *
 * Returns 1, or 0 if the connection is gone.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if the name is empty or a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead, another call is
 * running on it, or it is not of this thread or process; WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, topic has its length.
 */
ptrdiff_t wsframe_hub_subscribe(struct wsframe_hub *hub,
                                uint64_t id,
                                const void *topic,
                                size_t topic_len);

/**
 * The opposite of wsframe_hub_subscribe(), also for who has not subscribed.
 *
 * Returns and errors as wsframe_hub_subscribe().
 *
 * hub is a live handle, topic has its length.
 */
ptrdiff_t wsframe_hub_unsubscribe(struct wsframe_hub *hub,
                                  uint64_t id,
                                  const void *topic,
                                  size_t topic_len);

/**
 * Returns how many connections have subscribed to a topic; if topic_len is 0, how many connections the hub has.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
 *
 * hub is a live handle, topic has its length.
 */
ptrdiff_t wsframe_hub_subscribers(const struct wsframe_hub *hub,
                                  const void *topic,
                                  size_t topic_len);

/**
 * Sends a text or binary message on all connections that have subscribed to a topic, or on all that are open if topic_len is 0;
 * but not on the one with the id except, which may be 0. The message is checked once, and compressed once for all with whom
 * that was agreed on; what is long is not copied for each. All get what is published on a topic in the same order.
 *
 * opcode is WSFRAME_OPCODE_TEXT or _BINARY, alone or with _PLAIN or _COMPRESSED. Who has more than high_water_len waiting, or for
 * whom memory ends when others have got the message, does not get it, and is counted in wsframe_stats.dropped.
 *
 * Returns on how many connections it is sent.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT for another opcode, text that is not UTF-8, or a NULL pointer; WSFRAME_ERROR_STATE as
 * wsframe_hub_subscribe(); WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, topic has its length, in points to in_len readable bytes, which may be data of an event.
 */
ptrdiff_t wsframe_hub_publish(struct wsframe_hub *hub,
                              const void *topic,
                              size_t topic_len,
                              uint64_t except,
                              uint32_t opcode,
                              const void *in,
                              size_t in_len);

/**
 * Listens at an address: "127.0.0.1:8080", "[::1]:8080", "[::]:8080", which takes IPv4 as well, or "unix:/run/chat.socket". Names
 * are not looked up. Port 0 lets the system choose. The file of a Unix socket that a server has left over is replaced, one at
 * which somebody listens is not; it stays when the hub ends.
 *
 * The clients that come by it are served with this config, which may be NULL for the defaults. flags is 0 or any
 * of WSFRAME_LISTEN_*. Nobody is let in before the next wsframe_hub_poll(). A hub may listen at several addresses.
 *
 * Returns the port, 0 for a Unix socket.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if the address is none, flags has an unknown bit, or the config is wrong, of which wsframe_why()
 * says how; WSFRAME_ERROR_IO if the system refuses, of which errno says why, for instance EADDRINUSE; WSFRAME_ERROR_STATE if the
 * hub was stopped, or is not of this thread or process; WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, address has its length, config is NULL or points to a config.
 */
ptrdiff_t wsframe_hub_listen(struct wsframe_hub *hub,
                             const void *address,
                             size_t address_len,
                             uint32_t flags,
                             const struct wsframe_config *config);

/**
 * Serves a socket that somebody else has opened: one that listens, as a service manager passes it on, or one that is connected.
 * role is WSFRAME_ROLE_SERVER, or WSFRAME_ROLE_CLIENT if this end has connected. For one that listens, flags are as for
 * wsframe_hub_listen(). The hub makes a descriptor of its own for it: close yours whenever you like. Connections have this
 * config, which may be NULL for the defaults.
 *
 * *id is written: the id of the connection, or 0 if the socket listens. A client whose config does not have
 * WSFRAME_CONFIG_START_OPEN is to send its request by wsframe_hub_connection() and wsframe_connection_request().
 *
 * Returns the port at which the socket listens; 0 for a Unix socket or a connection.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if role is another number, flags has an unknown bit, the config is wrong, fd is less than 0 or a pointer is NULL;
 * WSFRAME_ERROR_IO if it is no socket of a stream, or listens for a client; WSFRAME_ERROR_STATE as wsframe_hub_listen();
 * WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, config is NULL or points to a config, id to a number that can be written.
 */
ptrdiff_t wsframe_hub_adopt(struct wsframe_hub *hub,
                            int fd,
                            uint32_t role,
                            uint32_t flags,
                            const struct wsframe_config *config,
                            uint64_t *id);

/**
 * Makes a client's connection to a URL, "wss://example.com/chat?room=1" or "ws://127.0.0.1:8080/", and writes its id to *id. It does
 * not wait: the connection has its events like all others. WSFRAME_EVENT_OPEN tells that the server has accepted,
 * WSFRAME_EVENT_ERROR that it has not. WSFRAME_EVENT_GONE comes in any case in the end, with WSFRAME_ERROR_IO if nobody could be
 * reached, of which wsframe_connection_error() says why, or WSFRAME_ERROR_HANDSHAKE if TLS did not come about: with wss:// the
 * server has to show a certificate for the name in the URL, of somebody whom the system trusts.
 *
 * A name is looked up by threads of the hub's; its addresses are tried one after the other, each for its part of
 * handshake_timeout_ms. If address_len is not 0 the connection goes to that address instead, "127.0.0.1:8080" or
 * "unix:/run/chat.socket", and the URL says only what is asked for there.
 *
 * Until the next wsframe_hub_poll() fields can be added to the request: wsframe_hub_connection(), wsframe_connection_add_field().
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if the URL or the address is none, the config is wrong, of which wsframe_why() says how, or a
 * pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_listen(), and for wss:// if the library was built without TLS;
 * WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle, url and address have their lengths, config is NULL or points to a config, id to a number that can be
 * written.
 */
ptrdiff_t wsframe_hub_connect(struct wsframe_hub *hub,
                              const void *url,
                              size_t url_len,
                              const void *address,
                              size_t address_len,
                              const struct wsframe_config *config,
                              uint64_t *id);

/**
 * From now on TLS is spoken by those who listen at this port, with these certificates, the server's own first and then those that
 * lead to somebody who is trusted, and the private key of the first, in PEM. A second call changes them for clients that are
 * let in from then on: nobody is dropped. What it takes for TLS, some kilobytes for each connection, is allocated by a library
 * that ends the process where memory ends.
 *
 * A client that does not speak TLS is answered in plain HTTP that it should.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if the certificates or the key are none or do not belong together, nobody listens at the port, or
 * a pointer is NULL; WSFRAME_ERROR_STATE if the library was built without TLS, and as wsframe_hub_connection().
 *
 * hub is a live handle, chain and key have their lengths.
 */
ptrdiff_t wsframe_hub_set_certificate(struct wsframe_hub *hub,
                                      uint16_t port,
                                      const void *chain,
                                      size_t chain_len,
                                      const void *key,
                                      size_t key_len);

/**
 * Trusts these certificates, in PEM, to say who a server is when wsframe_hub_connect() goes to wss://, beside those that the system
 * trusts: for a server with a certificate of your own.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if there is none, or a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_set_certificate().
 *
 * hub is a live handle, certificates has its length.
 */
ptrdiff_t wsframe_hub_trust(struct wsframe_hub *hub,
                            const void *certificates,
                            size_t certificates_len);

/**
 * Sets a timer of the application's: when in_ms milliseconds are over wsframe_hub_poll() has a WSFRAME_EVENT_TIMER with this
 * number, which may be any, once. If there is a timer with the number already it is moved; WSFRAME_NEVER stops it.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection(); WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_timer(struct wsframe_hub *hub,
                            uint64_t number,
                            uint32_t in_ms);

/**
 * Watches a descriptor of the application's in the same loop: a pipe, or the socket of a database. While what flags say can be
 * done with it, WSFRAME_WATCH_READ, _WRITE or both, each wsframe_hub_poll() has a WSFRAME_EVENT_READY for it; also when it has
 * ended or is broken. A second call changes what it is watched for. With 0 it is watched no longer, which is to be said before
 * it is closed.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL, fd is less than 0 or flags has an unknown bit; WSFRAME_ERROR_IO if the system
 * cannot wait for it, as for a file, of which errno says why; WSFRAME_ERROR_STATE as wsframe_hub_connection();
 * WSFRAME_ERROR_MEMORY.
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_watch(struct wsframe_hub *hub,
                            int fd,
                            uint32_t flags);

/**
 * Returns a descriptor that can be read from when wsframe_hub_poll() with timeout_ms 0 has something to do, what was sent and
 * what is due included: for a program that has a loop already. Wait for it there, and then poll. Do not read from it or close
 * it; it lives as long as the hub. A poll takes a little longer from the first call of this function on.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_IO if the system has no descriptor for it, or no timer that is one:
 * it has to be Linux; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_fd(struct wsframe_hub *hub);

/**
 * Makes wsframe_hub_poll() return that is waiting, or else the next one. This function may be called from any thread, at any time
 * while the hub lives: it is how other threads say that they have left something to be sent.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE after a fork; WSFRAME_ERROR_IO if the system refuses.
 *
 * hub is a live handle.
 */
ptrdiff_t wsframe_hub_wake(const struct wsframe_hub *hub);

/**
 * Unmasks, or masks, which is the same act, the len bytes at in and writes them to out (RFC 6455 section 5.3). out may be
 * in itself, and is then unmasked in place; else it may not reach into it. The copy costs little more than unmasking in
 * place: use it to move a payload out of a receive buffer.
 *
 * key points to the four bytes of the masking key. offset is the position of in in the payload, for a payload that is
 * worked on piece by piece: 0 for its start.
 *
 * Returns len.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if key is NULL, in or out is NULL and len is not 0, in and out overlap without being the
 * same, or len is above PTRDIFF_MAX.
 *
 * in points to len readable bytes, key to four, out to len bytes that can be written.
 */
ptrdiff_t wsframe_unmask(const void *in,
                         size_t len,
                         const void *key,
                         size_t offset,
                         void *out);

/**
 * Prepares a message for many connections and writes its handle to *message: checks it, and compresses it if the config has
 * WSFRAME_CONFIG_DEFLATE, without a context, which every receiver understands. opcode, without
 * WSFRAME_OPCODE_MORE, and in are those of a message for wsframe_connection_send(); config is that of the connections it is meant for, and may be NULL for the defaults.
 *
 * The handle lives until wsframe_message_free(); in is copied.
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT for another opcode, text that is not UTF-8, a wrong config or a NULL pointer;
 * WSFRAME_ERROR_MEMORY.
 *
 * in points to in_len readable bytes, config is NULL or points to a config, message to a pointer that can be written.
 */
ptrdiff_t wsframe_message_new(uint32_t opcode,
                              const void *in,
                              size_t in_len,
                              const struct wsframe_config *config,
                              struct wsframe_message **message);

/**
 * Frees a message. NULL does nothing. No call may be using it.
 *
 * message is NULL or came from wsframe_message_new() and was not freed.
 */
void wsframe_message_free(struct wsframe_message *message);

/**
 * Checks that the len bytes at in are UTF-8, as the text of a message must be (RFC 6455 section 8.1).
 *
 * Returns how many bytes at the start of in are whole characters. That is len if all of in is UTF-8. If it is less, the
 * last one to three bytes are the start of a character: between the pieces of a message keep them in front of the next
 * piece, at the end of the message treat them as WSFRAME_ERROR_UTF8.
 *
 * Errors: WSFRAME_ERROR_UTF8 if no continuation can make in valid: a byte that does not belong, an over-long form, a
 * surrogate, or more than U+10FFFF. WSFRAME_ERROR_ARGUMENT if in is NULL and len is not 0, or len is above PTRDIFF_MAX.
 * WSFRAME_ERROR_INTERNAL as the seventh rule above says.
 *
 * in points to len readable bytes.
 */
ptrdiff_t wsframe_utf8_check(const void *in,
                             size_t len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WSFRAME_H */

/*
 * GENERATED from src/ffi by `make header`: do not edit.
 */
/*
 * libwsframe speaks WebSocket (RFC 6455, compressed or not: RFC 7692) for programs in any language that can call C. It does
 * no I/O: bytes that were read go in, bytes to be written come out.
 *
 * The connection does all of the protocol. A server's loop, when it has read from a client's socket:
 *
 *     const wsframe_event *event = NULL;
 *     const void *data, *output;
 *     ptrdiff_t events = wsframe_connection_receive(c, in, in_len);
 *     if (events > 0) event = wsframe_connection_events(c);
 *     wsframe_connection_data(c, &data);
 *     for (ptrdiff_t i = 0; i < events; i++, event++)
 *         if (event->kind == WSFRAME_EVENT_TEXT || event->kind == WSFRAME_EVENT_BINARY)      an echo, for instance
 *             wsframe_connection_send(c, event->kind == WSFRAME_EVENT_TEXT ? WSFRAME_OPCODE_TEXT : WSFRAME_OPCODE_BINARY,
 *                                     (const char *)data + event->offset, event->length);
 *     ptrdiff_t output_len = wsframe_connection_output(c, &output);
 *     ssize_t written = send(socket, output, output_len, MSG_NOSIGNAL);
 *     if (written > 0) wsframe_connection_sent(c, written);
 *     ptrdiff_t wait_ms = wsframe_connection_tick(c, now_ms);        call it again after wait_ms at the latest
 *     if (wait_ms == 0) shutdown(socket, SHUT_WR);      then read until the peer closes, two seconds at most, and close()
 *
 * The frame functions below the connection are for those who have a parser, or want to see how it is done. With bytes from a
 * client, after the opening handshake:
 *
 *     wsframe_header header;
 *     ptrdiff_t used = wsframe_header_parse(in, in_len, &header);
 *     if (used < 0) { log(wsframe_strerror(used)); close_with(wsframe_close_code(used)); return; }
 *     if (used == 0) return;                                          read more, then begin again
 *     if (!(header.flags & WSFRAME_HEADER_MASK)) { close_with(1002); return; }
 *     if (header.payload_len > MY_LIMIT) { close_with(1009); return; }
 *     if (in_len - used < header.payload_len) return;                 read more, then begin again
 *     unsigned char *payload = in + used;
 *     wsframe_unmask(payload, header.payload_len, header.mask_key, 0);
 *
 *     ptrdiff_t len = wsframe_frame_build(WSFRAME_HEADER_FIN | WSFRAME_OPCODE_TEXT, text, text_len, out, out_cap);
 *     if (len < 0) return;
 *     send(client, out, len, 0);
 *
 * Rules that hold for every function:
 *
 * 1. What can fail returns ptrdiff_t: 0 or more is a count (0 may mean that more bytes are needed), less than 0 is a
 *    WSFRAME_ERROR_*. From -1 to -31 the call was wrong: mend the program. From -32 down the peer was wrong: end that
 *    connection with wsframe_close_code().
 * 2. Bytes are a void pointer and a length. The pointer may be NULL only where the length is 0; a length above PTRDIFF_MAX
 *    is a WSFRAME_ERROR_ARGUMENT.
 * 3. Names are wsframe_noun_verb. Lengths end in _len, capacities of buffers in _cap; both count bytes.
 * 4. The caller owns what it passes, the library what it returns. Input is read during the call only; output is untouched
 *    when the call fails. An input and an output must not overlap. How long what is lent lives, each function says.
 *    Strings that are returned are static: never free them.
 * 5. Handles are opaque. Records are fixed: a wsframe_header is 16 bytes, a wsframe_event 32, in every version; a
 *    wsframe_config begins with its size and may grow.
 * 6. Enums only name constants. Parameters and fields are plain integers.
 * 7. Nothing unwinds or aborts across this border. The frame functions cannot panic, but for two that call code of which
 *    that cannot be shown, wsframe_accept_key and wsframe_utf8_check. These and the functions of connections, messages and
 *    extensions would catch a panic and return WSFRAME_ERROR_INTERNAL. The connection is then dead: every call but
 *    wsframe_connection_free() returns WSFRAME_ERROR_STATE. The process and its other connections live on.
 * 8. The frame functions have no state and may be called from any thread at any time. A connection may be used from one
 *    thread at a time; different connections never meet. A wsframe_message does not change, and any number of threads may
 *    use it at a time.
 */

#ifndef WSFRAME_H
#define WSFRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * The version of this header: major * 65536 + minor * 256 + patch.
 */
enum { WSFRAME_VERSION = 0x000100 };

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
     * The handle cannot do this now: it failed before, or is closed.
     */
    WSFRAME_ERROR_STATE = -2,
    /**
     * The output buffer is too small. Nothing was written; call again with a larger one.
     */
    WSFRAME_ERROR_SPACE = -3,
    /**
     * Memory could not be allocated.
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
} wsframe_error;

/**
 * What a frame is for (RFC 6455 section 11.8).
 */
typedef enum wsframe_opcode {
    /**
     * The next piece of a fragmented message.
     */
    WSFRAME_OPCODE_CONTINUATION = 0,
    /**
     * A message, or the first piece of one, that is UTF-8 text.
     */
    WSFRAME_OPCODE_TEXT = 1,
    /**
     * A message, or the first piece of one, that is any bytes.
     */
    WSFRAME_OPCODE_BINARY = 2,
    /**
     * Starts or answers the closing handshake.
     */
    WSFRAME_OPCODE_CLOSE = 8,
    /**
     * Asks for a pong with the same payload.
     */
    WSFRAME_OPCODE_PING = 9,
    /**
     * Answers a ping, or says unasked that the peer is alive.
     */
    WSFRAME_OPCODE_PONG = 10,
} wsframe_opcode;

/**
 * Bits of wsframe_header.flags. The upper four are those of a frame's first byte on the wire, so that
 * WSFRAME_HEADER_FIN | WSFRAME_OPCODE_TEXT is also the first byte for wsframe_frame_build().
 */
typedef enum wsframe_header_flag {
    /**
     * The payload is masked; mask_key is valid.
     */
    WSFRAME_HEADER_MASK = 1,
    /**
     * The third reserved bit.
     */
    WSFRAME_HEADER_RSV3 = 16,
    /**
     * The second reserved bit.
     */
    WSFRAME_HEADER_RSV2 = 32,
    /**
     * The first reserved bit; permessage-deflate marks compressed messages with it.
     */
    WSFRAME_HEADER_RSV1 = 64,
    /**
     * This frame ends its message.
     */
    WSFRAME_HEADER_FIN = 128,
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
     * Both close frames were exchanged. Nothing that still comes is looked at. A server closes TCP when the output is
     * written, a client waits for the server to do so, but not forever.
     */
    WSFRAME_STATE_CLOSED = 4,
    /**
     * The peer broke the rules, refused or was refused, or is gone. Close TCP when the output is written.
     */
    WSFRAME_STATE_FAILED = 5,
} wsframe_state;

/**
 * What an event is.
 */
typedef enum wsframe_event_kind {
    /**
     * A client asks to be let in, and the application is to answer; the data are the request's head.
     */
    WSFRAME_EVENT_REQUEST = 1,
    /**
     * A plain HTTP request, and the application is to answer; the data are the request's head.
     */
    WSFRAME_EVENT_HTTP = 2,
    /**
     * The opening handshake is done; the data are the head of the request, or of the response for a client.
     */
    WSFRAME_EVENT_OPEN = 3,
    /**
     * A text message, or a piece of one.
     */
    WSFRAME_EVENT_TEXT = 4,
    /**
     * A binary message, or a piece of one.
     */
    WSFRAME_EVENT_BINARY = 5,
    /**
     * A ping; it has been answered.
     */
    WSFRAME_EVENT_PING = 6,
    /**
     * A pong.
     */
    WSFRAME_EVENT_PONG = 7,
    /**
     * The peer's close frame, with close_code (1005 if it had none); the data are the reason. No event follows.
     */
    WSFRAME_EVENT_CLOSE = 8,
    /**
     * The peer broke the rules: error is the code of the failure, close_code what it is answered, or the HTTP status
     * if the handshake was refused. wsframe_connection_error() has a sentence for the log. The data are the head of the
     * response if a client was refused, else none. No event follows.
     */
    WSFRAME_EVENT_ERROR = 9,
} wsframe_event_kind;

/**
 * Bits of an event's flags.
 */
typedef enum wsframe_event_flag {
    /**
     * A message begins with these data.
     */
    WSFRAME_EVENT_FIRST = 1,
    /**
     * A message ends with these data.
     */
    WSFRAME_EVENT_LAST = 2,
    /**
     * The data are in the input of wsframe_connection_receive_in_place(), not in wsframe_connection_data().
     */
    WSFRAME_EVENT_IN_PLACE = 4,
    /**
     * The message came compressed.
     */
    WSFRAME_EVENT_COMPRESSED = 8,
} wsframe_event_flag;

/**
 * Bits of a config's flags. Each of the last four lets a peer break one rule.
 */
typedef enum wsframe_config_flag {
    /**
     * A server that accepts or refuses each request itself: a request becomes a REQUEST event, which waits for
     * wsframe_connection_accept() or wsframe_connection_refuse(), and plain HTTP an HTTP event, which waits for
     * wsframe_connection_refuse(). Without it the library answers.
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
 * Bits that may be set in the opcode given to wsframe_connection_send(), beside WSFRAME_OPCODE_TEXT or _BINARY, for a say in
 * whether that message is compressed. They do nothing on connections that have not agreed to compress.
 */
typedef enum wsframe_send_flag {
    /**
     * Not compressed, for instance because it has a secret next to what an attacker chose (RFC 7692 section 8).
     */
    WSFRAME_SEND_PLAIN = 256,
    /**
     * Compressed, however short it is, and even if that makes it longer.
     */
    WSFRAME_SEND_COMPRESSED = 512,
} wsframe_send_flag;

/**
 * One WebSocket connection, of a server or a client, without I/O. The page above shows its loop.
 *
 * A connection may be used from one thread at a time and from any thread; different connections never meet. A call
 * while another is running on the same connection returns WSFRAME_ERROR_STATE and does nothing.
 */
typedef struct wsframe_connection wsframe_connection;

/**
 * A message that is checked and compressed once, and sent on many connections.
 *
 * It does not change: any number of threads may send it at the same time. It may be freed as soon as it was sent.
 */
typedef struct wsframe_message wsframe_message;

/**
 * What an application can choose for a connection. All zeroes are the defaults, which are strict, and right for most;
 * set struct_size and change what you want. Nothing it points to is needed after the call it is given to.
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
     * How many bytes of output may wait, headers included; 0 stands for twice max_message_len, so that the answer to the
     * longest message always finds room.
     */
    uint64_t max_output_len;
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
     * How long the opening handshake may take, in milliseconds; 0 stands for 10 seconds.
     */
    uint32_t handshake_timeout_ms;
    /**
     * How long the peer may take to answer a close frame, in milliseconds; 0 stands for 5 seconds.
     */
    uint32_t close_timeout_ms;
    /**
     * After how long a silence a ping is sent, and then how long the peer may be silent still, in milliseconds; 0 stands
     * for 30 seconds.
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
     * The Origins that a server accepts, with commas between them. If there are any, a request needs one of them.
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
     * How far back a server's messages may refer to those before them, as a power of two: 9 to 15; 0 stands for 12. So
     * many bytes, 4,096 for 12, does a connection keep at most.
     */
    uint32_t server_max_window_bits;
    /**
     * The same for a client's messages. A client that does not offer to be asked keeps to 15.
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
} wsframe_config;

/**
 * One thing that happened. 32 bytes, no pointers, in every version of the library.
 */
typedef struct wsframe_event {
    /**
     * Reserved for the server: which connection it was. 0.
     */
    uint64_t connection;
    /**
     * Where the data begin, counted from the start of the data of all events.
     */
    uint64_t offset;
    /**
     * Length of the data in bytes.
     */
    uint64_t length;
    /**
     * A close code, for WSFRAME_EVENT_CLOSE and WSFRAME_EVENT_ERROR; else 0.
     */
    uint16_t close_code;
    /**
     * One of WSFRAME_EVENT_*.
     */
    uint8_t kind;
    /**
     * Any of WSFRAME_EVENT_FIRST, _LAST, _IN_PLACE and _COMPRESSED: the first two for a message that is whole.
     */
    uint8_t flags;
    /**
     * A WSFRAME_ERROR_*, for WSFRAME_EVENT_ERROR; else 0.
     */
    int32_t error;
} wsframe_event;

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
     * Any of WSFRAME_HEADER_*.
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
 * Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, role is another number, or the config has a wrong struct_size, an
 * unknown flag or field, a number out of range, a subprotocol that is no token, or extensions that do not fit the rest.
 *
 * config is NULL or points to a config, connection to a pointer that can be written.
 */
ptrdiff_t wsframe_connection_new(uint32_t role,
                                 const struct wsframe_config *config,
                                 struct wsframe_connection **connection);

/**
 * Frees a connection and all that it lent. NULL does nothing. No call may be running on it.
 *
 * connection is NULL or came from wsframe_connection_new() and was not freed.
 */
void wsframe_connection_free(struct wsframe_connection *connection);

/**
 * Takes in_len bytes that were read from the peer, in pieces of any size.
 *
 * Returns the number of events at wsframe_connection_events(), whose data are in wsframe_connection_data(). What is to be
 * answered is in wsframe_connection_output(). Events and data live until the next receive, accept, tick or free.
 *
 * What the peer does wrong is not an error of this call: it is the last event, WSFRAME_EVENT_ERROR, after all that was
 * valid before it. Nothing is received after it or after WSFRAME_EVENT_CLOSE.
 *
 * Errors: WSFRAME_ERROR_STATE after WSFRAME_EVENT_ERROR. WSFRAME_ERROR_ARGUMENT if a pointer is NULL.
 *
 * connection is a live handle, in points to in_len readable bytes.
 */
ptrdiff_t wsframe_connection_receive(struct wsframe_connection *connection,
                                     const void *in,
                                     size_t in_len);

/**
 * As wsframe_connection_receive(), but in may be changed: payloads that lie whole in it are unmasked there, without a
 * copy. Their events have WSFRAME_EVENT_IN_PLACE, and their offsets count from in; the data of the others are in
 * wsframe_connection_data(). For languages in which a buffer can be written to.
 *
 * Returns and errors as wsframe_connection_receive().
 *
 * connection is a live handle, in points to in_len bytes that can be read and written.
 */
ptrdiff_t wsframe_connection_receive_in_place(struct wsframe_connection *connection,
                                              void *in,
                                              size_t in_len);

/**
 * Returns the events of the last receive or accept, as many as it returned; NULL if the connection is NULL, dead or busy.
 *
 * connection is a live handle.
 */
const struct wsframe_event *wsframe_connection_events(const struct wsframe_connection *connection);

/**
 * Writes to *data where the data of the events are, and returns how many bytes they are.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL, WSFRAME_ERROR_STATE if the connection is dead.
 *
 * connection is a live handle, data a pointer that can be written.
 */
ptrdiff_t wsframe_connection_data(const struct wsframe_connection *connection,
                                  const void **data);

/**
 * Writes to *output where the bytes are that are to be written to the peer, and returns how many: 0 if there are none.
 * They live until the next call that adds to them. Tell wsframe_connection_sent() how many were written.
 *
 * After WSFRAME_EVENT_CLOSE or WSFRAME_EVENT_ERROR the output ends with the close frame that answers it. So what answers
 * the messages before that event can still be sent, until the output is taken.
 *
 * Errors: as wsframe_connection_data().
 *
 * connection is a live handle, output a pointer that can be written.
 */
ptrdiff_t wsframe_connection_output(const struct wsframe_connection *connection,
                                    const void **output);

/**
 * Says that the first len bytes of the output were written, and returns how many still wait.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if there are not so many, WSFRAME_ERROR_STATE if the connection is dead.
 *
 * connection is a live handle.
 */
ptrdiff_t wsframe_connection_sent(struct wsframe_connection *connection,
                                  size_t len);

/**
 * Puts a whole message into the output as one frame. opcode is WSFRAME_OPCODE_TEXT or WSFRAME_OPCODE_BINARY; in are its
 * in_len bytes, which for text must be UTF-8.
 *
 * If both ends have agreed to compress, a message of at least the config's deflate_min_len is compressed if that makes it
 * shorter; opcode | WSFRAME_SEND_PLAIN or opcode | WSFRAME_SEND_COMPRESSED decides otherwise for this one. What goes to
 * many connections is compressed once by wsframe_message_new().
 *
 * Returns how many bytes of output wait.
 *
 * Errors: WSFRAME_ERROR_STATE unless the connection is open, or while a message that is sent in pieces is not finished.
 * WSFRAME_ERROR_SPACE if more output would wait than the config allows: write some and call again. WSFRAME_ERROR_ARGUMENT
 * for another opcode, text that is not UTF-8, or a NULL pointer. WSFRAME_ERROR_IO if a client gets no random masking key
 * from the system. Nothing is sent then.
 *
 * connection is a live handle, in points to in_len readable bytes, which may be the data of an event.
 */
ptrdiff_t wsframe_connection_send(struct wsframe_connection *connection,
                                  uint32_t opcode,
                                  const void *in,
                                  size_t in_len);

/**
 * Puts count messages into the output, as wsframe_connection_send() does with each, for many small messages with one call.
 * They stand one behind the other at in; lens are their count lengths.
 *
 * Returns how many messages were put there. That is less than count if there was no room for the next one, or it cannot be
 * sent; a call that begins with it returns the error.
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
 * Puts a piece of a message into the output, as a frame of its own (RFC 6455 section 5.4). All pieces of a message have
 * its opcode; last is not 0 for the last one. Text may be cut anywhere. Pings and close may come between them. If both
 * ends have agreed to compress, the message is compressed unless its first piece has WSFRAME_SEND_PLAIN.
 *
 * Returns and errors as wsframe_connection_send(); WSFRAME_ERROR_STATE if the opcode is not that of the pieces before.
 *
 * As for wsframe_connection_send().
 */
ptrdiff_t wsframe_connection_send_piece(struct wsframe_connection *connection,
                                        uint32_t opcode,
                                        const void *in,
                                        size_t in_len,
                                        uint32_t last);

/**
 * Puts a ping with a payload of at most 125 bytes into the output.
 *
 * Returns how many bytes of output wait.
 *
 * Errors: WSFRAME_ERROR_STATE unless the connection is open, WSFRAME_ERROR_ARGUMENT if the payload is longer,
 * WSFRAME_ERROR_SPACE and WSFRAME_ERROR_IO as wsframe_connection_send().
 *
 * As for wsframe_connection_send().
 */
ptrdiff_t wsframe_connection_ping(struct wsframe_connection *connection,
                                  const void *in,
                                  size_t in_len);

/**
 * Puts a pong with a payload of at most 125 bytes into the output. Pings are answered without it, unless the config has
 * WSFRAME_CONFIG_MANUAL_PONG.
 *
 * Returns and errors as wsframe_connection_ping(), but a pong may be sent while the peer's close frame is awaited.
 *
 * As for wsframe_connection_send().
 */
ptrdiff_t wsframe_connection_pong(struct wsframe_connection *connection,
                                  const void *in,
                                  size_t in_len);

/**
 * Puts a close frame into the output (RFC 6455 section 7.1.2). Nothing more can be sent then; what still comes is received
 * until the peer's close frame. code is a close code that may be sent, or 1005 for a frame without one; reason is UTF-8 of
 * at most 123 bytes.
 *
 * Returns how many bytes of output wait.
 *
 * Errors: WSFRAME_ERROR_STATE unless the connection is open, WSFRAME_ERROR_ARGUMENT for another code, a longer reason, or
 * one that is not UTF-8.
 *
 * connection is a live handle, reason points to reason_len readable bytes.
 */
ptrdiff_t wsframe_connection_close(struct wsframe_connection *connection,
                                   uint32_t code,
                                   const void *reason,
                                   size_t reason_len);

/**
 * Puts a client's request into the output (RFC 6455 section 4.1). host is the value of the Host field, target the path
 * and query, which begins with a slash.
 *
 * Returns how many bytes of output wait.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if one of them has anything but visible ASCII characters, or a #; WSFRAME_ERROR_STATE for a server or a
 * second request, WSFRAME_ERROR_IO if the system gives no random key.
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
 * Transfer-Encoding, Sec-WebSocket-*. WSFRAME_ERROR_STATE if it is too late.
 *
 * connection is a live handle, name and value have their lengths.
 */
ptrdiff_t wsframe_connection_add_field(struct wsframe_connection *connection,
                                       const void *name,
                                       size_t name_len,
                                       const void *value,
                                       size_t value_len);

/**
 * Does without permessage-deflate on this connection although its config has WSFRAME_CONFIG_DEFLATE: for some targets, or
 * some clients, after WSFRAME_EVENT_REQUEST and before wsframe_connection_accept(); for a client before
 * wsframe_connection_request().
 *
 * Returns 0.
 *
 * Errors: WSFRAME_ERROR_STATE if it is too late. WSFRAME_ERROR_ARGUMENT if connection is NULL.
 *
 * connection is a live handle.
 */
ptrdiff_t wsframe_connection_decline_deflate(struct wsframe_connection *connection);

/**
 * Lets in the client of a WSFRAME_EVENT_REQUEST. subprotocol is one that it offered; if subprotocol_len is 0, the
 * config's list decides.
 *
 * Returns the number of events, as wsframe_connection_receive() does: WSFRAME_EVENT_OPEN, and what the client has sent
 * since.
 *
 * Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT if the subprotocol was not offered.
 *
 * connection is a live handle, subprotocol has its length.
 */
ptrdiff_t wsframe_connection_accept(struct wsframe_connection *connection,
                                    const void *subprotocol,
                                    size_t subprotocol_len);

/**
 * Answers a WSFRAME_EVENT_REQUEST or WSFRAME_EVENT_HTTP with an HTTP status from 200 to 599, the fields that were added,
 * and a body. The connection is closed then.
 *
 * Returns how many bytes of output wait.
 *
 * Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT for another status.
 *
 * connection is a live handle, body has its length.
 */
ptrdiff_t wsframe_connection_refuse(struct wsframe_connection *connection,
                                    uint32_t status,
                                    const void *body,
                                    size_t body_len);

/**
 * Writes to *target where the request target is, for instance /chat?room=1, and returns its length. There is one as long as
 * WSFRAME_EVENT_REQUEST, _HTTP or _OPEN is among the events of a server; else *target is NULL and 0 is returned.
 *
 * Errors: as wsframe_connection_data().
 *
 * connection is a live handle, target a pointer that can be written.
 */
ptrdiff_t wsframe_connection_target(const struct wsframe_connection *connection,
                                    const void **target);

/**
 * Writes to *value where the value of the first field called name is, whatever the case of its letters, and returns its
 * length. It is in the head of the request, or of the response for a client, as long as the event with it is there; else,
 * and if there is no such field, *value is NULL and 0 is returned.
 *
 * Errors: as wsframe_connection_data().
 *
 * connection is a live handle, name has its length, value is a pointer that can be written.
 */
ptrdiff_t wsframe_connection_field(const struct wsframe_connection *connection,
                                   const void *name,
                                   size_t name_len,
                                   const void **value);

/**
 * Writes to *subprotocol where the name of the subprotocol is that both ends speak, and returns its length; NULL and 0 if
 * they agreed on none. It lives as long as the connection.
 *
 * Errors: as wsframe_connection_data().
 *
 * connection is a live handle, subprotocol a pointer that can be written.
 */
ptrdiff_t wsframe_connection_subprotocol(const struct wsframe_connection *connection,
                                         const void **subprotocol);

/**
 * Writes to *deflate what both ends agreed on for compressed messages and returns 1; returns 0 and writes nothing if
 * messages are not compressed.
 *
 * Errors: as wsframe_connection_data().
 *
 * connection is a live handle, deflate a record that can be written.
 */
ptrdiff_t wsframe_connection_deflate(const struct wsframe_connection *connection,
                                     struct wsframe_deflate *deflate);

/**
 * Returns how far the connection has come: one of WSFRAME_STATE_*.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if it is NULL, WSFRAME_ERROR_STATE if it is dead.
 *
 * connection is a live handle.
 */
ptrdiff_t wsframe_connection_state(const struct wsframe_connection *connection);

/**
 * Returns a sentence for the log that says what the peer did wrong, to the exact cause; NULL if it did nothing. The string
 * is static.
 *
 * connection is a live handle.
 */
const char *wsframe_connection_error(const struct wsframe_connection *connection);

/**
 * Tells the connection what time it is: now_ms are milliseconds from any start that do not go back. To be called at the
 * end of each turn of a loop, after the output was written, and when the time that was returned is over.
 *
 * It puts a ping into the output when the peer has been silent for long, and gives back the memory of events and data.
 *
 * Returns in how many milliseconds it wants to be called again, PTRDIFF_MAX if nothing is due; 0 says that TCP is to be
 * closed: all is said, or the peer had its time. close() alone could destroy what is on its way to the peer: shut down
 * the sending side, read until the peer has closed its own, for a short time at most, and then close.
 *
 * Errors: WSFRAME_ERROR_STATE if the connection is dead, WSFRAME_ERROR_IO as wsframe_connection_send().
 *
 * connection is a live handle.
 */
ptrdiff_t wsframe_connection_tick(struct wsframe_connection *connection,
                                  uint64_t now_ms);

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
 * Returns the length in bytes of a server's frame, which has no masking key: its header and payload_len bytes. It is
 * the out_cap that wsframe_frame_build() needs.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if such a frame would not fit into memory.
 */
ptrdiff_t wsframe_frame_size(uint64_t payload_len);

/**
 * Writes a server's frame, which has no masking key, to out (RFC 6455 section 5.2): its header, then the payload_len
 * bytes at payload.
 *
 * first_byte is the first byte on the wire, for instance 0x81 for a whole text message. Written with the constants that
 * is WSFRAME_HEADER_FIN | WSFRAME_OPCODE_TEXT; C++20, in which two enums may not be combined, wants one of them cast to
 * uint32_t. A message in several frames starts with its opcode without FIN, goes on with WSFRAME_OPCODE_CONTINUATION and
 * ends with WSFRAME_HEADER_FIN | WSFRAME_OPCODE_CONTINUATION.
 *
 * Returns how many bytes were written, which is wsframe_frame_size(payload_len). For a client's frame, or to save the
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
 * Returns how many bytes were written, which is the sum of wsframe_frame_size() of each.
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
 * Errors: WSFRAME_ERROR_HANDSHAKE unless key is the canonical base64 of 16 bytes: answer with HTTP status 400.
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
 * Unmasks, or masks, which is the same act, the len bytes at data in place (RFC 6455 section 5.3).
 *
 * key points to the four bytes of the masking key. offset is the position of data in the payload, for a payload that is
 * worked on piece by piece: 0 for its start. Use wsframe_unmask_copy() if data must stay as it is.
 *
 * Returns len.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if key is NULL, data is NULL and len is not 0, or len is above PTRDIFF_MAX.
 *
 * data points to len bytes that can be read and written, key to four readable bytes.
 */
ptrdiff_t wsframe_unmask(void *data,
                         size_t len,
                         const void *key,
                         size_t offset);

/**
 * Unmasks, or masks, the len bytes at in and writes them to the len bytes at out (RFC 6455 section 5.3). The copy costs
 * little more than wsframe_unmask(): use it to move a payload out of a receive buffer.
 *
 * key points to the four bytes of the masking key. offset is the position of in in the payload: 0 for its start.
 *
 * Returns len.
 *
 * Errors: WSFRAME_ERROR_ARGUMENT if key is NULL, in or out is NULL and len is not 0, in and out overlap, or len is above
 * PTRDIFF_MAX.
 *
 * in points to len readable bytes, key to four, out to len bytes that can be written.
 */
ptrdiff_t wsframe_unmask_copy(const void *in,
                              size_t len,
                              const void *key,
                              size_t offset,
                              void *out);

/**
 * Prepares a message for many connections and writes its handle to *message: checks it, and compresses it if the config has
 * WSFRAME_CONFIG_DEFLATE, without a context, which every receiver understands. opcode and in are those of
 * wsframe_connection_send(); config is that of the connections it is meant for, and may be NULL for the defaults.
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
 * Puts a prepared message into the output; compressed if it is, and if both ends of this connection have agreed to
 * compress.
 *
 * Returns how many bytes of output wait.
 *
 * Errors: as wsframe_connection_send().
 *
 * connection and message are live handles.
 */
ptrdiff_t wsframe_connection_send_message(struct wsframe_connection *connection,
                                          const struct wsframe_message *message);

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

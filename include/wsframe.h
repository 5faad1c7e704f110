/*
 * GENERATED from src/ffi by `make header`: do not edit.
 */
/*
 * libwsframe reads and writes WebSocket frames (RFC 6455) for programs in any language that can call C.
 *
 * A server that has received bytes from a client, after the opening handshake, does this with them:
 *
 *     wsframe_header header;
 *     ptrdiff_t used = wsframe_header_parse(in, in_len, &header);
 *     if (used < 0) { log(wsframe_strerror(used)); close_with(wsframe_close_code(used)); return; }
 *     if (used == 0 || in_len - used < header.payload_len) return;    read more, then begin again
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
 * 4. The caller owns what it passes. Input is read during the call only; output is untouched when the call fails.
 *    An input and an output must not overlap. Strings that are returned are static: never free them.
 * 5. Records never grow: wsframe_header is 16 bytes in every version.
 * 6. Enums only name constants. Parameters and fields are plain integers.
 * 7. Nothing unwinds or aborts across this border. The functions cannot panic; the two that call code of which that
 *    cannot be shown, wsframe_accept_key and wsframe_utf8_check, would catch a panic and return WSFRAME_ERROR_INTERNAL.
 * 8. Every function may be called from any thread at any time. There is no state.
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
 *
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
 * first_byte is the first byte on the wire, for instance 0x81 for a whole text message. Written with the constants
 * that is WSFRAME_HEADER_FIN | WSFRAME_OPCODE_TEXT; C++20 wants one of the two cast to uint32_t. A message in several frames starts with its opcode without FIN, goes
 * on with WSFRAME_OPCODE_CONTINUATION and ends with WSFRAME_HEADER_FIN | WSFRAME_OPCODE_CONTINUATION.
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

/*
 * GENERATED from src/ffi by `make header`, without preprocessor lines: do not edit.
 */


/*
 * The version of this header: major * 65536 + minor * 256 + patch.
 */
enum { WSFRAME_VERSION = 0x000100 };

typedef enum wsframe_error {
    WSFRAME_ERROR_ARGUMENT = -1,
    WSFRAME_ERROR_STATE = -2,
    WSFRAME_ERROR_SPACE = -3,
    WSFRAME_ERROR_MEMORY = -4,
    WSFRAME_ERROR_INTERNAL = -5,
    WSFRAME_ERROR_IO = -6,
    WSFRAME_ERROR_HANDSHAKE = -32,
    WSFRAME_ERROR_PROTOCOL = -33,
    WSFRAME_ERROR_UTF8 = -34,
    WSFRAME_ERROR_TOO_BIG = -35,
    WSFRAME_ERROR_POLICY = -36,
} wsframe_error;

typedef enum wsframe_opcode {
    WSFRAME_OPCODE_CONTINUATION = 0,
    WSFRAME_OPCODE_TEXT = 1,
    WSFRAME_OPCODE_BINARY = 2,
    WSFRAME_OPCODE_CLOSE = 8,
    WSFRAME_OPCODE_PING = 9,
    WSFRAME_OPCODE_PONG = 10,
} wsframe_opcode;

typedef enum wsframe_header_flag {
    WSFRAME_HEADER_MASK = 1,
    WSFRAME_HEADER_RSV3 = 16,
    WSFRAME_HEADER_RSV2 = 32,
    WSFRAME_HEADER_RSV1 = 64,
    WSFRAME_HEADER_FIN = 128,
} wsframe_header_flag;

typedef struct wsframe_header {
    uint64_t payload_len;
    uint8_t opcode;
    uint8_t flags;
    uint8_t header_len;
    uint8_t reserved;
    uint8_t mask_key[4];
} wsframe_header;

uint32_t wsframe_version(void);

const char *wsframe_strerror(ptrdiff_t error);

uint16_t wsframe_close_code(ptrdiff_t error);

ptrdiff_t wsframe_header_parse(const void *in, size_t in_len, struct wsframe_header *header);

ptrdiff_t wsframe_header_build(const struct wsframe_header *header, void *out, size_t out_cap);

ptrdiff_t wsframe_frame_size(uint64_t payload_len);

ptrdiff_t wsframe_frame_build(uint32_t first_byte,
                              const void *payload,
                              size_t payload_len,
                              void *out,
                              size_t out_cap);

ptrdiff_t wsframe_accept_key(const void *key, size_t key_len, void *out, size_t out_cap);

ptrdiff_t wsframe_unmask(void *data, size_t len, const void *key, size_t offset);

ptrdiff_t wsframe_unmask_copy(const void *in,
                              size_t len,
                              const void *key,
                              size_t offset,
                              void *out);

ptrdiff_t wsframe_utf8_check(const void *in, size_t len);

/*
 * GENERATED from src/ffi by `make header`, without preprocessor lines: do not edit.
 */


/*
 * The version of this header: major * 65536 + minor * 256 + patch.
 */
enum { WSFRAME_VERSION = 0x000100 };

/*
 * By how much a server's frame is longer than its payload, in bytes and at most.
 */
enum { WSFRAME_FRAME_OVERHEAD = 10 };

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
    WSFRAME_ERROR_TIMEOUT = -37,
} wsframe_error;

typedef enum wsframe_opcode {
    WSFRAME_OPCODE_CONTINUATION = 0,
    WSFRAME_OPCODE_TEXT = 1,
    WSFRAME_OPCODE_BINARY = 2,
    WSFRAME_OPCODE_CLOSE = 8,
    WSFRAME_OPCODE_PING = 9,
    WSFRAME_OPCODE_PONG = 10,
    WSFRAME_OPCODE_RSV3 = 16,
    WSFRAME_OPCODE_RSV2 = 32,
    WSFRAME_OPCODE_RSV1 = 64,
    WSFRAME_OPCODE_FIN = 128,
    WSFRAME_OPCODE_MORE = 256,
    WSFRAME_OPCODE_PLAIN = 512,
    WSFRAME_OPCODE_COMPRESSED = 1024,
} wsframe_opcode;

typedef enum wsframe_header_flag {
    WSFRAME_HEADER_MASK = 1,
} wsframe_header_flag;

typedef enum wsframe_role {
    WSFRAME_ROLE_SERVER = 0,
    WSFRAME_ROLE_CLIENT = 1,
} wsframe_role;

typedef enum wsframe_state {
    WSFRAME_STATE_CONNECTING = 0,
    WSFRAME_STATE_ASKED = 1,
    WSFRAME_STATE_OPEN = 2,
    WSFRAME_STATE_CLOSING = 3,
    WSFRAME_STATE_CLOSED = 4,
    WSFRAME_STATE_FAILED = 5,
} wsframe_state;

typedef enum wsframe_event_kind {
    WSFRAME_EVENT_TEXT = 1,
    WSFRAME_EVENT_BINARY = 2,
    WSFRAME_EVENT_CLOSE = 8,
    WSFRAME_EVENT_PING = 9,
    WSFRAME_EVENT_PONG = 10,
    WSFRAME_EVENT_REQUEST = 16,
    WSFRAME_EVENT_HTTP = 17,
    WSFRAME_EVENT_OPEN = 18,
    WSFRAME_EVENT_ERROR = 19,
    WSFRAME_EVENT_GONE = 20,
    WSFRAME_EVENT_DRAIN = 21,
    WSFRAME_EVENT_TIMER = 22,
    WSFRAME_EVENT_READY = 23,
} wsframe_event_kind;

typedef enum wsframe_data_flag {
    WSFRAME_DATA_COMPRESSED = 4,
    WSFRAME_DATA_FIRST = 32,
    WSFRAME_DATA_LAST = 64,
    WSFRAME_DATA_IN_PLACE = 128,
} wsframe_data_flag;

typedef enum wsframe_config_flag {
    WSFRAME_CONFIG_ASK = 1,
    WSFRAME_CONFIG_PIECES = 2,
    WSFRAME_CONFIG_MANUAL_PONG = 4,
    WSFRAME_CONFIG_START_OPEN = 8,
    WSFRAME_CONFIG_DEFLATE = 16,
    WSFRAME_CONFIG_SERVER_NO_CONTEXT_TAKEOVER = 32,
    WSFRAME_CONFIG_CLIENT_NO_CONTEXT_TAKEOVER = 64,
    WSFRAME_CONFIG_ACCEPT_ANY_MASK = 256,
    WSFRAME_CONFIG_ACCEPT_LONG_LENGTHS = 512,
    WSFRAME_CONFIG_SKIP_UTF8 = 1024,
    WSFRAME_CONFIG_ACCEPT_ANY_CLOSE_CODE = 2048,
} wsframe_config_flag;

typedef enum wsframe_accept_flag {
    WSFRAME_ACCEPT_WITHOUT_DEFLATE = 1,
} wsframe_accept_flag;

typedef enum wsframe_batch_flag {
    WSFRAME_BATCH_MORE = 1,
    WSFRAME_BATCH_STOPPED = 2,
} wsframe_batch_flag;

typedef enum wsframe_output_flag {
    WSFRAME_OUTPUT_MORE = 1,
} wsframe_output_flag;

typedef enum wsframe_listen_flag {
    WSFRAME_LISTEN_REUSE_PORT = 1,
    WSFRAME_LISTEN_PROXY = 2,
    WSFRAME_LISTEN_DROP_SLOW = 4,
} wsframe_listen_flag;

typedef enum wsframe_watch_flag {
    WSFRAME_WATCH_READ = 1,
    WSFRAME_WATCH_WRITE = 2,
} wsframe_watch_flag;

typedef struct wsframe_connection wsframe_connection;

typedef struct wsframe_hub wsframe_hub;

typedef struct wsframe_message wsframe_message;

typedef struct wsframe_config {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t max_message_len;
    uint64_t max_frame_len;
    uint64_t max_inflated_len;
    uint64_t high_water_len;
    uint32_t max_fragments;
    uint32_t max_head_len;
    uint32_t max_head_fields;
    uint32_t handshake_timeout_ms;
    uint32_t close_timeout_ms;
    uint32_t ping_interval_ms;
    const void *subprotocols;
    size_t subprotocols_len;
    const void *origins;
    size_t origins_len;
    uint32_t deflate_min_len;
    uint32_t deflate_level;
    uint32_t server_max_window_bits;
    uint32_t client_max_window_bits;
    const void *extensions;
    size_t extensions_len;
    const void *subprotocol;
    size_t subprotocol_len;
    const void *target;
    size_t target_len;
} wsframe_config;

typedef struct wsframe_deflate {
    uint8_t server_no_context_takeover;
    uint8_t client_no_context_takeover;
    uint8_t server_max_window_bits;
    uint8_t client_max_window_bits;
} wsframe_deflate;

typedef struct wsframe_event {
    uint64_t connection;
    uint64_t offset;
    uint64_t len;
    uint16_t close_code;
    uint8_t kind;
    uint8_t flags;
    int32_t error;
} wsframe_event;

typedef struct wsframe_batch {
    const struct wsframe_event *events;
    size_t count;
    const void *data;
    size_t data_len;
    uint32_t flags;
    uint32_t reserved;
} wsframe_batch;

typedef struct wsframe_field {
    const void *name;
    size_t name_len;
    const void *value;
    size_t value_len;
} wsframe_field;

typedef struct wsframe_output {
    const void *data;
    size_t len;
    uint32_t wait_ms;
    uint32_t flags;
} wsframe_output;

typedef struct wsframe_part {
    const void *data;
    size_t len;
} wsframe_part;

typedef struct wsframe_header {
    uint64_t payload_len;
    uint8_t opcode;
    uint8_t flags;
    uint8_t header_len;
    uint8_t reserved;
    uint8_t mask_key[4];
} wsframe_header;

typedef struct wsframe_hub_config {
    uint32_t struct_size;
    uint32_t max_connections;
    uint64_t max_memory;
    uint32_t max_per_address;
    uint32_t reserved;
} wsframe_hub_config;

typedef struct wsframe_stats {
    uint64_t connections;
    uint64_t opening;
    uint64_t closing;
    uint64_t paused;
    uint64_t waiting_len;
    uint64_t accepted;
    uint64_t refused;
    uint64_t accept_pauses;
    uint64_t messages_received;
    uint64_t messages_sent;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t dropped;
    uint64_t read_pauses;
    uint64_t polls;
    uint64_t busy_us;
    uint64_t application_us;
} wsframe_stats;

ptrdiff_t wsframe_connection_new(uint32_t role,
                                 const struct wsframe_config *config,
                                 struct wsframe_connection **connection);

void wsframe_connection_free(struct wsframe_connection *connection);

ptrdiff_t wsframe_connection_state(const struct wsframe_connection *connection);

const char *wsframe_connection_error(const struct wsframe_connection *connection);

ptrdiff_t wsframe_connection_subprotocol(const struct wsframe_connection *connection,
                                         const void **subprotocol);

ptrdiff_t wsframe_connection_deflate(const struct wsframe_connection *connection,
                                     struct wsframe_deflate *deflate);

ptrdiff_t wsframe_connection_request(struct wsframe_connection *connection,
                                     const void *host,
                                     size_t host_len,
                                     const void *target,
                                     size_t target_len);

ptrdiff_t wsframe_connection_add_field(struct wsframe_connection *connection,
                                       const void *name,
                                       size_t name_len,
                                       const void *value,
                                       size_t value_len);

ptrdiff_t wsframe_connection_accept(struct wsframe_connection *connection,
                                    const void *subprotocol,
                                    size_t subprotocol_len,
                                    uint32_t flags,
                                    struct wsframe_batch *batch);

ptrdiff_t wsframe_connection_respond(struct wsframe_connection *connection,
                                     uint32_t status,
                                     const void *body,
                                     size_t body_len);

ptrdiff_t wsframe_connection_target(const struct wsframe_connection *connection,
                                    const void **target);

ptrdiff_t wsframe_connection_field(const struct wsframe_connection *connection,
                                   const void *name,
                                   size_t name_len,
                                   const void **value);

ptrdiff_t wsframe_connection_field_at(const struct wsframe_connection *connection,
                                      size_t number,
                                      struct wsframe_field *field);

ptrdiff_t wsframe_connection_output(struct wsframe_connection *connection,
                                    size_t sent,
                                    uint64_t now_ms,
                                    struct wsframe_output *output);

ptrdiff_t wsframe_connection_parts(const struct wsframe_connection *connection,
                                   struct wsframe_part *parts,
                                   size_t count);

ptrdiff_t wsframe_connection_waiting(const struct wsframe_connection *connection);

ptrdiff_t wsframe_connection_receive(struct wsframe_connection *connection,
                                     const void *in,
                                     size_t in_len,
                                     struct wsframe_batch *batch);

ptrdiff_t wsframe_connection_receive_in_place(struct wsframe_connection *connection,
                                              void *in,
                                              size_t in_len,
                                              struct wsframe_batch *batch);

ptrdiff_t wsframe_connection_gone(struct wsframe_connection *connection,
                                  struct wsframe_batch *batch);

ptrdiff_t wsframe_connection_send(struct wsframe_connection *connection,
                                  uint32_t opcode,
                                  const void *in,
                                  size_t in_len);

ptrdiff_t wsframe_connection_send_many(struct wsframe_connection *connection,
                                       uint32_t opcode,
                                       const void *in,
                                       const size_t *lens,
                                       size_t count);

ptrdiff_t wsframe_connection_send_message(struct wsframe_connection *connection,
                                          const struct wsframe_message *message);

ptrdiff_t wsframe_connection_close(struct wsframe_connection *connection,
                                   uint32_t code,
                                   const void *reason,
                                   size_t reason_len);

uint32_t wsframe_version(void);

const char *wsframe_strerror(ptrdiff_t error);

const char *wsframe_why(void);

uint16_t wsframe_close_code(ptrdiff_t error);

ptrdiff_t wsframe_header_parse(const void *in, size_t in_len, struct wsframe_header *header);

ptrdiff_t wsframe_header_build(const struct wsframe_header *header, void *out, size_t out_cap);

ptrdiff_t wsframe_frame_build(uint32_t first_byte,
                              const void *payload,
                              size_t payload_len,
                              void *out,
                              size_t out_cap);

ptrdiff_t wsframe_frames_build(uint32_t first_byte,
                               const void *in,
                               const size_t *lens,
                               size_t count,
                               void *out,
                               size_t out_cap);

ptrdiff_t wsframe_accept_key(const void *key, size_t key_len, void *out, size_t out_cap);

ptrdiff_t wsframe_handshake_answer(const void *in,
                                   size_t in_len,
                                   const struct wsframe_config *config,
                                   void *out,
                                   size_t out_cap);

ptrdiff_t wsframe_extensions_answer(const void *in,
                                    size_t in_len,
                                    const struct wsframe_config *config,
                                    void *out,
                                    size_t out_cap);

ptrdiff_t wsframe_hub_new(const struct wsframe_hub_config *config, struct wsframe_hub **hub);

void wsframe_hub_free(struct wsframe_hub *hub);

ptrdiff_t wsframe_hub_poll(struct wsframe_hub *hub,
                           uint32_t timeout_ms,
                           struct wsframe_batch *batch);

ptrdiff_t wsframe_hub_stop(struct wsframe_hub *hub, uint32_t grace_ms);

ptrdiff_t wsframe_hub_stats(const struct wsframe_hub *hub,
                            struct wsframe_stats *stats,
                            size_t stats_size);

ptrdiff_t wsframe_hub_connection(struct wsframe_hub *hub,
                                 uint64_t id,
                                 struct wsframe_connection **connection);

ptrdiff_t wsframe_hub_pause(struct wsframe_hub *hub, uint64_t id, uint32_t is_paused);

ptrdiff_t wsframe_hub_terminate(struct wsframe_hub *hub, uint64_t id);

ptrdiff_t wsframe_hub_address(struct wsframe_hub *hub, uint64_t id, const void **address);

ptrdiff_t wsframe_hub_set_user(struct wsframe_hub *hub, uint64_t id, void *user);

void *wsframe_hub_user(const struct wsframe_hub *hub, uint64_t id);

ptrdiff_t wsframe_hub_send(struct wsframe_hub *hub,
                           uint64_t id,
                           uint32_t opcode,
                           const void *in,
                           size_t in_len);

ptrdiff_t wsframe_hub_send_many(struct wsframe_hub *hub,
                                const uint64_t *ids,
                                uint32_t opcode,
                                const void *in,
                                const size_t *lens,
                                size_t count);

ptrdiff_t wsframe_hub_subscribe(struct wsframe_hub *hub,
                                uint64_t id,
                                const void *topic,
                                size_t topic_len);

ptrdiff_t wsframe_hub_unsubscribe(struct wsframe_hub *hub,
                                  uint64_t id,
                                  const void *topic,
                                  size_t topic_len);

ptrdiff_t wsframe_hub_subscribers(const struct wsframe_hub *hub,
                                  const void *topic,
                                  size_t topic_len);

ptrdiff_t wsframe_hub_publish(struct wsframe_hub *hub,
                              const void *topic,
                              size_t topic_len,
                              uint64_t except,
                              uint32_t opcode,
                              const void *in,
                              size_t in_len);

ptrdiff_t wsframe_hub_listen(struct wsframe_hub *hub,
                             const void *address,
                             size_t address_len,
                             uint32_t flags,
                             const struct wsframe_config *config);

ptrdiff_t wsframe_hub_adopt(struct wsframe_hub *hub,
                            int fd,
                            uint32_t role,
                            uint32_t flags,
                            const struct wsframe_config *config,
                            uint64_t *id);

ptrdiff_t wsframe_hub_connect(struct wsframe_hub *hub,
                              const void *url,
                              size_t url_len,
                              const void *address,
                              size_t address_len,
                              const struct wsframe_config *config,
                              uint64_t *id);

ptrdiff_t wsframe_hub_set_certificate(struct wsframe_hub *hub,
                                      uint16_t port,
                                      const void *chain,
                                      size_t chain_len,
                                      const void *key,
                                      size_t key_len);

ptrdiff_t wsframe_hub_trust(struct wsframe_hub *hub,
                            const void *certificates,
                            size_t certificates_len);

ptrdiff_t wsframe_hub_timer(struct wsframe_hub *hub, uint64_t number, uint32_t in_ms);

ptrdiff_t wsframe_hub_watch(struct wsframe_hub *hub, int fd, uint32_t flags);

ptrdiff_t wsframe_hub_fd(struct wsframe_hub *hub);

ptrdiff_t wsframe_hub_wake(const struct wsframe_hub *hub);

ptrdiff_t wsframe_unmask(const void *in, size_t len, const void *key, size_t offset, void *out);

ptrdiff_t wsframe_message_new(uint32_t opcode,
                              const void *in,
                              size_t in_len,
                              const struct wsframe_config *config,
                              struct wsframe_message **message);

void wsframe_message_free(struct wsframe_message *message);

ptrdiff_t wsframe_utf8_check(const void *in, size_t len);

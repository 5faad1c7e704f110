// The header is C++ too: names are found without mangling, records and constants can be used as they are.

#include "wsframe.h"

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

std::vector<unsigned char> text_frame(const std::string &text) {
    std::vector<unsigned char> frame(text.size() + WSFRAME_FRAME_OVERHEAD);
    const std::ptrdiff_t len = wsframe_frame_build(WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_TEXT, text.data(), text.size(),
                                                   frame.data(), frame.size());
    frame.resize(len < 0 ? 0 : static_cast<std::size_t>(len));
    return frame;
}

bool is_text_frame(const std::vector<unsigned char> &frame, const std::string &text) {
    wsframe_header header;
    const std::ptrdiff_t used = wsframe_header_parse(frame.data(), frame.size(), &header);
    return used == 2 && header.opcode == WSFRAME_OPCODE_TEXT && header.flags == WSFRAME_OPCODE_FIN
        && header.payload_len == text.size() && std::memcmp(frame.data() + used, text.data(), text.size()) == 0;
}

// The header of a client's frame: the flags are of two enums, so they are put there one by one.
bool builds_client_header() {
    wsframe_header header = {};
    header.opcode = WSFRAME_OPCODE_TEXT;
    header.flags = WSFRAME_OPCODE_FIN;
    header.flags |= WSFRAME_HEADER_MASK;
    unsigned char out[6];
    return wsframe_header_build(&header, out, sizeof out) == 6 && out[0] == 0x81 && out[1] == 0x80;
}

// What is combined with an opcode is of one enum, which C++20 and later want.
bool sends_pieces() {
    wsframe_config config = {};
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN | WSFRAME_CONFIG_SKIP_UTF8;
    wsframe_connection *connection = nullptr;
    if (wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection) != 0) return false;
    const auto piece = WSFRAME_OPCODE_TEXT | WSFRAME_OPCODE_MORE | WSFRAME_OPCODE_PLAIN;
    const bool sent = wsframe_connection_send(connection, piece, "a", 1) == 3
        && wsframe_connection_send(connection, WSFRAME_OPCODE_TEXT, "b", 1) == 6;
    wsframe_connection_free(connection);
    return sent;
}

}  // namespace

static_assert(sizeof(wsframe_header) == 16, "the record is 16 bytes in every language");

int main() {
    const bool results[] = {
        wsframe_version() == WSFRAME_VERSION,
        is_text_frame(text_frame("Hello"), "Hello"),
        sends_pieces(),
        builds_client_header(),
        wsframe_header_parse(nullptr, 0, nullptr) == WSFRAME_ERROR_ARGUMENT,
        std::string(wsframe_strerror(WSFRAME_ERROR_PROTOCOL)) != wsframe_strerror(0),
    };
    int checks = 0;
    for (const bool holds : results) {
        if (!holds) {
            std::fprintf(stderr, "%s: check %d failed\n", __FILE__, checks);
            return 1;
        }
        checks++;
    }
    std::printf("%d checks\n", checks);
}

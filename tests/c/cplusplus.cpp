// The header is C++ too: names are found without mangling, records and constants can be used as they are.

#include "wsframe.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

std::vector<unsigned char> text_frame(const std::string &text) {
    std::vector<unsigned char> frame(static_cast<std::size_t>(wsframe_frame_size(text.size())));
    // C++20 does not want to see two enums combined.
    const std::uint32_t first_byte = std::uint32_t{WSFRAME_HEADER_FIN} | WSFRAME_OPCODE_TEXT;
    const std::ptrdiff_t len = wsframe_frame_build(first_byte, text.data(), text.size(), frame.data(), frame.size());
    frame.resize(len < 0 ? 0 : static_cast<std::size_t>(len));
    return frame;
}

bool is_text_frame(const std::vector<unsigned char> &frame, const std::string &text) {
    wsframe_header header;
    const std::ptrdiff_t used = wsframe_header_parse(frame.data(), frame.size(), &header);
    return used == 2 && header.opcode == WSFRAME_OPCODE_TEXT && header.flags == WSFRAME_HEADER_FIN
        && header.payload_len == text.size() && std::memcmp(frame.data() + used, text.data(), text.size()) == 0;
}

}  // namespace

static_assert(sizeof(wsframe_header) == 16, "the record is 16 bytes in every language");

int main() {
    const bool results[] = {
        wsframe_version() == WSFRAME_VERSION,
        is_text_frame(text_frame("Hello"), "Hello"),
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

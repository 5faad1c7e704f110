#include <stdio.h>
#include <wsframe.h>

int main(void) {
    unsigned char in[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; /* a client's text frame */
    unsigned char accept[28], out[64];
    wsframe_header header;

    ptrdiff_t len = wsframe_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 24, accept, sizeof accept);
    if (len > 0) printf("Sec-WebSocket-Accept: %.*s\n", (int)len, accept);

    ptrdiff_t used = wsframe_header_parse(in, sizeof in - 1, &header);
    if (used <= 0 || sizeof in - 1 - (size_t)used < header.payload_len) return 1; /* wrong, or more bytes are needed */
    wsframe_unmask(in + used, header.payload_len, header.mask_key, 0, in + used);
    printf("received: %.*s\n", (int)header.payload_len, in + used);

    len = wsframe_frame_build(WSFRAME_OPCODE_FIN | WSFRAME_OPCODE_TEXT, in + used, header.payload_len, out, sizeof out);
    printf("to send:");
    for (ptrdiff_t i = 0; i < len; i++) printf(" %02x", out[i]);
    printf("\n");
}

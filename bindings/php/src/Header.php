<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * The header of a frame (RFC 6455 section 5.2), as Frame::parse() reads it or as you want to send it.
 *
 * A server builds whole frames with Frame::build(). A client, which has to mask, sends a header and the masked payload:
 *
 *     $key = random_bytes(4);
 *     $header = new Header(opcode: Opcode::TEXT, payloadLen: strlen($text), maskKey: $key);
 *     fwrite($socket, $header->build() . Frame::unmask($text, $key));
 */
final class Header
{
    /** Whether the payload is masked, which is whether there is a maskKey. */
    public readonly bool $masked;

    /**
     * Nothing is checked here: build() asks the library whether such a header may be sent.
     *
     * @param int $opcode One of Opcode's constants.
     * @param int $payloadLen Length of the payload in bytes.
     * @param bool $fin Whether this frame ends its message.
     * @param bool $rsv1 The first reserved bit; permessage-deflate marks compressed messages with it.
     * @param bool $rsv2 The second reserved bit.
     * @param bool $rsv3 The third reserved bit.
     * @param string|null $maskKey The four bytes of the masking key, or null if the payload is not masked.
     * @param int $headerLen Length in bytes of the header on the wire, 2 to 14; the payload begins there. 0 if the
     *     header was not parsed. build() ignores it.
     */
    public function __construct(
        public readonly int $opcode,
        public readonly int $payloadLen,
        public readonly bool $fin = true,
        public readonly bool $rsv1 = false,
        public readonly bool $rsv2 = false,
        public readonly bool $rsv3 = false,
        public readonly ?string $maskKey = null,
        public readonly int $headerLen = 0,
    ) {
        $this->masked = $maskKey !== null;
    }

    /**
     * Writes the header as it goes over the wire, 2 to 14 bytes, with its length in the shortest form.
     *
     * @throws UsageError If RFC 6455 does not allow to send it (the opcode is reserved, the payload's length is
     *     negative, a control frame has no FIN or more than 125 bytes), or the masking key does not have four bytes.
     */
    public function build(): string
    {
        return Ffi\FrameCalls::get()->buildHeader($this);
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * What a frame is for (RFC 6455 section 11.8), and the bits beside it: Opcode::FIN | Opcode::TEXT is the first byte of a
 * frame. Plain integers because of that, and because they are fast.
 */
final class Opcode
{
    /** The next piece of a fragmented message. */
    public const CONTINUATION = 0;

    /** A message, or the first piece of one, that is UTF-8 text. */
    public const TEXT = 1;

    /** A message, or the first piece of one, that is any bytes. */
    public const BINARY = 2;

    /** Starts or answers the closing handshake. */
    public const CLOSE = 8;

    /** Asks for a pong with the same payload. */
    public const PING = 9;

    /** Answers a ping, or says unasked that the peer is alive. */
    public const PONG = 10;

    /** Bit of a frame's first byte: the third reserved bit. */
    public const RSV3 = 0x10;

    /** Bit of a frame's first byte: the second reserved bit. */
    public const RSV2 = 0x20;

    /** Bit of a frame's first byte: the first reserved bit; permessage-deflate marks compressed messages with it. */
    public const RSV1 = 0x40;

    /** Bit of a frame's first byte: this frame ends its message. */
    public const FIN = 0x80;

    private function __construct()
    {
    }
}

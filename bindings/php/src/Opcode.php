<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * What a frame is for (RFC 6455 section 11.8).
 *
 * Plain integers, so that one of them OR Frame::FIN is the first byte of a frame.
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

    private function __construct()
    {
    }
}

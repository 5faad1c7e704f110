<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * The peer broke a rule of WebSocket: end that one connection and go on with the others.
 *
 * Thrown by Frame and Handshake; of a Connection it is an event instead. getMessage() is a sentence for the log. getCode()
 * is an ErrorCode: HANDSHAKE, PROTOCOL for framing, UTF8 for text that is not UTF-8.
 */
final class ProtocolError extends \RuntimeException
{
    /**
     * @internal Thrown by this package only.
     *
     * @param int $closeCode The close code that tells the peer (RFC 6455 section 7.4.1), for instance 1002. It is 0
     *     where no close frame is due: an opening handshake is refused with HTTP status 400.
     */
    public function __construct(string $message, int $code, public readonly int $closeCode)
    {
        parent::__construct($message, $code);
    }
}

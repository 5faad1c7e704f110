<?php

declare(strict_types=1);

namespace Wsframe;

/** What both ends of a connection agreed on for compressed messages (RFC 7692 section 7.1). */
final class Deflate
{
    /**
     * @internal Made by this package only.
     *
     * @param bool $serverNoContextTakeover Whether each message of the server is compressed on its own.
     * @param bool $clientNoContextTakeover Whether each message of the client is compressed on its own.
     * @param int $serverMaxWindowBits How far back the server's messages may refer, as a power of two: 8 to 15.
     * @param int $clientMaxWindowBits The same for the client's.
     */
    public function __construct(
        public readonly bool $serverNoContextTakeover,
        public readonly bool $clientNoContextTakeover,
        public readonly int $serverMaxWindowBits,
        public readonly int $clientMaxWindowBits,
    ) {
    }
}

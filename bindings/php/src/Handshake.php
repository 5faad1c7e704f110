<?php

declare(strict_types=1);

namespace Wsframe;

/** The opening handshake for hosts that have read the request themselves, as HTTP servers and PSR-7 applications do. */
final class Handshake
{
    private function __construct()
    {
    }

    /**
     * Computes the response to a request for WebSocket (RFC 6455 section 4.2).
     *
     * It lets the client in if it begins with "HTTP/1.1 101 ": the connection is then a
     * Connection::server(new Config(startOpen: true)). Other responses refuse, and TCP is to be closed after them.
     *
     * @param string $head The request's head: "GET /chat HTTP/1.1", the fields and the blank line, each line ending
     *     with CR LF.
     * @param Config|null $config The subprotocols, the origins and the limits of a head; give it no startOpen.
     *
     * @throws ProtocolError If $head is not a head up to its blank line and nothing else; its closeCode is 0.
     * @throws UsageError If the config is wrong, or says ask.
     */
    public static function answer(string $head, ?Config $config = null): string
    {
        return Library::answerHandshake($head, $config);
    }
}

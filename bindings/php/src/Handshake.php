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
     * Connection::server(new Config(startOpen: true)), with the extensions of the response. Other responses refuse, and
     * TCP is to be closed after them.
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
        return Ffi\HandshakeCalls::answer($head, $config ?? new Config());
    }

    /**
     * Computes the Sec-WebSocket-Extensions of a response, for hosts that write it themselves (RFC 7692 section 5).
     *
     * What is returned goes into the response, and into the extensions of the config with which the connection then
     * starts. Null says that the response must not have the field: nothing was offered that can be accepted, or the
     * config does not say deflate.
     *
     * @param string $offer That field of the request; several of them are joined with commas.
     *
     * @throws ProtocolError If $offer is no list of extensions; its closeCode is 0.
     * @throws UsageError If the config is wrong.
     */
    public static function extensions(string $offer, ?Config $config = null): ?string
    {
        return Ffi\HandshakeCalls::extensions($offer, $config ?? new Config());
    }
}

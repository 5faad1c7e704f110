<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * What an application can choose for its connections; name what differs from the defaults, which are strict, and right
 * for most:
 *
 *     $config = new Config(subprotocols: ['chat'], maxMessageLen: 65536);
 *     $connection = Connection::server($config);
 *
 * A number that is 0 stands for the library's default. Nothing is checked here: whoever takes a config asks the
 * library.
 */
final class Config
{
    /**
     * @param list<string> $subprotocols A server answers with the first of them that the client offers, a client offers
     *     them all.
     * @param list<string> $origins The Origins that a server accepts. If there are any, a request needs one of them.
     * @param bool $ask A server that accepts or refuses each request itself: a request becomes an EventKind::REQUEST,
     *     plain HTTP an EventKind::HTTP, which wait for accept() or refuse(). Without it the library answers.
     * @param bool $pieces Messages are delivered in pieces as they arrive, text cut between characters, and not whole.
     * @param bool $manualPong Pings are not answered by the library.
     * @param bool $startOpen The connection starts open: somebody else has done the opening handshake.
     * @param bool $acceptAnyMask A server accepts frames that are not masked, a client frames that are.
     * @param bool $acceptLongLengths Lengths need not be in their shortest form.
     * @param bool $skipUtf8 Text is not checked to be UTF-8, neither received nor sent.
     * @param bool $acceptAnyCloseCode Every close code from 1000 to 4999 is accepted.
     * @param int $maxMessageLen The longest message in bytes; by default 16 MiB.
     * @param int $maxFrameLen The longest payload of a message's frame in bytes; by default 16 MiB.
     * @param int $maxOutputLen How many bytes of output may wait; by default twice maxMessageLen.
     * @param int $maxFragments The most frames of one message; by default 65,536.
     * @param int $maxHeadLen The longest head of a request or response in bytes; by default 16 KiB.
     * @param int $maxHeadFields The most fields of a head, at most 1000; by default 100.
     * @param int $handshakeTimeoutMs How long the opening handshake may take, in milliseconds; by default 10 seconds.
     * @param int $closeTimeoutMs How long the peer may take to answer a close frame, in milliseconds; by default 5
     *     seconds.
     * @param int $pingIntervalMs After how long a silence a ping is sent, and then how long the peer may be silent
     *     still, in milliseconds; by default 30 seconds.
     */
    public function __construct(
        public readonly array $subprotocols = [],
        public readonly array $origins = [],
        public readonly bool $ask = false,
        public readonly bool $pieces = false,
        public readonly bool $manualPong = false,
        public readonly bool $startOpen = false,
        public readonly bool $acceptAnyMask = false,
        public readonly bool $acceptLongLengths = false,
        public readonly bool $skipUtf8 = false,
        public readonly bool $acceptAnyCloseCode = false,
        public readonly int $maxMessageLen = 0,
        public readonly int $maxFrameLen = 0,
        public readonly int $maxOutputLen = 0,
        public readonly int $maxFragments = 0,
        public readonly int $maxHeadLen = 0,
        public readonly int $maxHeadFields = 0,
        public readonly int $handshakeTimeoutMs = 0,
        public readonly int $closeTimeoutMs = 0,
        public readonly int $pingIntervalMs = 0,
    ) {
    }
}

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
 * Nothing is checked here: whoever takes a config asks the library. Make one for all connections that are alike: the
 * library's form of it is kept with it.
 */
final class Config
{
    /** Stands for no limit of time. */
    public const NEVER = 0xFFFFFFFF;

    /**
     * @param list<string> $subprotocols A server answers with the first of them that the client offers, a client offers
     *     them all.
     * @param list<string> $origins The Origins that a server accepts, each as a browser sends it: https://example.com or
     *     http://localhost:8080, in lower case, without a default port and without a path. If there are any, a request
     *     needs one of them.
     * @param bool $ask A server that answers each request itself: a request becomes an EventKind::REQUEST, which waits for
     *     accept() or respond(), and plain HTTP an EventKind::HTTP, which waits for respond(). Without it the library
     *     answers.
     * @param bool $pieces Messages are delivered in pieces as they arrive, text cut between characters, instead of whole.
     * @param bool $manualPong Pings are not answered by the library.
     * @param bool $startOpen The connection starts open: somebody else has done the opening handshake.
     * @param string|null $extensions With startOpen and deflate: the Sec-WebSocket-Extensions of the response that
     *     somebody else has written, for instance what Handshake::extensions() answered; null if it had none.
     * @param string|null $subprotocol With startOpen: the subprotocol that was agreed on, for
     *     Connection::subprotocol().
     * @param string|null $target With startOpen: the path and query of the request, for Connection::target().
     * @param bool $deflate Messages may be compressed with permessage-deflate (RFC 7692), if the peer agrees. Do not
     *     compress secrets together with what an attacker chooses: how long the message gets tells him about both.
     * @param bool $serverNoContextTakeover Each message of the server is compressed on its own. It gets longer, and
     *     nothing is kept for it between messages.
     * @param bool $clientNoContextTakeover The same for the messages of the client.
     * @param bool $acceptAnyMask A server accepts frames that are not masked, a client frames that are.
     * @param bool $acceptLongLengths Lengths need not be in their shortest form.
     * @param bool $skipUtf8 Text is not checked to be UTF-8, neither received nor sent.
     * @param bool $acceptAnyCloseCode Every close code from 1000 to 4999 is accepted but 1005, 1006 and 1015, which stand
     *     for no close frame.
     * @param int $maxMessageLen The longest message in bytes; 0 stands for 16 MiB.
     * @param int $maxFrameLen The longest payload of a message's frame in bytes; 0 stands for 16 MiB.
     * @param int $maxInflatedLen With deflate: the longest message in bytes that came compressed, and no more than
     *     maxMessageLen; 0 stands for 1 MiB. A thousandth of it may be all that a peer has to send.
     * @param int $highWaterLen How many bytes of output may wait, headers included, when another message is taken; 0
     *     stands for 1 MiB. A message of any length finds room when no more than that waits.
     * @param int $maxFragments The most frames of one message; 0 stands for 65,536.
     * @param int $maxHeadLen The longest head of a request or response in bytes; 0 stands for 16 KiB.
     * @param int $maxHeadFields The most fields of a head, at most 1000; 0 stands for 100.
     * @param int $handshakeTimeoutMs How long the opening handshake may take, in milliseconds; 0 stands for 10 seconds,
     *     NEVER for ever.
     * @param int $closeTimeoutMs How long the peer may take to answer a close frame, and to take what was written last,
     *     in milliseconds; 0 stands for 5 seconds, NEVER for ever.
     * @param int $pingIntervalMs After how long a silence a ping is sent, and then how long the peer may be silent
     *     still, in milliseconds; 0 stands for 30 seconds, NEVER for no pings. A peer to whom much was written before has
     *     a second more for each 16 KB of it.
     * @param int $deflateMinLen With deflate: the shortest message in bytes that is compressed unasked; 0 stands for 64,
     *     or for 256 where each message is compressed on its own.
     * @param int $deflateLevel How hard to compress, from 1, the fastest, to 9, the smallest; 0 stands for 6.
     * @param int $serverMaxWindowBits How far back a server's messages may refer to those before them, as a power of
     *     two, 9 to 15. So many bytes does a connection keep at most: 4,096 for 12. 0 stands for 12 for a server, and lets
     *     a client take what the server likes: many servers cannot do less than 15.
     * @param int $clientMaxWindowBits The same for a client's messages; 0 stands for 12. A client that does not offer to
     *     be asked keeps to 15.
     */
    public function __construct(
        public readonly array $subprotocols = [],
        public readonly array $origins = [],
        public readonly bool $ask = false,
        public readonly bool $pieces = false,
        public readonly bool $manualPong = false,
        public readonly bool $startOpen = false,
        public readonly ?string $extensions = null,
        public readonly ?string $subprotocol = null,
        public readonly ?string $target = null,
        public readonly bool $deflate = false,
        public readonly bool $serverNoContextTakeover = false,
        public readonly bool $clientNoContextTakeover = false,
        public readonly bool $acceptAnyMask = false,
        public readonly bool $acceptLongLengths = false,
        public readonly bool $skipUtf8 = false,
        public readonly bool $acceptAnyCloseCode = false,
        public readonly int $maxMessageLen = 0,
        public readonly int $maxFrameLen = 0,
        public readonly int $maxInflatedLen = 0,
        public readonly int $highWaterLen = 0,
        public readonly int $maxFragments = 0,
        public readonly int $maxHeadLen = 0,
        public readonly int $maxHeadFields = 0,
        public readonly int $handshakeTimeoutMs = 0,
        public readonly int $closeTimeoutMs = 0,
        public readonly int $pingIntervalMs = 0,
        public readonly int $deflateMinLen = 0,
        public readonly int $deflateLevel = 0,
        public readonly int $serverMaxWindowBits = 0,
        public readonly int $clientMaxWindowBits = 0,
    ) {
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

/** What a hub has done so far. */
final class HubStats
{
    /**
     * @internal Made by this package only.
     *
     * @param int $connections How many connections there are now, those included whose opening handshake is not done or
     *     that are just ending.
     * @param int $accepted How many clients were let in.
     * @param int $refused How many clients were turned away because there was no memory for them.
     * @param int $acceptPauses How often nobody was let in for a second, or until somebody left, because the system had no
     *     descriptor or memory left.
     * @param int $messagesReceived How many messages have come, each piece counted with the config's pieces.
     * @param int $messagesSent How many messages the hub's own methods have sent, each piece counted, and each receiver.
     * @param int $bytesReceived How many bytes have come from the sockets.
     * @param int $bytesSent How many bytes went to the sockets.
     * @param int $dropped How many messages were not sent because more waited than the config's highWaterLen.
     * @param int $readPauses How often reading from a peer paused because it did not take what it was sent.
     */
    public function __construct(
        public readonly int $connections,
        public readonly int $accepted,
        public readonly int $refused,
        public readonly int $acceptPauses,
        public readonly int $messagesReceived,
        public readonly int $messagesSent,
        public readonly int $bytesReceived,
        public readonly int $bytesSent,
        public readonly int $dropped,
        public readonly int $readPauses,
    ) {
    }
}

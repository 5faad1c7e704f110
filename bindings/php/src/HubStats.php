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
     * @param int $opening How many of them are not open yet.
     * @param int $closing How many of them are closing, or have ended while EventKind::GONE is still to come.
     * @param int $paused From how many of them nothing is read: pause() was called, or they do not take what they are sent.
     * @param int $waitingLen How many bytes wait to be written to them; what was published is counted for each of them.
     * @param int $accepted How many clients were let in.
     * @param int $refused How many clients were turned away: because there was no memory for them, their address had
     *     maxPerAddress already, or they did not come by a proxy although listen() was told so.
     * @param int $acceptPauses How often nobody was let in for a second, or until somebody left, because the system had no
     *     descriptor or memory left.
     * @param int $messagesReceived How many messages have come, each piece counted with the config's pieces.
     * @param int $messagesSent How many messages the hub's own methods have sent, each piece counted, and each receiver.
     * @param int $bytesReceived How many bytes have come from the sockets.
     * @param int $bytesSent How many bytes went to the sockets.
     * @param int $dropped How many messages were not sent because more waited than the config's highWaterLen.
     * @param int $readPauses How often reading from a peer paused because it did not take what it was sent.
     * @param int $polls How many calls of poll() there were.
     * @param int $busyUs How many microseconds these have taken, without the waiting: what the hub does.
     * @param int $applicationUs How many microseconds were between them: what the application does.
     */
    public function __construct(
        public readonly int $connections,
        public readonly int $opening,
        public readonly int $closing,
        public readonly int $paused,
        public readonly int $waitingLen,
        public readonly int $accepted,
        public readonly int $refused,
        public readonly int $acceptPauses,
        public readonly int $messagesReceived,
        public readonly int $messagesSent,
        public readonly int $bytesReceived,
        public readonly int $bytesSent,
        public readonly int $dropped,
        public readonly int $readPauses,
        public readonly int $polls,
        public readonly int $busyUs,
        public readonly int $applicationUs,
    ) {
    }
}

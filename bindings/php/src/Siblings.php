<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * The other workers of a server, as one of them knows them: by way of the parent, on a connection of its own to it.
 *
 * That connection has a hub to itself, which the worker's hub watches: so nothing that is for the peers goes there.
 *
 * @internal
 */
final class Siblings
{
    /** A published message has in front: its kind, whether to compress it, and how long the topic is. */
    private const HEAD_LEN = 6;
    private const COMPRESS = [null, false, true];

    /** As much may wait on the way to a worker: then it misses what else is published. */
    private const HIGH_WATER = 4 << 20;
    /** That of the peers is the application's own. */
    private const NO_LIMIT = 1 << 40;

    private readonly Hub $line;
    private readonly int $parent;

    /**
     * Waits until the parent has answered.
     *
     * @param string $address Where the parent listens.
     * @param Hub $hub That of this worker.
     * @param \Closure(): void $orphaned Called when the parent is gone.
     */
    public function __construct(string $address, private readonly Hub $hub, private readonly \Closure $orphaned)
    {
        $this->line = new Hub();
        $this->parent = $this->line->connect('ws://parent/', self::config(), $address);
        while (($events = $this->line->poll()) === []) {
        }
        if ($events[0]->kind !== EventKind::OPEN) {
            throw new \RuntimeException('the parent of this worker is gone');
        }
        $hub->watch($this->line->fd());
    }

    /** That of both ends: who is busy for long is slow, and not gone. */
    public static function config(): Config
    {
        return new Config(
            maxMessageLen: self::NO_LIMIT,
            maxFrameLen: self::NO_LIMIT,
            highWaterLen: self::HIGH_WATER,
            pingIntervalMs: Config::NEVER,
        );
    }

    /** Tells the parent that clients can come to this process. */
    public function sayListening(): void
    {
        $this->line->send($this->parent, Opcode::TEXT, (string) \getmypid());
    }

    public function publish(string $topic, string $payload, int $kind, ?bool $compress): void
    {
        $head = \pack('CCN', $kind, \array_search($compress, self::COMPRESS, true), \strlen($topic));
        $this->line->send($this->parent, Opcode::BINARY, $head . $topic . $payload);
    }

    /** The hub has seen that there is something to do. */
    public function turn(): void
    {
        foreach ($this->line->poll(0) as $event) {
            if ($event->kind === EventKind::BINARY) {
                $this->pass($event->data);
            } elseif ($event->kind === EventKind::GONE) {
                $this->hub->watch($this->line->fd(), 0);
                ($this->orphaned)();
            }
        }
    }

    private function pass(string $message): void
    {
        [$kind, $compress, $topicLen] = \array_values(\unpack('Ckind/Ccompress/NtopicLen', $message));
        $topic = \substr($message, self::HEAD_LEN, $topicLen);
        $payload = \substr($message, self::HEAD_LEN + $topicLen);
        $this->hub->publish($topic, $payload, $kind, 0, self::COMPRESS[$compress]);
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Failure;

/** What a Server and a Client share: callbacks, and the loop that calls them. */
abstract class Application
{
    /** That a callback has failed (RFC 6455 section 7.4.1, RFC 9110). */
    private const INTERNAL_ERROR = 1011;
    private const INTERNAL_SERVER_ERROR = 500;

    /** @internal What is called with a peer and its message. */
    public ?\Closure $message = null;

    /** @var array<string, \Closure|null> */
    protected array $callbacks;

    /**
     * @param Loop $loop @internal
     * @param list<string> $events What there may be callbacks for.
     */
    protected function __construct(public readonly Loop $loop, array $events)
    {
        $this->callbacks = \array_fill_keys($events, null);
    }

    /**
     * Has a function called, instead of the one before, when something happens.
     *
     * @throws UsageError For another name.
     */
    public function on(string $event, callable $callback): void
    {
        if (!\array_key_exists($event, $this->callbacks)) {
            $events = \implode(', ', \array_keys($this->callbacks));
            throw Failure::argument("there is no event '$event'; there are $events");
        }
        $this->callbacks[$event] = $callback(...);
        if ($event === 'message') {
            $this->message = $this->ofMessages($this->callbacks[$event]);
        }
    }

    /**
     * Calls a function when so many milliseconds are over, once. What it throws goes to the callback of "error", without
     * a peer.
     */
    public function after(int $inMs, callable $callback): Timer
    {
        return $this->loop->start($this, $callback(...), $inMs, null);
    }

    /** Calls a function after so many milliseconds, and then again and again; all else is as for after(). */
    public function every(int $intervalMs, callable $callback): Timer
    {
        return $this->loop->start($this, $callback(...), $intervalMs, $intervalMs);
    }

    /**
     * Calls a function with a stream of yours while something can be read from it; null ends that, and is to be said
     * before it is closed. What the function throws goes to the callback of "error", without a peer.
     *
     * While there are such streams each turn of the loop takes a system call more.
     *
     * @param resource $stream
     */
    public function onReadable($stream, ?callable $callback): void
    {
        $this->loop->watch($this, $stream, Loop::READ, $callback === null ? null : $callback(...));
    }

    /**
     * Calls a function with a stream of yours while it can be written to; all else is as for onReadable().
     *
     * @param resource $stream
     */
    public function onWritable($stream, ?callable $callback): void
    {
        $this->loop->watch($this, $stream, Loop::WRITE, $callback === null ? null : $callback(...));
    }

    /** Serves until it is over. Where PHP has pcntl, SIGTERM and SIGINT stop the loop meanwhile. */
    public function run(): void
    {
        $this->loop->run($this->isOver(...));
    }

    /**
     * Lets nobody in any more, closes all connections of the loop with 1001, and ends run() when the last one is gone. May
     * be called by a callback and by a signal handler.
     *
     * @param int $graceMs After so many milliseconds those that have not ended are given up.
     */
    public function stop(int $graceMs = Loop::GRACE_MS): void
    {
        $this->loop->stop($graceMs);
    }

    /** @internal What happened to a peer and is no message; null if nobody has known it before. */
    abstract public function happened(?Peer $peer, Event $event): void;

    /** @internal Ends the connection of a peer for whom a callback has failed, and says so. */
    public function fail(\Throwable $failure, Peer $peer): void
    {
        $peer->hasFailed = true;
        if ($peer->isAsking()) {
            $peer->respond(self::INTERNAL_SERVER_ERROR);
        } else {
            $peer->close(self::INTERNAL_ERROR);
        }
        $this->report($failure, $peer);
    }

    /** @internal Tells what a callback has thrown. */
    public function report(\Throwable $failure, ?Peer $peer): void
    {
        try {
            $report = $this->callbacks['error'] ?? static fn (\Throwable $failure) => \error_log((string) $failure);
            $report($failure, $this->subject($peer));
        } catch (\Throwable $another) {
            \error_log("$failure\n\n$another");
        }
    }

    /** Calls a callback if there is one. */
    protected function call(string $name, Peer $peer, bool|int|string ...$arguments): void
    {
        try {
            $this->callbacks[$name]?->__invoke($this->subject($peer), ...$arguments);
        } catch (\Throwable $failure) {
            $this->fail($failure, $peer);
        }
    }

    /** What is called with a peer and its message. */
    protected function ofMessages(\Closure $callback): \Closure
    {
        return $callback;
    }

    /** Whom callbacks are told of. */
    protected function subject(?Peer $peer): Peer|Client|null
    {
        return $peer;
    }

    /** Whether run() has nothing more to do. */
    protected function isOver(): bool
    {
        return false;
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Failure;

/**
 * A hub with those whose connections, timers and streams it has, and the calls of their callbacks.
 *
 * @internal
 */
final class Loop
{
    public const READ = 0;
    public const WRITE = 1;

    /** How long connections have to end when a signal has come, in milliseconds. */
    public const GRACE_MS = 5000;

    /** How long streams are waited for at most: a signal can come just before the waiting begins. */
    private const SLICE_US = 500_000;
    private const STOPPING_US = 10_000;

    /** Another one in each worker. */
    public Hub $hub;

    /** The other workers, if there are. */
    public ?Siblings $siblings = null;

    /** @var array<int, Peer> Those at the other end of the connections, by id. */
    public array $peers = [];

    /** Whether stop() was called. */
    public bool $isStopping = false;

    /** @var \WeakReference<Application>|null Whose the connections are that clients make: it has this loop. */
    private ?\WeakReference $newcomers = null;

    /** @var array<int, array{Application, \Closure, int, int|null}> By number: whose, what to call, when, when again. */
    private array $timers = [];
    private int $lastTimer = 0;

    /** @var array{array<int, resource>, array<int, resource>} What is watched for reading and writing, by its number. */
    private array $streams = [[], []];
    /** @var array{array<int, array{Application, \Closure}>, array<int, array{Application, \Closure}>} */
    private array $watchers = [[], []];
    /** @var resource|null The hub's own. */
    private mixed $own = null;

    public function __construct(Hub $hub)
    {
        $this->hub = $hub;
    }

    /** Says whose the connections are that clients make. */
    public function letIn(Application $application): void
    {
        $this->newcomers = \WeakReference::create($application);
    }

    /** Goes on in a forked process, with a hub that was made there. */
    public function moveTo(Hub $hub): void
    {
        $this->hub = $hub;
        $this->own = null;
        foreach ($this->timers as $number => [, , $inMs]) {
            $hub->timer($number, $inMs);
        }
    }

    /** Sends a message to all who have subscribed to a topic, in the other workers too. Returns to how many in this one. */
    public function publish(string $topic, string $data, int $kind, int $except, ?bool $compress): int
    {
        $count = $this->hub->publish($topic, $data, $kind, $except, $compress);
        $this->siblings?->publish($topic, $data, $kind, $compress);
        return $count;
    }

    /** @param \Closure(): bool $isOver */
    public function run(\Closure $isOver): void
    {
        $former = $this->catchSignals();
        try {
            while (!$this->hub->isStopped() && !$isOver()) {
                if ($this->watchers === [[], []]) {
                    $this->deliver($this->hub->poll());
                } else {
                    $this->turnWithStreams();
                }
                if ($former !== []) {
                    \pcntl_signal_dispatch();
                }
            }
        } finally {
            foreach ($former as $signal => $handler) {
                \pcntl_signal($signal, $handler);
            }
        }
    }

    public function stop(int $graceMs): void
    {
        $this->isStopping = true;
        $this->hub->stop($graceMs);
    }

    /** @param iterable<Event> $events */
    public function deliver(iterable $events): void
    {
        foreach ($events as $event) {
            $kind = $event->kind;
            if ($kind !== EventKind::TEXT && $kind !== EventKind::BINARY) {
                $this->happened($event);
                continue;
            }
            // As the other callbacks are called, without a call.
            $peer = $this->peers[$event->connection] ?? null;
            if ($peer !== null && ($message = $peer->owner->message) !== null && !$peer->hasFailed) {
                try {
                    $message($peer, $event->data, $kind);
                } catch (\Throwable $failure) {
                    $peer->owner->fail($failure, $peer);
                }
            }
        }
    }

    public function start(Application $owner, \Closure $callback, int $inMs, ?int $intervalMs): Timer
    {
        $number = $this->lastTimer + 1;
        $this->hub->timer($number, $inMs);
        $this->timers[$number] = [$owner, $callback, $inMs, $intervalMs];
        $this->lastTimer = $number;
        return new Timer($this, $number);
    }

    public function cancel(int $number): void
    {
        if (isset($this->timers[$number])) {
            unset($this->timers[$number]);
            $this->hub->timer($number, null);
        }
    }

    /** @param resource $stream */
    public function watch(Application $owner, mixed $stream, int $way, ?\Closure $callback): void
    {
        if (!\is_resource($stream)) {
            throw Failure::argument('what is watched is a stream that is open');
        }
        $number = (int) $stream;
        if ($callback === null) {
            unset($this->streams[$way][$number], $this->watchers[$way][$number]);
        } else {
            $this->streams[$way][$number] = $stream;
            $this->watchers[$way][$number] = [$owner, $callback];
        }
    }

    private function happened(Event $event): void
    {
        if ($event->kind === EventKind::TIMER) {
            $this->ring($event->connection);
            return;
        }
        if ($event->kind === EventKind::READY) {
            $this->siblings?->turn();
            return;
        }
        $peer = $this->peers[$event->connection] ?? null;
        $owner = $peer === null ? $this->newcomers?->get() : $peer->owner;
        $owner?->happened($peer, $event);
    }

    private function ring(int $number): void
    {
        [$owner, $callback, , $intervalMs] = $this->timers[$number] ?? [null, null, null, null];
        if ($owner === null) {
            return;
        }
        if ($intervalMs === null) {
            unset($this->timers[$number]);
        } else {
            $this->hub->timer($number, $intervalMs);
        }
        try {
            $callback();
        } catch (\Throwable $failure) {
            $owner->report($failure, null);
        }
    }

    private function turnWithStreams(): void
    {
        $this->own ??= \fopen('php://fd/' . $this->hub->fd(), 'r');
        [$read, $write] = $this->streams;
        $read[] = $this->own;
        $except = null;
        // That the last connection is gone a descriptor does not tell.
        $waitUs = $this->isStopping ? self::STOPPING_US : self::SLICE_US;
        // A signal ends it with a warning.
        if (@\stream_select($read, $write, $except, 0, $waitUs) === false) {
            [$read, $write] = [[], []];
        }
        $this->deliver($this->hub->poll(0));
        foreach ([self::READ => $read, self::WRITE => $write] as $way => $ready) {
            foreach ($ready as $stream) {
                $this->tell($way, $stream);
            }
        }
    }

    /** @param resource $stream */
    private function tell(int $way, mixed $stream): void
    {
        // Another callback may have ended this one.
        [$owner, $callback] = $this->watchers[$way][(int) $stream] ?? [null, null];
        if ($owner === null) {
            return;
        }
        try {
            $callback($stream);
        } catch (\Throwable $failure) {
            $owner->report($failure, null);
        }
    }

    /** @return array<int, callable|int|string> The former handlers, by signal. */
    private function catchSignals(): array
    {
        if (!\function_exists('pcntl_signal')) {
            return [];
        }
        $former = [];
        foreach ([\SIGTERM, \SIGINT] as $signal) {
            $former[$signal] = \pcntl_signal_get_handler($signal);
            \pcntl_signal($signal, fn () => $this->stop(self::GRACE_MS));
        }
        return $former;
    }
}

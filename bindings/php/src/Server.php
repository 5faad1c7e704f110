<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Failure;

/**
 * A WebSocket server: a Hub that calls the application.
 *
 *     $server = new Server();
 *     $server->on('message', fn (Peer $peer, string $data, int $kind) => $peer->send($data, $kind));
 *     $server->listen('127.0.0.1:8000');
 *     $server->run();
 *
 * What an exception leaves of a callback closes that connection with 1011, or answers its request with 500, and goes to
 * the callback of "error", or else to error_log(). The others do not notice.
 */
final class Server
{
    /** That a callback has failed (RFC 6455 section 7.4.1, RFC 9110). */
    private const INTERNAL_ERROR = 1011;
    private const INTERNAL_SERVER_ERROR = 500;
    /** What the library answers to plain HTTP by itself, too. */
    private const UPGRADE_REQUIRED = 426;

    /** What is below: for topics, numbers and all that has no callback. Do not poll() it while the server runs. */
    public readonly Hub $hub;

    /** @var array<string, \Closure|null> */
    private array $callbacks = ['request' => null, 'open' => null, 'message' => null, 'close' => null, 'error' => null];
    private bool $hasListened = false;

    /** @var array<int, Peer> Those who are open, by id. */
    private array $peers = [];
    /** @var array<int, Peer> Those of them for whom a callback has failed: no message comes from them any more. */
    private array $failed = [];
    /** @var array<int, string> Why peers have closed, until they are gone. */
    private array $reasons = [];

    /**
     * @param Config|null $config That of all who come. It has no pieces: messages are whole.
     * @param int $maxConnections How many clients are let in at a time; others wait until one leaves. 0 for as many as
     *     the system has descriptors for.
     *
     * @throws UsageError If the config says pieces (ErrorCode::ARGUMENT), or the system has no descriptor for a hub (IO).
     */
    public function __construct(private readonly ?Config $config = null, int $maxConnections = 0)
    {
        if ($config?->pieces) {
            throw Failure::argument('a server calls with whole messages: its config has no pieces');
        }
        $this->hub = new Hub($maxConnections);
    }

    /**
     * Has a function called, instead of the one before, when something happens to a peer:
     *
     * - "request", (Peer): it asks to be let in, or has sent plain HTTP. The function calls accept() or respond(); if
     *   it does neither, who asks is let in, and plain HTTP is answered with 426. Without this callback the library
     *   answers.
     * - "open", (Peer): messages can be sent. Each that is opened is closed, once.
     * - "message", (Peer, string $data, int $kind): it has sent Opcode::TEXT, which is UTF-8, or Opcode::BINARY.
     * - "close", (Peer, int $code, string $reason): it is gone, with the code and reason of its close frame; 1006 if the
     *   closing handshake was not done.
     * - "error", (\Throwable, Peer): another callback has failed for this peer.
     *
     * @throws UsageError For another name, and for "request" after listen(): who comes would not be asked.
     */
    public function on(string $event, callable $callback): void
    {
        if (!\array_key_exists($event, $this->callbacks)) {
            $events = \implode(', ', \array_keys($this->callbacks));
            throw Failure::argument("there is no event '$event'; there are $events");
        }
        if ($event === 'request' && $this->hasListened) {
            throw Failure::argument("on('request') comes before listen()");
        }
        $this->callbacks[$event] = $callback(...);
    }

    /**
     * Listens at an address, as Hub::listen() does, and returns the port. Nobody is let in before run().
     *
     * @param string $address For instance "127.0.0.1:8000" or "unix:/run/chat.socket"; port 0 lets the system choose.
     *
     * @param bool $reusePort As for Hub::listen(): for several processes at the same port.
     *
     * @throws UsageError As Hub::listen().
     */
    public function listen(string $address, bool $reusePort = false): int
    {
        $config = $this->config;
        if ($this->callbacks['request'] !== null) {
            $config = new Config(...['ask' => true] + \get_object_vars($config ?? new Config()));
        }
        $port = $this->hub->listen($address, $config, $reusePort);
        $this->hasListened = true;
        return $port;
    }

    /** Serves until stop(). Where PHP has pcntl, SIGTERM and SIGINT stop the server meanwhile. */
    public function run(): void
    {
        $former = $this->catchSignals();
        try {
            while (!$this->hub->isStopped()) {
                $this->deliver($this->hub->poll());
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

    /**
     * Lets nobody in any more, closes all connections with 1001, and ends run() when the last one is gone. May be
     * called by a callback and by a signal handler.
     *
     * @param int $graceMs After so many milliseconds those that have not ended are given up.
     */
    public function stop(int $graceMs = 5000): void
    {
        $this->hub->stop($graceMs);
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
            \pcntl_signal($signal, fn () => $this->stop());
        }
        return $former;
    }

    /**
     * @param iterable<Event> $events
     * @param Peer|null $asked Whom they have let in.
     */
    private function deliver(iterable $events, ?Peer $asked = null): void
    {
        foreach ($events as $event) {
            $kind = $event->kind;
            if ($kind !== EventKind::TEXT && $kind !== EventKind::BINARY) {
                $this->happened($event, $asked);
                continue;
            }
            // As call() does it, without a call.
            $peer = $this->peers[$event->connection] ?? null;
            $message = $this->callbacks['message'];
            if ($peer !== null && $message !== null) {
                try {
                    $message($peer, $event->data, $kind);
                } catch (\Throwable $failure) {
                    $this->fail($failure, $peer);
                }
            }
        }
    }

    private function happened(Event $event, ?Peer $asked): void
    {
        $id = $event->connection;
        switch ($event->kind) {
            case EventKind::REQUEST:
            case EventKind::HTTP:
                $this->answer(new Peer($this->hub, $id));
                break;
            case EventKind::OPEN:
                $this->peers[$id] = $asked ?? new Peer($this->hub, $id);
                $this->call('open', $this->peers[$id]);
                break;
            case EventKind::CLOSE:
                $this->reasons[$id] = $event->data;
                break;
            case EventKind::GONE:
                $peer = $this->peers[$id] ?? $this->failed[$id] ?? null;
                $reason = $this->reasons[$id] ?? '';
                unset($this->peers[$id], $this->failed[$id], $this->reasons[$id]);
                if ($peer !== null) {
                    $this->call('close', $peer, $event->closeCode, $reason);
                }
                break;
        }
    }

    private function answer(Peer $peer): void
    {
        try {
            $this->callbacks['request']?->__invoke($peer);
            if ($this->isAsking($peer) && !$peer->accept()) {
                $peer->respond(self::UPGRADE_REQUIRED);
            }
        } catch (\Throwable $failure) {
            $this->fail($failure, $peer);
            return;
        }
        $this->deliver($peer->events(), $peer);
    }

    private function call(string $name, Peer $peer, int|string ...$arguments): void
    {
        try {
            $this->callbacks[$name]?->__invoke($peer, ...$arguments);
        } catch (\Throwable $failure) {
            $this->fail($failure, $peer);
        }
    }

    /** Ends the connection of a peer for whom a callback has failed, and says so. */
    private function fail(\Throwable $failure, Peer $peer): void
    {
        if (isset($this->peers[$peer->id])) {
            $this->failed[$peer->id] = $peer;
            unset($this->peers[$peer->id]);
        }
        if ($this->isAsking($peer)) {
            $peer->respond(self::INTERNAL_SERVER_ERROR);
        } else {
            $peer->close(self::INTERNAL_ERROR);
        }
        $this->report($failure, $peer);
    }

    private function isAsking(Peer $peer): bool
    {
        return $this->hub->connection($peer->id)?->state() === State::ASKED;
    }

    private function report(\Throwable $failure, Peer $peer): void
    {
        try {
            $report = $this->callbacks['error'] ?? static fn (\Throwable $failure) => \error_log((string) $failure);
            $report($failure, $peer);
        } catch (\Throwable $another) {
            \error_log("$failure\n\n$another");
        }
    }
}

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
final class Server extends Application
{
    /** What the library answers to plain HTTP by itself, too. */
    private const UPGRADE_REQUIRED = 426;

    /**
     * What is below: for topics, numbers and all that has no callback. Do not poll() it while the server runs, and do not
     * keep it: each worker has another one.
     */
    public Hub $hub;

    /** @var list<array{string, int, bool, bool}> Where it listens: the address, the port, and who comes how. */
    private array $listeners = [];
    /** @var array<int, array{string, string}> Chains and keys, by port. */
    private array $certificates = [];
    /** @var array{int, int, int} */
    private readonly array $limits;
    /** In the parent of workers, while they run. */
    private ?Workers $workers = null;
    /** @var array<int, string> Why peers have closed, until they are gone. */
    private array $reasons = [];

    /**
     * @param Config|null $config That of all who come. It has no pieces: messages are whole.
     * @param int $maxConnections This limit and the others are those of a Hub.
     *
     * @throws UsageError If the config says pieces (ErrorCode::ARGUMENT), or the system has no descriptor for a hub (IO).
     */
    public function __construct(
        private readonly ?Config $config = null,
        int $maxConnections = 0,
        int $maxPerAddress = 0,
        int $maxMemory = 0,
    ) {
        if ($config?->pieces) {
            throw Failure::argument('a server calls with whole messages: its config has no pieces');
        }
        $this->limits = [$maxConnections, $maxPerAddress, $maxMemory];
        $this->hub = new Hub(...$this->limits);
        parent::__construct(new Loop($this->hub), ['request', 'open', 'message', 'close', 'drain', 'error']);
        $this->loop->letIn($this);
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
     * - "drain", (Peer): there was no room for a message, as it did not read, and now there is.
     * - "error", (\Throwable, ?Peer): another callback has failed, for this peer if it was for one.
     *
     * @throws UsageError For another name, and for "request" after listen(): who comes would not be asked.
     */
    public function on(string $event, callable $callback): void
    {
        if ($event === 'request' && $this->listeners !== []) {
            throw Failure::argument("on('request') comes before listen()");
        }
        parent::on($event, $callback);
    }

    /**
     * Listens at an address, as Hub::listen() does, and returns the port. Nobody is let in before run().
     *
     * @param string $address For instance "127.0.0.1:8000" or "unix:/run/chat.socket"; port 0 lets the system choose.
     * @param bool $reusePort This and the next two are as for Hub::listen().
     * @param array{string, string}|null $certificate The chain and the key, in PEM, with which TLS is spoken there: see
     *     setCertificate().
     *
     * @throws UsageError As Hub::listen() and Hub::setCertificate().
     */
    public function listen(
        string $address,
        bool $reusePort = false,
        bool $proxy = false,
        bool $dropSlow = false,
        #[\SensitiveParameter] ?array $certificate = null,
    ): int {
        $port = $this->hub->listen($address, $this->configOfPeers(), $reusePort, $proxy, $dropSlow);
        $this->listeners[] = [$address, $port, $proxy, $dropSlow];
        if ($certificate !== null) {
            $this->setCertificate($port, ...$certificate);
        }
        return $port;
    }

    /**
     * Speaks TLS at a port, or changes its certificate for who comes from now on.
     *
     * @throws UsageError As Hub::setCertificate().
     */
    public function setCertificate(int $port, string $chain, #[\SensitiveParameter] string $key): void
    {
        $this->hub->setCertificate($port, $chain, $key);
        $this->certificates[$port] = [$chain, $key];
    }

    /**
     * Sends a message to all that have subscribed to a topic, or to all if it is ''. Returns to how many; those of other
     * workers get it as well, and are not counted.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY.
     * @param bool|null $compress As for Connection::send().
     *
     * @throws UsageError If the text is not UTF-8, or $kind is another one.
     */
    public function publish(string $topic, string $data, int $kind = Opcode::TEXT, ?bool $compress = null): int
    {
        return $this->loop->publish($topic, $data, $kind, 0, $compress);
    }

    /**
     * Serves until it is over. Where PHP has pcntl, SIGTERM and SIGINT stop the loop meanwhile.
     *
     * With $workers so many processes serve, each with the callbacks, addresses and timers that the server has now, and
     * with peers of its own: the system lets each have a part of the clients. What is published reaches the peers of all,
     * at most once: a worker that is busy for long misses what it has no room for. One that dies is replaced, after a
     * pause if it has died at once. SIGUSR1 replaces all: new ones are forked, and when they listen the former close
     * their connections with 1001. Who is connecting just then, or was before this call, may have to try again.
     * SIGTERM and SIGINT end all of them. Only the parent returns, and then the server is over.
     *
     * @param int $workers 0 for none: this process serves.
     * @param callable(Server): void|null $start Called in each worker before it listens: for what processes cannot share,
     *     such as the connection to a database, and for code that a new worker is to load anew.
     *
     * @throws UsageError With workers if PHP does not have pcntl and posix, or there are connections already
     *     (ErrorCode::STATE); if it listens at a Unix socket (ARGUMENT), or somebody else has taken the port (IO).
     */
    public function run(int $workers = 0, ?callable $start = null): void
    {
        if ($workers === 0) {
            parent::run();
            return;
        }
        if ($this->loop->peers !== []) {
            throw new UsageError('there are connections already: $start is where workers make theirs', ErrorCode::STATE);
        }
        foreach ($this->listeners as [$address]) {
            if (\str_starts_with($address, 'unix:')) {
                throw Failure::argument("workers cannot share $address: they need a port");
            }
        }
        $start = $start === null ? null : $start(...);
        $parent = new Workers($workers, fn (string $address, \Closure $unblock) => $this->work($address, $unblock, $start));
        $ports = $this->handOver();
        $this->workers = $parent;
        try {
            $parent->run();
        } finally {
            $this->workers = null;
            \array_map(\fclose(...), $ports);
        }
    }

    /**
     * Lets nobody in any more, closes all connections with 1001, and ends run() when the last one is gone. May be called by
     * a callback and by a signal handler. A worker ends itself only, and is replaced; the parent ends all.
     */
    public function stop(int $graceMs = Loop::GRACE_MS): void
    {
        $this->workers === null ? parent::stop($graceMs) : $this->workers->stop($graceMs);
    }

    /** @internal */
    public function happened(?Peer $peer, Event $event): void
    {
        $id = $event->connection;
        switch ($event->kind) {
            case EventKind::REQUEST:
            case EventKind::HTTP:
                $this->answer($this->loop->peers[$id] = new Peer($this, $this->hub, $id));
                break;
            case EventKind::OPEN:
                $peer ??= $this->loop->peers[$id] = new Peer($this, $this->hub, $id);
                $peer->isTold = true;
                $this->call('open', $peer);
                break;
            case EventKind::CLOSE:
                $this->reasons[$id] = $event->data;
                break;
            case EventKind::DRAIN:
                if ($peer !== null) {
                    $this->call('drain', $peer);
                }
                break;
            case EventKind::GONE:
                $reason = $this->reasons[$id] ?? '';
                unset($this->loop->peers[$id], $this->reasons[$id]);
                if ($peer?->isTold) {
                    $this->call('close', $peer, $event->closeCode, $reason);
                }
                break;
        }
    }

    private function configOfPeers(): ?Config
    {
        return $this->callbacks['request'] === null
            ? $this->config
            : new Config(...['ask' => true] + \get_object_vars($this->config ?? new Config()));
    }

    /**
     * Leaves the ports to the workers. This process does not listen, but keeps them from others.
     *
     * @return list<resource>
     */
    private function handOver(): array
    {
        $this->hub->free();
        $context = \stream_context_create(['socket' => ['so_reuseport' => true]]);
        $ports = [];
        foreach ($this->listeners as &$listener) {
            $listener[0] = \preg_replace('/\d+$/D', (string) $listener[1], $listener[0]);
            $port = @\stream_socket_server("tcp://$listener[0]", $code, $reason, \STREAM_SERVER_BIND, $context);
            $ports[] = $port ?: throw new UsageError("$listener[0] cannot be shared: $reason", ErrorCode::IO);
        }
        return $ports;
    }

    /** What a worker does. */
    private function work(string $parent, \Closure $unblockSignals, ?\Closure $start): void
    {
        $this->workers = null;
        $this->hub = new Hub(...$this->limits);
        $this->loop->moveTo($this->hub);
        foreach ([\SIGTERM, \SIGINT] as $signal) {
            \pcntl_signal($signal, fn () => $this->stop());
        }
        $unblockSignals();
        $this->loop->siblings = new Siblings($parent, $this->hub, $this->stop(...));
        if ($start !== null) {
            $start($this);
        }
        \pcntl_signal_dispatch();
        if (!$this->loop->isStopping) {
            foreach ($this->listeners as [$address, , $proxy, $dropSlow]) {
                $this->hub->listen($address, $this->configOfPeers(), true, $proxy, $dropSlow);
            }
            foreach ($this->certificates as $port => $certificate) {
                $this->hub->setCertificate($port, ...$certificate);
            }
            $this->loop->siblings->sayListening();
        }
        parent::run();
    }

    private function answer(Peer $peer): void
    {
        try {
            $this->callbacks['request']?->__invoke($peer);
            if ($peer->isAsking() && !$peer->accept()) {
                $peer->respond(self::UPGRADE_REQUIRED);
            }
        } catch (\Throwable $failure) {
            $this->fail($failure, $peer);
            return;
        }
        $this->loop->deliver($peer->events());
    }
}

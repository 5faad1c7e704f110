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

    /** What is below: for topics, numbers and all that has no callback. Do not poll() it while the server runs. */
    public readonly Hub $hub;

    private bool $hasListened = false;
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
        $this->hub = new Hub($maxConnections, $maxPerAddress, $maxMemory);
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
        if ($event === 'request' && $this->hasListened) {
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
        $config = $this->config;
        if ($this->callbacks['request'] !== null) {
            $config = new Config(...['ask' => true] + \get_object_vars($config ?? new Config()));
        }
        $port = $this->hub->listen($address, $config, $reusePort, $proxy, $dropSlow);
        $this->hasListened = true;
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

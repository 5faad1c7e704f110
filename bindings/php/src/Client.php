<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Failure;

/**
 * A WebSocket client: a Hub that calls the application.
 *
 *     $client = new Client('wss://example.com/feed', reconnect: true);
 *     $client->on('message', fn (Client $client, string $data, int $kind) => print("$data\n"));
 *     $client->run();
 *
 * What an exception leaves of a callback closes the connection with 1011, and goes to the callback of "error", or else to
 * error_log().
 */
final class Client extends Application
{
    private readonly ?Reconnect $reconnect;
    private ?Peer $peer = null;
    private ?Timer $retry = null;
    private bool $isClosed = false;
    private int $attempts = 0;
    private int $openedNs = 0;
    private string $reason = '';

    /**
     * It connects with run(), or at once if it lives in the loop of another.
     *
     * @param string $url "wss://example.com/feed" or "ws://127.0.0.1:8080/".
     * @param Config|null $config It has no pieces: messages are whole.
     * @param string|null $address Where to go instead; this and the next are as for Hub::connect().
     * @param array<string, string> $fields Names and values that are added to the request.
     * @param bool|Reconnect $reconnect Whether it tries again when it did not get there, or the connection has ended
     *     without close().
     * @param Application|null $loop A Server or another Client, in whose loop this one lives: their run() is for all of
     *     them.
     *
     * @throws UsageError If the config says pieces (ErrorCode::ARGUMENT); with $loop, as Hub::connect().
     */
    public function __construct(
        public readonly string $url,
        private readonly ?Config $config = null,
        private readonly ?string $address = null,
        private readonly array $fields = [],
        bool|Reconnect $reconnect = false,
        ?Application $loop = null,
    ) {
        if ($config?->pieces) {
            throw Failure::argument('a client calls with whole messages: its config has no pieces');
        }
        $this->reconnect = $reconnect === true ? new Reconnect() : ($reconnect ?: null);
        parent::__construct($loop?->loop ?? new Loop(new Hub()), ['open', 'message', 'close', 'drain', 'error']);
        if ($loop !== null) {
            $this->connect();
        }
    }

    /**
     * Has a function called, instead of the one before, when something happens:
     *
     * - "open", (Client): messages can be sent. Each that is opened is closed, once.
     * - "message", (Client, string $data, int $kind): the server has sent Opcode::TEXT, which is UTF-8, or Opcode::BINARY.
     * - "close", (Client, int $code, string $reason, bool $comesBack): the connection has ended, with the code and reason
     *   of the server's close frame; 1006 if the closing handshake was not done. $comesBack says whether another one is
     *   to be made.
     * - "drain", (Client): there was no room for a message, as the server did not read, and now there is.
     * - "error", (\Throwable, ?Client): it did not get there, which is a NotConnected, or another callback has failed.
     *
     * @throws UsageError For another name.
     */
    public function on(string $event, callable $callback): void
    {
        parent::on($event, $callback);
    }

    /** Trusts these certificates, in PEM, beside those that the system trusts; see Hub::trust(). */
    public function trust(string $certificates): void
    {
        $this->loop->hub->trust($certificates);
    }

    /**
     * Connects, and lets callbacks be called until the connection has ended and is not to be made again: after close(),
     * and after an end without $reconnect. Where PHP has pcntl, SIGTERM and SIGINT stop it meanwhile.
     *
     * @throws UsageError If the URL, the address, a field or the config is wrong.
     */
    public function run(): void
    {
        if ($this->isOver()) {
            $this->isClosed = false;
            $this->connect();
        }
        parent::run();
    }

    /**
     * Sends a message. Returns false if it is not sent: there is no connection that is open, or the server does not read
     * what was sent before.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY.
     * @param bool|null $compress As for Connection::send(), as is $more.
     *
     * @throws UsageError If the text is not UTF-8, or $kind is another one.
     */
    public function send(
        string $data,
        int $kind = Opcode::TEXT,
        ?bool $compress = null,
        bool $more = false,
    ): bool {
        return $this->peer !== null && $this->peer->send($data, $kind, $compress, $more);
    }

    /**
     * Closes the connection, after what was sent, and makes no other. Returns false if it was not open.
     *
     * @param int $code A close code that may be sent, or 1005 for none.
     * @param string $reason UTF-8 of at most 123 bytes.
     *
     * @throws UsageError For another code or reason.
     */
    public function close(int $code = 1000, string $reason = ''): bool
    {
        $this->isClosed = true;
        $this->retry?->cancel();
        $this->retry = null;
        if ($this->peer !== null && !$this->peer->isTold) {
            // It is on its way there.
            $this->peer->terminate();
            return false;
        }
        return $this->peer !== null && $this->peer->close($code, $reason);
    }

    /** Returns whether messages can be sent. */
    public function isOpen(): bool
    {
        return $this->peer !== null && $this->peer->isOpen();
    }

    /** Returns who is at the other end; null while there is no connection. */
    public function peer(): ?Peer
    {
        return $this->peer;
    }

    /** @internal */
    public function happened(?Peer $peer, Event $event): void
    {
        if ($peer === null) {
            return;
        }
        switch ($event->kind) {
            case EventKind::OPEN:
                $peer->isTold = true;
                $this->openedNs = \hrtime(true);
                $this->call('open', $peer);
                break;
            case EventKind::CLOSE:
                $this->reason = $event->data;
                break;
            case EventKind::DRAIN:
                $this->call('drain', $peer);
                break;
            case EventKind::ERROR:
                if (!$peer->isTold) {
                    $peer->hasFailed = true;
                    $this->report(new NotConnected($this->why($peer), $event->closeCode, $event->data), $peer);
                }
                break;
            case EventKind::GONE:
                $this->ended($peer, $event->closeCode);
                break;
        }
    }

    protected function ofMessages(\Closure $callback): \Closure
    {
        return static fn (Peer $peer, string $data, int $kind) => $callback($peer->owner, $data, $kind);
    }

    protected function subject(?Peer $peer): ?Client
    {
        return $peer === null ? null : $this;
    }

    protected function isOver(): bool
    {
        return $this->peer === null && $this->retry === null;
    }

    private function connect(): void
    {
        $this->retry = null;
        $this->reason = '';
        $hub = $this->loop->hub;
        $id = $hub->connect($this->url, $this->config, $this->address, $this->fields);
        $this->peer = $this->loop->peers[$id] = new Peer($this, $hub, $id);
    }

    /** The connection is gone, or did not come about. */
    private function ended(Peer $peer, int $code): void
    {
        $why = $this->why($peer);
        unset($this->loop->peers[$peer->id]);
        $this->peer = null;
        if ($this->reconnect !== null && !$this->isClosed && !$this->loop->isStopping) {
            $hasHeld = $peer->isTold && \hrtime(true) - $this->openedNs >= $this->reconnect->heldMs * 1_000_000;
            $this->attempts = $hasHeld ? 0 : $this->attempts;
            $this->retry = $this->after($this->reconnect->waitMs($this->attempts++), $this->tryAgain(...));
        }
        if ($peer->isTold) {
            $this->call('close', $peer, $code, $this->reason, $this->retry !== null);
        } elseif (!$peer->hasFailed && !$this->isClosed) {
            $this->report(new NotConnected($why), $peer);
        }
    }

    private function tryAgain(): void
    {
        $this->retry = null;
        if (!$this->isClosed && !$this->loop->isStopping) {
            $this->connect();
        }
    }

    private function why(Peer $peer): string
    {
        return $this->loop->hub->connection($peer->id)?->error() ?? 'the server hung up before it had answered';
    }
}

<?php

declare(strict_types=1);

namespace Examples;

/**
 * A plain loop over many TCP connections with stream_select(): it knows nothing of WebSocket.
 *
 * No call waits for one client: reads take what has come, writes give what fits, and the rest is kept for later.
 */
final class Loop
{
    /** select() cannot watch more descriptors than 1024. */
    private const MAX_CLIENTS = 1000;

    /** @var array<int, array{resource, callable(Client): Handler}> */
    private array $listeners = [];
    /** @var array<int, Client> */
    private array $clients = [];
    private bool $isOutOfPlaces = false;

    /** Listens, and gives each client that comes to $accept. Returns the port; the system chooses one for 0. */
    public function listen(string $host, int $port, callable $accept): int
    {
        $socket = @stream_socket_server("tcp://$host:$port", $code, $reason)
            ?: throw new \RuntimeException("cannot listen on $host:$port: $reason");
        stream_set_blocking($socket, false);
        $this->listeners[(int) $socket] = [$socket, $accept];
        $name = stream_socket_get_name($socket, false);
        return (int) substr($name, strrpos($name, ':') + 1);
    }

    public function run(): never
    {
        while (true) {
            $this->turn();
        }
    }

    private function turn(): void
    {
        // With no place for another client nobody is let in, until there is one again.
        $isCrowded = $this->isOutOfPlaces || count($this->clients) >= self::MAX_CLIENTS;
        $this->isOutOfPlaces = false;
        $read = $isCrowded ? [] : array_column($this->listeners, 0);
        $write = $except = [];
        $wait = 1;
        foreach ($this->clients as $client) {
            if ($client->isActive()) {
                $wait = 0;
            }
            // Who does not take his answers gets no new ones.
            if ($client->isFull()) {
                $write[] = $client->socket;
            } else {
                $read[] = $client->socket;
            }
        }
        if ($read === [] && $write === []) {
            sleep($wait);
        } else {
            stream_select($read, $write, $except, $wait);
        }

        foreach ($read as $socket) {
            $listener = $this->listeners[(int) $socket] ?? null;
            $listener ? $this->accept(...$listener) : $this->clients[(int) $socket]->read();
        }
        foreach ($write as $socket) {
            $this->clients[(int) $socket]->write();
        }
        foreach ($this->clients as $client) {
            $client->endTurn();
        }
        // Only now: the end of one client's turn may be the end of another client.
        $this->clients = array_filter($this->clients, fn(Client $client) => !$client->isGone());
    }

    private function accept($listener, callable $accept): void
    {
        $socket = @stream_socket_accept($listener, 0, $address);
        if ($socket === false) {
            // The client is gone again, or there are no descriptors left.
            $this->isOutOfPlaces = true;
            return;
        }
        $client = new Client($socket, $address);
        $client->handler = $accept($client);
        $this->clients[(int) $socket] = $client;
    }
}

/** What a client is served by: bytes in, bytes out, and what the time asks for. */
interface Handler
{
    public function received(string $bytes): void;

    /** The bytes that wait to be sent. */
    public function output(): string;

    /** So many of them were sent. */
    public function sent(int $length): void;

    /** Returns in how many milliseconds it wants to be called again, null for never, 0 if the client is to go. */
    public function tick(int $nowMs): ?int;

    /** The client is gone. */
    public function gone(): void;
}

/** One TCP connection. */
final class Client
{
    private const CHUNK = 65536;
    private const LINGER_MS = 2000;

    public Handler $handler;
    /** Whether the handler may have something to send, or has a new reason to ask for the time. */
    private bool $isActive = true;
    private bool $isFull = false;
    private bool $isGone = false;
    private int $tickAt = 0;
    /** When a client that has been told all is dropped, if it does not go by itself before. */
    private ?int $dropAt = null;

    /** @param resource $socket */
    public function __construct(public readonly mixed $socket, public readonly string $address)
    {
        stream_set_blocking($socket, false);
        stream_set_chunk_size($socket, self::CHUNK);
    }

    public static function log(string $address, string $what): void
    {
        fwrite(STDERR, date('H:i:s') . " $address $what\n");
    }

    public function isActive(): bool
    {
        return $this->isActive;
    }

    public function isFull(): bool
    {
        return $this->isFull;
    }

    public function isGone(): bool
    {
        return $this->isGone;
    }

    /** The handler has something to send. */
    public function wake(): void
    {
        $this->isActive = true;
    }

    public function read(): void
    {
        if ($this->isGone) {
            return;
        }
        $bytes = @fread($this->socket, self::CHUNK);
        if ($bytes === '' || $bytes === false) {
            if (feof($this->socket)) {
                $this->drop();
            }
            return;
        }
        if ($this->dropAt === null) {
            $this->isActive = true;
            $this->handler->received($bytes);
        }
    }

    public function write(): void
    {
        while (!$this->isGone && ($output = $this->handler->output()) !== '') {
            $sent = @fwrite($this->socket, $output);
            if ($sent === false) {
                $this->drop();
                return;
            }
            $this->handler->sent($sent);
            $this->isFull = $sent < strlen($output);
            if ($this->isFull) {
                return;
            }
        }
    }

    /** Sends what this turn has brought, as one write, and looks at the clock. */
    public function endTurn(): void
    {
        $now = hrtime(true) / 1_000_000 | 0;
        if ($this->dropAt !== null) {
            if ($now >= $this->dropAt) {
                $this->drop();
            }
            return;
        }
        if ($this->isGone || !$this->isActive && $now < $this->tickAt) {
            return;
        }
        $this->isActive = false;
        $this->write();
        $wait = $this->isGone ? null : $this->handler->tick($now);
        $this->tickAt = $wait === null ? PHP_INT_MAX : $now + $wait;
        $this->write();
        if ($wait === 0 && !$this->isGone) {
            // Only this side, and the rest when the client has gone: fclose() could destroy what is on its way to it.
            stream_socket_shutdown($this->socket, STREAM_SHUT_WR);
            $this->dropAt = $now + self::LINGER_MS;
        }
    }

    /** Ends the connection at once. */
    public function drop(): void
    {
        if (!$this->isGone) {
            $this->isGone = true;
            fclose($this->socket);
            $this->handler->gone();
        }
    }
}

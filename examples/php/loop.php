<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Connection;
use Wsframe\Event;
use Wsframe\UsageError;

/**
 * Serves many WebSocket connections with stream_select().
 *
 * No call waits for one client: reads take what has come, writes give what fits, and the rest waits in the connection.
 * Only clients to whom something happened take a turn; once a second all do, for pings and timeouts.
 */
final class Loop
{
    /** select() cannot watch descriptors from 1024 up; some are for other things. */
    private const MAX_CLIENTS = 1000;
    private const SWEEP_MS = 1000;
    private const LISTEN = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
    /** How long clients have to answer the close frame when the server stops. */
    private const GRACE_MS = 2000;

    /** @var array<int, callable(Loop, resource, string): Client> by the number of the listening socket */
    private array $accepts = [];
    /** @var array<int, resource> all of them, also while nobody is let in */
    private array $listeners = [];
    /** @var array<int, Client> by the number of their socket */
    private array $clients = [];
    /** @var array<int, resource> from whom bytes or clients are awaited */
    private array $reading = [];
    /** @var array<int, resource> who does not take what waits for him: he is not read from either */
    private array $writing = [];
    /** @var array<int, Client> who takes a turn */
    private array $awake = [];
    private int $sweepAt = 0;
    private ?int $endAt = null;
    private bool $isStopped = false;
    /** Whether it was said that nobody is let in. */
    private bool $isCrowded = false;

    /** Listens, and gives each client that comes to $accept. Returns the port; the system chooses one for 0. */
    public function listen(string $host, int $port, callable $accept): int
    {
        // What is sent is written at once: it does not wait for the acknowledgement of what was before.
        $options = stream_context_create(['socket' => ['tcp_nodelay' => true, 'backlog' => 511]]);
        $socket = @stream_socket_server("tcp://$host:$port", $code, $reason, self::LISTEN, $options)
            ?: throw new \RuntimeException("cannot listen on $host:$port: $reason");
        stream_set_blocking($socket, false);
        $this->listeners[(int) $socket] = $this->reading[(int) $socket] = $socket;
        $this->accepts[(int) $socket] = $accept;
        $name = stream_socket_get_name($socket, false);
        return (int) substr($name, strrpos($name, ':') + 1);
    }

    /** Serves until stop(). */
    public function run(): void
    {
        while ($this->endAt === null || $this->clients !== [] && self::now() < $this->endAt) {
            $this->turn();
        }
        foreach ($this->clients as $client) {
            $client->drop();
        }
    }

    /** Lets nobody in any more, closes with 1001, and ends run(). May be called by a signal handler. */
    public function stop(): void
    {
        $this->isStopped = true;
    }

    /** The client has something to say, or to be asked for. */
    public function wake(Client $client): void
    {
        $this->awake[(int) $client->socket] = $client;
    }

    /** Waits for what the client does next: takes what waits for him, or says something. */
    public function await(Client $client, bool $isFull): void
    {
        $id = (int) $client->socket;
        if ($isFull === isset($this->writing[$id])) {
            return;
        }
        if ($isFull) {
            $this->writing[$id] = $client->socket;
            unset($this->reading[$id]);
        } else {
            $this->reading[$id] = $client->socket;
            unset($this->writing[$id]);
        }
    }

    public function forget(Client $client): void
    {
        $id = (int) $client->socket;
        unset($this->clients[$id], $this->reading[$id], $this->writing[$id], $this->awake[$id]);
    }

    private static function now(): int
    {
        return intdiv(hrtime(true), 1_000_000);
    }

    private function turn(): void
    {
        [$read, $write] = $this->select();
        $nowMs = self::now();
        foreach ($write as $id => $socket) {
            $this->awake[$id] = $this->clients[$id];
        }
        foreach ($read as $id => $socket) {
            if (isset($this->accepts[$id])) {
                $this->accept($socket, $this->accepts[$id]);
            } elseif (isset($this->clients[$id])) {
                $this->awake[$id] = $this->clients[$id];
                $this->attempt($this->clients[$id], null);
            }
        }
        if ($this->isStopped && $this->endAt === null) {
            $this->end($nowMs);
        }
        if ($nowMs >= $this->sweepAt) {
            $this->sweepAt = $nowMs + self::SWEEP_MS;
            $this->awake = $this->clients;
            $this->reading += $this->endAt === null ? $this->listeners : [];
        }
        while ($this->awake !== []) {               // the end of one client may be news for others
            [$awake, $this->awake] = [$this->awake, []];
            foreach ($awake as $client) {
                $this->attempt($client, $nowMs);
            }
        }
    }

    /** @return array{array<int, resource>, array<int, resource>} The sockets that can be read, and written. */
    private function select(): array
    {
        [$read, $write, $except] = [$this->reading, $this->writing, null];
        $waitMs = max(0, $this->sweepAt - self::now());
        if ($read === [] && $write === []) {
            usleep($waitMs * 1000);
            return [[], []];
        }
        $isDone = @stream_select($read, $write, $except, intdiv($waitMs, 1000), $waitMs % 1000 * 1000);
        return $isDone === false ? [[], []] : [$read, $write];      // a signal has come
    }

    /** What fails for one client ends that client, and nothing else. */
    private function attempt(Client $client, ?int $nowMs): void
    {
        try {
            $nowMs === null ? $client->read() : $client->endTurn($nowMs);
        } catch (\Throwable $failure) {
            $client->fail($failure);
        }
    }

    private function accept($listener, callable $accept): void
    {
        $isCrowded = count($this->clients) >= self::MAX_CLIENTS;
        $socket = $isCrowded ? false : @stream_socket_accept($listener, 0, $address);
        if ($socket === false) {
            // He may be gone again, or there are no descriptors left. Nobody is let in until the next sweep.
            $this->reading = array_diff_key($this->reading, $this->listeners);
            if (!$this->isCrowded) {
                $this->isCrowded = true;
                $why = $isCrowded ? 'there are ' . self::MAX_CLIENTS : error_get_last()['message'];
                Client::log('server', "lets in no more clients for now: $why");
            }
            return;
        }
        $this->isCrowded = false;
        [$read, $write, $except] = [[$socket], null, null];
        if (@stream_select($read, $write, $except, 0) === false) {
            Client::log($address, 'refused: select() cannot watch so many descriptors');
            fclose($socket);
            return;
        }
        $this->clients[(int) $socket] = $accept($this, $socket, $address);
        $this->reading[(int) $socket] = $socket;
    }

    private function end(int $nowMs): void
    {
        $this->endAt = $nowMs + self::GRACE_MS;
        $this->reading = array_diff_key($this->reading, $this->listeners);
        array_map(fclose(...), $this->listeners);
        foreach ($this->clients as $client) {
            $client->close(1001);
        }
    }
}

/** One TCP connection, and the WebSocket connection on it. */
abstract class Client
{
    private const CHUNK = 65536;
    private const LINGER_MS = 2000;

    private bool $isGone = false;
    private bool $hasFailed = false;
    /** When a client that has been told all is dropped, if it does not go by itself before. */
    private ?int $dropAt = null;

    /** @param resource $socket */
    public function __construct(
        private readonly Loop $loop,
        public readonly mixed $socket,
        public readonly string $address,
        public readonly Connection $connection,
    ) {
        stream_set_blocking($socket, false);
        stream_set_read_buffer($socket, 0);
    }

    /** Bytes that were written to the socket. */
    protected function written(string $bytes): void
    {
    }

    /** Something happened on the connection; the last is EventKind::GONE. */
    abstract protected function happened(Event $event): void;

    public static function log(string $address, string $what): void
    {
        fwrite(STDERR, date('H:i:s') . " $address $what\n");
    }

    public function isGone(): bool
    {
        return $this->isGone;
    }

    /** The client has something to say, outside of its own turn. */
    public function wake(): void
    {
        if (!$this->isGone) {
            $this->loop->wake($this);
        }
    }

    public function read(): void
    {
        $bytes = @fread($this->socket, self::CHUNK);
        if ($bytes === '' || $bytes === false) {
            if (feof($this->socket)) {
                $this->drop();
            }
        } elseif ($this->dropAt === null) {
            $this->received($bytes);
        }
    }

    protected function received(string $bytes): void
    {
        $this->take($this->connection->receive($bytes));
    }

    /** @param iterable<Event> $events */
    protected function take(iterable $events): void
    {
        foreach ($events as $event) {
            if ($this->isGone) {
                return;
            }
            $this->happened($event);
        }
    }

    /** Writes what waits, and looks at the clock. */
    public function endTurn(int $nowMs): void
    {
        if ($this->isGone || $this->dropAt !== null && $nowMs < $this->dropAt) {
            return;
        }
        $sent = 0;
        while (($output = $this->connection->output($nowMs, $sent)) !== '') {
            $sent = @fwrite($this->socket, $output);
            if ($sent === false) {
                $this->drop();
                return;
            }
            if ($sent === 0) {
                break;
            }
            $this->written(substr($output, 0, $sent));
            if ($this->isGone) {
                return;
            }
        }
        $this->loop->await($this, $output !== '');
        if ($this->connection->waitMs() === 0) {
            $this->end($nowMs);
        }
    }

    /** Only this side, and the rest when the client has gone: fclose() could destroy what is on its way to it. */
    private function end(int $nowMs): void
    {
        if ($this->dropAt !== null) {
            $this->drop();
            return;
        }
        stream_socket_shutdown($this->socket, STREAM_SHUT_WR);
        $this->dropAt = $nowMs + self::LINGER_MS;
    }

    /** Closes with a code of RFC 6455 section 7.4.1; who is not let in yet is dropped. */
    public function close(int $code, string $reason = ''): void
    {
        try {
            $this->connection->close($code, $reason);
            $this->wake();
        } catch (UsageError) {
            $this->drop();
        }
    }

    /** The program made a mistake with this client. */
    public function fail(\Throwable $failure): void
    {
        self::log($this->address, "failed: {$failure->getMessage()} in {$failure->getFile()}:{$failure->getLine()}");
        if ($this->isGone) {
            return;
        }
        if ($this->hasFailed) {
            $this->drop();
            return;
        }
        $this->hasFailed = true;
        $this->close(1011);
    }

    /** Ends the connection at once, and gives back its memory. */
    public function drop(): void
    {
        if ($this->isGone) {
            return;
        }
        $this->isGone = true;
        $this->loop->forget($this);
        fclose($this->socket);
        try {
            foreach ($this->connection->gone() as $event) {
                $this->happened($event);
            }
        } catch (\Throwable $failure) {
            $this->fail($failure);
        }
        $this->connection->free();
    }
}

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
        $read = array_column($this->listeners, 0);
        $write = $except = [];
        foreach ($this->clients as $client) {
            if ($client->wantsToRead()) {
                $read[] = $client->socket;
            }
            if ($client->wantsToWrite()) {
                $write[] = $client->socket;
            }
        }
        stream_select($read, $write, $except, 1);

        foreach ($read as $socket) {
            $listener = $this->listeners[(int) $socket] ?? null;
            $listener ? $this->accept(...$listener) : $this->clients[(int) $socket]->read();
        }
        foreach ($write as $socket) {
            $this->clients[(int) $socket]->write();
        }
        foreach ($this->clients as $key => $client) {
            $client->watchTheClock();
            if ($client->isGone()) {
                unset($this->clients[$key]);
            }
        }
    }

    private function accept($listener, callable $accept): void
    {
        $socket = @stream_socket_accept($listener, 0, $address);
        if ($socket === false) {
            return;
        }
        if (count($this->clients) >= self::MAX_CLIENTS) {
            Client::log($address, 'refused: there are ' . self::MAX_CLIENTS . ' clients already');
            fclose($socket);
            return;
        }
        $client = new Client($socket, $address);
        $client->handler = $accept($client);
        $this->clients[(int) $socket] = $client;
    }
}

/** What a client is served by. */
interface Handler
{
    /** More bytes have come; all that are not used yet are in $client->in. */
    public function received(): void;

    /** The client is gone. */
    public function gone(): void;
}

/** One TCP connection. */
final class Client
{
    private const CHUNK = 65536;
    /** With more than this waiting to be sent nothing more is read: who does not take answers gets no new ones. */
    private const ENOUGH_QUEUED = 1 << 20;
    /** With more than this a client is dropped: what others say to it piles up as well. */
    private const MAX_QUEUED = 16 << 20;
    /** How many seconds a client has to say what it wants, and to go when it is asked to. */
    private const PATIENCE_HANDSHAKE = 10;
    private const PATIENCE_CLOSE = 5;

    public Handler $handler;
    /** Received and not yet used. */
    public string $in = '';
    private string $out = '';
    private bool $finishing = false;
    private bool $gone = false;
    private ?float $deadline;

    /** @param resource $socket */
    public function __construct(public readonly mixed $socket, public readonly string $address)
    {
        stream_set_blocking($socket, false);
        stream_set_chunk_size($socket, self::CHUNK);
        $this->deadline = microtime(true) + self::PATIENCE_HANDSHAKE;
    }

    /** Sends $bytes as soon as the client takes them. */
    public function send(string $bytes): void
    {
        if ($this->gone || $this->finishing) {
            return;
        }
        $this->out .= $bytes;
        if (strlen($this->out) > self::MAX_QUEUED) {
            $this->drop('it does not read what it is sent');
        }
    }

    /** Ends the connection when all that was given to send() has been sent. What still comes is ignored. */
    public function finish(): void
    {
        $this->finishing = true;
        $this->deadline = microtime(true) + self::PATIENCE_CLOSE;
        $this->write();
    }

    /** The client has said what it wants and may now be silent for as long as it likes. */
    public function stay(): void
    {
        $this->deadline = null;
    }

    public static function log(string $address, string $what): void
    {
        fwrite(STDERR, date('H:i:s') . " $address $what\n");
    }

    public function wantsToRead(): bool
    {
        return $this->finishing || strlen($this->out) < self::ENOUGH_QUEUED;
    }

    public function wantsToWrite(): bool
    {
        return $this->out !== '';
    }

    public function isGone(): bool
    {
        return $this->gone;
    }

    public function read(): void
    {
        if ($this->gone) {
            return;
        }
        $bytes = @fread($this->socket, self::CHUNK);
        if ($bytes === '' || $bytes === false) {
            if (feof($this->socket)) {
                $this->drop($this->finishing ? '' : 'vanished without a close frame');
            }
            return;
        }
        if (!$this->finishing) {
            $this->in .= $bytes;
            $this->handler->received();
            $this->write();
        }
    }

    public function write(): void
    {
        if ($this->gone) {
            return;
        }
        if ($this->out !== '') {
            $sent = @fwrite($this->socket, $this->out);
            if ($sent === false) {
                $this->drop($this->finishing ? '' : 'vanished while it was being answered');
                return;
            }
            $this->out = substr($this->out, $sent);
        }
        if ($this->finishing && $this->out === '') {
            // Only this side: a client that is still sending would otherwise be reset before it has read its answer.
            stream_socket_shutdown($this->socket, STREAM_SHUT_WR);
        }
    }

    public function watchTheClock(): void
    {
        if ($this->deadline !== null && microtime(true) > $this->deadline) {
            $this->drop($this->finishing ? 'did not close its side' : 'did not finish its opening handshake');
        }
    }

    private function drop(string $why): void
    {
        if ($this->gone) {
            return;
        }
        $this->gone = true;
        if ($why !== '') {
            self::log($this->address, $why);
        }
        fclose($this->socket);
        $this->handler->gone();
    }
}

<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Event;
use Wsframe\EventKind;

/** A client on a real socket, which a test turns beside the server. */
final class Client
{
    /** @var list<Event> What has happened so far. */
    public array $events = [];
    public readonly Connection $connection;
    /** Whether it takes what it is sent. */
    public bool $reads = true;
    /** @var resource|null */
    private mixed $socket;

    /**
     * @param string $address As stream_socket_client() takes it.
     * @param array<string, string> $fields Of the request.
     */
    public function __construct(string $address, string $target = '/', ?Config $config = null, array $fields = [])
    {
        $this->socket = stream_socket_client($address);
        stream_set_blocking($this->socket, false);
        $this->connection = Connection::client($config);
        foreach ($fields as $name => $value) {
            $this->connection->addField($name, $value);
        }
        $this->connection->request('localhost', $target);
    }

    /** Writes what waits, and reads what has come. */
    public function turn(): void
    {
        if ($this->socket === null) {
            return;
        }
        $sent = 0;
        while (($output = $this->connection->output(intdiv(hrtime(true), 1_000_000), $sent)) !== '') {
            $sent = (int) @fwrite($this->socket, $output);
            if ($sent === 0) {
                break;
            }
        }
        $read = $this->reads ? (string) @fread($this->socket, 1 << 20) : '';
        foreach ($this->connection->receive($read) as $event) {
            $this->events[] = $event;
        }
        if ($read === '' && $this->reads && feof($this->socket)) {
            $this->leave();
        }
    }

    /** Ends TCP, without a word more. */
    public function leave(): void
    {
        if ($this->socket !== null) {
            array_push($this->events, ...$this->connection->gone());
            fclose($this->socket);
            $this->socket = null;
        }
    }

    public function has(int $kind): bool
    {
        return in_array($kind, array_column($this->events, 'kind'), true);
    }

    /** @return list<string> The messages that have come. */
    public function messages(): array
    {
        $isMessage = static fn (Event $event): bool => in_array($event->kind, [EventKind::TEXT, EventKind::BINARY], true);
        return array_column(array_filter($this->events, $isMessage), 'data');
    }

    /** How it ended. */
    public function closeCode(): ?int
    {
        $last = end($this->events);
        return $last !== false && $last->kind === EventKind::GONE ? $last->closeCode : null;
    }
}

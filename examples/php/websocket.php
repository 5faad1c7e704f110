<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\State;
use Wsframe\UsageError;

/** Where a path of the server leads to. */
abstract class Room
{
    /** Whether its messages may be compressed. */
    public const MAY_COMPRESS = true;

    /** @param bool $isText Whether the message is text; if not, it is binary. */
    abstract public function received(WebSocket $socket, string $message, bool $isText): void;

    public function joined(WebSocket $socket): void
    {
    }

    /** Bytes as they came, before anything was made of them. */
    public function heard(WebSocket $socket, string $bytes): void
    {
    }

    public function left(WebSocket $socket): void
    {
    }
}

/**
 * One client of the server: the steps of "WebSocket--How it works", which libwsframe's connection does.
 *
 * Step 3: both sides build the handshake. Sec-WebSocket-Key is taken from the head that the client sent, the magic string
 * is appended, both are hashed with SHA-1 (which the document calls HMAC1) and encoded in base64; that is returned.
 *
 * Step 4: the client compares the result with its own. If they differ, it disconnects.
 *
 * Step 5: what is transferred from then on is packed into frames. The browser's JavaScript has that built in, the server
 * has libwsframe.
 *
 * Step 6: unpacking. The length is in the low 7 bits of the second byte if it is up to 125, in the next 16 bits if they say
 * 126, in the next 64 bits if they say 127. Then comes the masking key, and then the data.
 *
 * Step 7: packing is also required when the server sends. A server does not mask.
 */
final class WebSocket implements Handler
{
    public readonly Connection $connection;
    /** The room the client is in once its opening handshake is done. */
    private ?Room $room = null;
    /** Whether nothing that the client may still say is listened to, but its close frame. */
    private bool $isRefused = false;
    /** Whether there is nobody any more to hear or to tell something. */
    private bool $isOver = false;

    /** @param array<string, Room> $rooms by path */
    public function __construct(
        private readonly Client $client,
        private readonly array $rooms,
        private readonly string $page,
    ) {
        $this->connection = Connection::server(new Config(ask: true, deflate: true));
    }

    public function received(string $bytes): void
    {
        if (!$this->isOver) {
            $this->room?->heard($this, $bytes);
            $this->takeAll($this->connection->receive($bytes));
        }
    }

    public function output(): string
    {
        return $this->connection->output();
    }

    public function sent(int $length): void
    {
        $this->connection->sent($length);
    }

    public function tick(int $nowMs): ?int
    {
        return $this->connection->tick($nowMs);
    }

    public function gone(): void
    {
        if ($this->connection->state() === State::OPEN) {
            $this->log('vanished without a close frame');
        } elseif ($this->connection->state() === State::FAILED && $this->connection->error() === null) {
            $this->log('did not answer in time');
        }
        $this->isOver = true;
        $this->room?->left($this);
    }

    /** Calls $send with the connection, to put something into its output. */
    public function send(callable $send): void
    {
        if ($this->isOver) {
            return;
        }
        try {
            $send($this->connection);
            $this->client->wake();
        } catch (UsageError $error) {
            if ($this->connection->state() === State::OPEN) {
                // What others say to a client that does not read piles up until there is too much of it.
                $this->log('dropped: ' . $error->getMessage());
                $this->client->drop();
            }
        }
    }

    /** Closes with a code of RFC 6455 section 7.4.1 and says why. */
    public function refuse(int $closeCode, string $why): void
    {
        $this->isRefused = true;
        $this->log("refused with $closeCode: $why");
        $this->send(fn(Connection $connection) => $connection->close($closeCode, $why));
    }

    /** @param iterable<Event> $events */
    private function takeAll(iterable $events): void
    {
        foreach ($events as $event) {
            if (!$this->isOver) {
                $this->take($event);
            }
        }
    }

    private function take(Event $event): void
    {
        switch ($event->kind) {
            case EventKind::HTTP:
                $this->connection->addField('Content-Type', 'text/html; charset=utf-8');
                $this->connection->refuse(200, $this->page);
                break;
            case EventKind::REQUEST:
                $this->letIn();
                break;
            case EventKind::TEXT:
            case EventKind::BINARY:
                if (!$this->isRefused) {
                    $this->room->received($this, $event->data, $event->kind === EventKind::TEXT);
                }
                break;
            case EventKind::ERROR:
                $this->isOver = true;
                $this->log("refused with $event->closeCode: " . $this->connection->error());
        }
    }

    private function letIn(): void
    {
        $path = explode('?', $this->connection->target())[0];
        if (!isset($this->rooms[$path])) {
            $this->log("refused with 404: there is nothing at $path");
            $this->connection->refuse(404, "there is nothing at $path\n");
            return;
        }
        $this->room = $this->rooms[$path];
        if (!$this->room::MAY_COMPRESS) {
            $this->connection->declineDeflate();
        }
        $events = $this->connection->accept();
        $this->room->joined($this);
        $this->takeAll($events);
    }

    private function log(string $what): void
    {
        Client::log($this->client->address, $what);
    }
}

<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\State;

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

    /** Bytes as they came, before anything was made of them: first the head of the request. */
    public function heard(WebSocket $socket, string $bytes): void
    {
    }

    /** Bytes as they were sent: first the head of the response. */
    public function said(WebSocket $socket, string $bytes): void
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
final class WebSocket extends Client
{
    /** Above this he does not take what he is told. */
    private const MAX_WAITING = 1 << 20;

    /** The longest message, compressed or not; sent back in pieces it waits as a whole, and has to find room. */
    private const MAX_MESSAGE = 16 << 20;

    private static ?Config $config = null;

    /** The room the client is in once its opening handshake is done. */
    private ?Room $room = null;
    /** What came before there was a room that could hear it. */
    private string $opening = '';
    /** Whether nothing that the client may still say is listened to, but its close frame. */
    private bool $isRefused = false;

    /**
     * @param resource $socket
     * @param array<string, Room> $rooms by path
     */
    public function __construct(
        Loop $loop,
        mixed $socket,
        string $address,
        private readonly array $rooms,
        private readonly string $page,
    ) {
        self::$config ??= new Config(
            ask: true,
            deflate: true,
            maxMessageLen: self::MAX_MESSAGE,
            maxInflatedLen: self::MAX_MESSAGE,
            highWaterLen: 2 * self::MAX_MESSAGE,
        );
        parent::__construct($loop, $socket, $address, Connection::server(self::$config));
    }

    /** Tells the client something that it has not asked for. Who does not take what he is told is dropped. */
    public function tell(string|Message $message, int $kind = Opcode::TEXT): void
    {
        if ($this->isGone()) {
            return;
        }
        if ($this->connection->waiting() > self::MAX_WAITING) {
            $this->say('dropped: it does not read');
            $this->drop();
        } elseif ($this->connection->trySend($message, $kind)) {
            $this->wake();
        }
    }

    /** Closes with a code of RFC 6455 section 7.4.1 and says why. */
    public function refuse(int $closeCode, string $why): void
    {
        $this->isRefused = true;
        $this->say("refused with $closeCode: $why");
        $this->close($closeCode, $why);
    }

    protected function received(string $bytes): void
    {
        if ($this->room) {
            $this->room->heard($this, $bytes);
        } elseif ($this->connection->state() === State::CONNECTING) {
            $this->opening .= $bytes;
        }
        parent::received($bytes);
    }

    protected function written(string $bytes): void
    {
        $this->room?->said($this, $bytes);
    }

    protected function happened(Event $event): void
    {
        switch ($event->kind) {
            case EventKind::TEXT:
            case EventKind::BINARY:
                if (!$this->isRefused) {
                    $this->room->received($this, $event->data, $event->kind === EventKind::TEXT);
                }
                break;
            case EventKind::HTTP:
                $this->connection->addField('Content-Type', 'text/html; charset=utf-8');
                $this->connection->respond(200, $this->page);
                break;
            case EventKind::REQUEST:
                $this->letIn();
                break;
            case EventKind::ERROR:
                $this->say("refused with $event->closeCode: " . $this->connection->error());
                break;
            case EventKind::GONE:
                $this->leave($event);
        }
    }

    private function letIn(): void
    {
        $path = explode('?', $this->connection->target())[0];
        if (!isset($this->rooms[$path])) {
            $this->say("refused with 404: there is nothing at $path");
            $this->connection->respond(404, "there is nothing at $path\n");
            return;
        }
        $room = $this->rooms[$path];
        $events = $this->connection->accept(deflate: $room::MAY_COMPRESS);
        $this->room = $room;
        $room->joined($this);
        $room->heard($this, $this->opening);
        $this->opening = '';
        $this->take($events);
    }

    private function leave(Event $event): void
    {
        if ($event->error === ErrorCode::TIMEOUT) {
            $this->say('dropped: ' . $this->connection->error());
        } elseif ($event->error === 0 && $event->closeCode === 1006 && $this->room !== null) {
            $this->say('vanished without a close frame');
        }
        $room = $this->room;
        $this->room = null;
        $room?->left($this);
    }

    private function say(string $what): void
    {
        self::log($this->address, $what);
    }
}

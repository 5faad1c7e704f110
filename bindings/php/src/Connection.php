<?php

declare(strict_types=1);

namespace Wsframe;

use FFI\CData;

/**
 * One WebSocket connection (RFC 6455), of a server or a client, without I/O: bytes that were read go in and events come
 * out, messages go in and bytes to be written come out.
 *
 * When a server has read $data from a client's socket:
 *
 *     foreach ($connection->receive($data) as $event) {
 *         if ($event->kind === EventKind::TEXT) {
 *             $connection->sendText($event->data);            // an echo, for instance
 *         }
 *     }
 *     $connection->sent((int) fwrite($socket, $connection->output()));
 *     $waitMs = $connection->tick(intdiv(hrtime(true), 1_000_000));
 *
 * If $waitMs is 0, TCP is to be closed: shut down the sending side, read until the peer has closed its own, for a short
 * time at most, and then close. Else the next turn is when there is something to read, or after $waitMs, or, if sent(0)
 * says that output waits still, when the socket can be written to.
 *
 * Every method throws a UsageError if the call was wrong: its code is -1 (WSFRAME_ERROR_ARGUMENT) for an argument, -2
 * (WSFRAME_ERROR_STATE) if the connection cannot do this now, -3 (WSFRAME_ERROR_SPACE) if too much output is waiting.
 * Nothing was done then. What the peer does wrong is no exception but the last event.
 *
 * A signal handler (pcntl_async_signals) may use other connections. If it interrupts a call on the same one, its own
 * call is a UsageError (-2). It must not throw out of a call: PHP 8.2 itself may crash then, whatever it interrupts.
 */
final class Connection
{
    /** Null once it was freed, and while a call that reads what the library lent is running. */
    private ?CData $handle = null;

    private bool $isFreed = false;

    private function __construct()
    {
        $this->handle = Library::newHandle();
    }

    /** Makes the end that was connected to. It waits for a request, unless the config says startOpen. */
    public static function server(?Config $config = null): self
    {
        $connection = new self();
        Library::newServer($connection->handle, $config);
        return $connection;
    }

    /** Makes the end that connected. It is to call request() next, unless the config says startOpen. */
    public static function client(?Config $config = null): self
    {
        $connection = new self();
        Library::newClient($connection->handle, $config);
        return $connection;
    }

    /**
     * Frees the connection; every later call but this one throws. There is no need to: PHP frees what is not used any
     * more.
     */
    public function free(): void
    {
        if (!$this->isFreed) {
            Library::free($this->handle);
            $this->isFreed = true;
        }
    }

    public function __destruct()
    {
        Library::release($this->handle);
    }

    /** Two objects would free one connection. */
    private function __clone()
    {
    }

    public function __serialize(): never
    {
        throw Library::notSerializable('a connection');
    }

    public function __unserialize(array $data): never
    {
        throw Library::notSerializable('a connection');
    }

    /**
     * Puts a client's request into the output (RFC 6455 section 4.1), and returns how many bytes of output wait.
     *
     * @param string $host The value of the field Host, for instance "example.com:8080".
     * @param string $target The path and query, which begins with a slash.
     *
     * @throws UsageError Also for a server, for a second request, and if the system gives no random key (code -6).
     */
    public function request(string $host, string $target): int
    {
        return Library::request($this->handle, $host, $target);
    }

    /**
     * Takes bytes that were read from the peer, in pieces of any size, and returns what happened. What is to be
     * answered is then in output().
     *
     * What the peer does wrong is not an exception: it is the last event, EventKind::ERROR, after all that was valid
     * before it. Nothing is received after it or after EventKind::CLOSE. What answers the messages before one of these
     * can still be sent, until output() is called.
     *
     * @return list<Event>
     *
     * @throws UsageError Also after EventKind::ERROR.
     */
    public function receive(string $data): array
    {
        return Library::receive($this->handle, $data);
    }

    /**
     * Puts a text message into the output as one frame, and returns how many bytes of output wait.
     *
     * If both ends have agreed to compress, a message of at least the config's deflateMinLen is compressed if that
     * makes it shorter.
     *
     * @param bool|null $compress False does not compress this one, for instance because it has a secret next to what an
     *     attacker chose (RFC 7692 section 8); true compresses it however short it is; null leaves it to the library.
     *
     * @throws UsageError If the text is not UTF-8 (code -1); unless the connection is open, or while a message that is
     *     sent in pieces is not finished (-2); if more output would wait than the config allows (-3): write some and
     *     call again.
     */
    public function sendText(string $text, ?bool $compress = null): int
    {
        return Library::send($this->handle, Opcode::TEXT, $text, $compress);
    }

    /**
     * Puts a binary message into the output as one frame, and returns how many bytes of output wait.
     *
     * @param bool|null $compress As for sendText().
     *
     * @throws UsageError As sendText().
     */
    public function sendBinary(string $bytes, ?bool $compress = null): int
    {
        return Library::send($this->handle, Opcode::BINARY, $bytes, $compress);
    }

    /**
     * Puts many messages into the output, as sendText() or sendBinary() does with each, by one call of the library. It
     * is for many small ones: they are joined on the way there.
     *
     * Returns how many messages were put there. That is less than there are if there was no room for the next one, or
     * it cannot be sent; a call that begins with it throws.
     *
     * @param int $opcode Opcode::TEXT or Opcode::BINARY, for all of them.
     * @param string[] $messages
     * @param bool|null $compress As for sendText().
     *
     * @throws UsageError As sendText(), for the first of them.
     */
    public function sendMany(int $opcode, array $messages, ?bool $compress = null): int
    {
        return Library::sendMany($this->handle, $opcode, $messages, $compress);
    }

    /**
     * Puts a prepared message into the output, compressed if it is and if both ends have agreed to compress, and
     * returns how many bytes of output wait.
     *
     * @throws UsageError As sendText().
     */
    public function sendMessage(Message $message): int
    {
        return $message->sendOn($this->handle);
    }

    /**
     * Puts a piece of a message into the output, as a frame of its own (RFC 6455 section 5.4), and returns how many
     * bytes of output wait. Pings and close may come between the pieces. If both ends have agreed to compress, the
     * message is compressed unless its first piece says $compress false.
     *
     * @param int $opcode Opcode::TEXT or Opcode::BINARY, the same for all pieces of a message.
     * @param string $piece The bytes; text may be cut anywhere.
     * @param bool $last Whether the message ends with them.
     * @param bool|null $compress As for sendText(); that of the first piece counts.
     *
     * @throws UsageError As sendText(), and if the opcode is not that of the pieces before (-2).
     */
    public function sendPiece(int $opcode, string $piece, bool $last, ?bool $compress = null): int
    {
        return Library::sendPiece($this->handle, $opcode, $piece, $last, $compress);
    }

    /**
     * Puts a ping with a payload of at most 125 bytes into the output, and returns how many bytes of output wait.
     *
     * @throws UsageError Also unless the connection is open.
     */
    public function ping(string $payload = ''): int
    {
        return Library::ping($this->handle, $payload);
    }

    /**
     * Puts a pong with a payload of at most 125 bytes into the output, and returns how many bytes of output wait. Pings
     * are answered without it, unless the config says manualPong.
     *
     * @throws UsageError Also unless the connection is open.
     */
    public function pong(string $payload = ''): int
    {
        return Library::pong($this->handle, $payload);
    }

    /**
     * Puts a close frame into the output (RFC 6455 section 7.1.2), and returns how many bytes of output wait. Nothing
     * more can be sent then; what still comes is received until the peer's close frame.
     *
     * @param int $code A close code that may be sent, or 1005 for a frame without one.
     * @param string $reason UTF-8 of at most 123 bytes.
     *
     * @throws UsageError Also unless the connection is open.
     */
    public function close(int $code = 1000, string $reason = ''): int
    {
        return Library::close($this->handle, $code, $reason);
    }

    /**
     * Lets in the client of an EventKind::REQUEST, and returns what happened: EventKind::OPEN, and what the client has
     * sent since.
     *
     * @param string|null $subprotocol One that the client offered; null lets the config's list decide.
     *
     * @return list<Event>
     *
     * @throws UsageError If no request waits (code -2), or the subprotocol was not offered (-1).
     */
    public function accept(?string $subprotocol = null): array
    {
        return Library::accept($this->handle, $subprotocol ?? '');
    }

    /**
     * Does without permessage-deflate although the config has it: for some targets or some clients, after
     * EventKind::REQUEST and before accept(), or before a client's request().
     *
     * @throws UsageError It is too late.
     */
    public function declineDeflate(): void
    {
        Library::declineDeflate($this->handle);
    }

    /**
     * Answers an EventKind::REQUEST or EventKind::HTTP with an HTTP status from 200 to 599, the fields that were added,
     * and a body, and returns how many bytes of output wait. The connection is closed then.
     *
     * @throws UsageError If no request waits (code -2), or for another status (-1).
     */
    public function refuse(int $status, string $body = ''): int
    {
        return Library::refuse($this->handle, $status, $body);
    }

    /**
     * Adds a field to a client's request or a server's response, before it is written: directly after the connection
     * was made, or after EventKind::REQUEST or EventKind::HTTP.
     *
     * @throws UsageError If the name is no token or the value has a control character, so that neither can smuggle in
     *     another field (code -1); if it is too late (-2).
     */
    public function addField(string $name, string $value): void
    {
        Library::addField($this->handle, $name, $value);
    }

    /**
     * Returns the bytes that are to be written to the peer; '' if there are none. Tell sent() how many were written.
     * After EventKind::CLOSE or EventKind::ERROR they end with the close frame that answers it.
     *
     * @param int $maxLen No more than so many of them, for those who have much to say to slow peers.
     */
    public function output(int $maxLen = \PHP_INT_MAX): string
    {
        return Library::output($this->handle, $maxLen);
    }

    /**
     * Says that the first $len bytes of the output were written, and returns how many still wait.
     *
     * @throws UsageError Also if there are not so many.
     */
    public function sent(int $len): int
    {
        return Library::sent($this->handle, $len);
    }

    /**
     * Tells the connection what time it is. To be called at the end of each turn of a loop, after the output was
     * written, and when the time that was returned is over. It puts a ping into the output when the peer has been
     * silent for long.
     *
     * Returns in how many milliseconds it wants to be called again, null if nothing is due; 0 says that TCP is to be
     * closed: all is said, or the peer had its time.
     *
     * @param int $nowMs Milliseconds from any start that do not go back, for instance intdiv(hrtime(true), 1_000_000).
     */
    public function tick(int $nowMs): ?int
    {
        return Library::tick($this->handle, $nowMs);
    }

    /** Returns how far the connection has come: one of State's constants. */
    public function state(): int
    {
        return Library::state($this->handle);
    }

    /** Returns a sentence for the log that says what the peer did wrong, to the exact cause; null if it did nothing. */
    public function error(): ?string
    {
        return Library::sentence($this->handle);
    }

    /** Returns the name of the subprotocol that both ends speak; null if they agreed on none. */
    public function subprotocol(): ?string
    {
        return Library::subprotocol($this->handle);
    }

    /** Returns what both ends agreed on for compressed messages; null if messages are not compressed. */
    public function deflate(): ?Deflate
    {
        return Library::deflate($this->handle);
    }

    /**
     * Returns the target of the request, for instance "/chat?room=1". A server has one from EventKind::REQUEST,
     * EventKind::HTTP or EventKind::OPEN until the next receive(), accept() or tick(); else it is null.
     */
    public function target(): ?string
    {
        return Library::target($this->handle);
    }

    /**
     * Returns the value of the first field of this name, whatever the case of its letters, in the head of the request,
     * or of the response for a client. It is there as long as target() is; else, and if there is no such field, it is
     * null.
     */
    public function field(string $name): ?string
    {
        return Library::field($this->handle, $name);
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Arguments;
use Wsframe\Ffi\Endpoint;
use Wsframe\Ffi\Failure;

/**
 * One WebSocket connection (RFC 6455), of a server or a client, without I/O: bytes that were read go in and events come
 * out, messages go in and bytes to be written come out.
 *
 * A turn of a server's loop, when $data was read from a client's socket ('' if nothing was), or the socket takes more, or
 * the time is over that waitMs() has said:
 *
 *     foreach ($connection->receive($data) as $event) {
 *         if ($event->kind === EventKind::TEXT || $event->kind === EventKind::BINARY) {
 *             $connection->send($event->kind, $event->data);                  // an echo, for instance
 *         }
 *     }
 *     [$nowMs, $sent] = [intdiv(hrtime(true), 1_000_000), 0];
 *     while (($output = $connection->output($nowMs, $sent)) !== '') {
 *         $sent = (int) @fwrite($socket, $output);
 *         if ($sent === 0) {
 *             break;                                                          // the rest when the socket takes more
 *         }
 *     }
 *     $waitMs = $connection->waitMs();
 *
 * If $waitMs is 0, TCP is to be closed: shut down the sending side, read until the peer has closed its own, for two seconds
 * at most, and then close. While waiting() is not 0, wait until the socket can be written, and do not read from who does
 * not read. When TCP has ended call gone(), and then free().
 *
 * Methods throw a UsageError if the call was wrong; nothing was done then. Its message says what was wrong, its code is
 * an ErrorCode. What the peer does is never an exception: it is an event, and calls on a connection that is over, whoever
 * ended it, return 0 or no events.
 *
 * A Hub has its own connections, and lends them: what it does itself, which is all of the loop above, it does not let others
 * do.
 *
 * A signal handler (pcntl_async_signals) may use other connections. If it interrupts a call on the same one, its own
 * call is a UsageError (ErrorCode::STATE). It must not throw out of a call: PHP 8.2 itself may crash then, whatever it
 * interrupts.
 */
final class Connection extends Endpoint
{
    private const SERVER = 0;
    private const CLIENT = 1;
    private const WITHOUT_DEFLATE = 1;

    /** Makes the end that was connected to. It waits for a request, unless the config says startOpen. */
    public static function server(?Config $config = null): self
    {
        return new self(self::SERVER, $config);
    }

    /** Makes the end that connected. It is to call request() next, unless the config says startOpen. */
    public static function client(?Config $config = null): self
    {
        return new self(self::CLIENT, $config);
    }

    /**
     * Frees the connection; every later call but this one throws.
     *
     * PHP frees what is not used any more, but it waits for its collector where objects refer to each other in a circle,
     * and that does not see how much memory the library holds. So call it where TCP has ended. With a connection that a hub
     * has lent it does nothing.
     */
    public function free(): void
    {
        if ($this->isFreed || $this->lender !== null) {
            return;
        }
        if ($this->handle === null) {
            throw $this->noHandle();
        }
        $this->isFreed = true;
        $this->__destruct();
    }

    /** Two objects would be one connection. */
    private function __clone()
    {
    }

    public function __serialize(): never
    {
        throw Failure::argument('a connection cannot be serialized');
    }

    public function __unserialize(array $data): never
    {
        throw Failure::argument('a connection cannot be unserialized');
    }

    /** @return array<string, mixed> What var_dump() shows. */
    public function __debugInfo(): array
    {
        if ($this->handle === null) {
            return ['state' => match (true) {
                $this->isFreed => 'FREED',
                $this->lender !== null => 'GIVEN BACK, OR IN A CALL',
                default => 'IN A CALL',
            }];
        }
        $states = \array_flip((new \ReflectionClass(State::class))->getConstants());
        return [
            'role' => $this->role === self::SERVER ? 'server' : 'client',
            'state' => $states[$this->state()],
            'target' => $this->target(),
            'error' => $this->error(),
        ];
    }

    // --- What comes in

    /**
     * Says that TCP has ended: the peer closed it, it broke, or the program gives it up.
     *
     * Returns one last event, EventKind::GONE, with the close code of the closing handshake if it was done, and else 1006;
     * a second call returns none. The library gives back the memory that it held for the connection.
     *
     * @return list<Event>
     */
    public function gone(): array
    {
        return $this->events('gone');
    }

    // --- What goes out

    /**
     * Puts many messages into the output, as send() does with each, by one call of the library. It is for many small ones:
     * they are joined on the way there.
     *
     * Returns how many messages were put there; 0 if the connection is over. That is less than there are if more output
     * waits than the config's highWaterLen, or the next one cannot be sent; a call that begins with it throws.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY, for all of them.
     * @param string[] $messages
     * @param bool|null $compress As for send().
     *
     * @throws UsageError As send(), for the first of them.
     */
    public function sendMany(int $kind, array $messages, ?bool $compress = null): int
    {
        $opcode = Arguments::opcode($this->ffi, $kind, $compress, false);
        [$joined, $lens, $count] = Arguments::joined($this->ffi, 'messages', $messages);
        return $this->call('send_many', $opcode, $joined, $lens, $count);
    }

    /**
     * Puts a ping with a payload of at most 125 bytes into the output, and returns how many bytes of output wait; 0 if
     * the connection is over.
     *
     * @throws UsageError As send().
     */
    public function ping(string $payload = ''): int
    {
        return $this->send(Opcode::PING, $payload);
    }

    /**
     * Puts a pong with a payload of at most 125 bytes into the output, and returns how many bytes of output wait; 0 if
     * the connection is over. Pings are answered without it, unless the config says manualPong.
     *
     * @throws UsageError As send().
     */
    public function pong(string $payload = ''): int
    {
        return $this->send(Opcode::PONG, $payload);
    }

    /**
     * Puts a close frame into the output (RFC 6455 section 7.1.2), and returns how many bytes of output wait; 0 if the
     * connection is over already, or was closed before. Nothing more can be sent then; what still comes is received until
     * the peer's close frame.
     *
     * @param int $code A close code that may be sent, or 1005 for a frame without one.
     * @param string $reason UTF-8 of at most 123 bytes.
     *
     * @throws UsageError If the connection is not open yet (ErrorCode::STATE), or for another code or reason (ARGUMENT).
     */
    public function close(int $code = 1000, string $reason = ''): int
    {
        return $this->call('close', Arguments::number('close code', $code), $reason, \strlen($reason));
    }

    // --- The opening handshake

    /**
     * Puts a client's request into the output (RFC 6455 section 4.1), and returns how many bytes of output wait.
     * EventKind::OPEN tells that the server has accepted, EventKind::ERROR that it has not.
     *
     * @param string $host The value of the field Host, for instance "example.com:8080".
     * @param string $target The path and query, which begins with a slash.
     *
     * @throws UsageError If $host or $target is something else (ErrorCode::ARGUMENT), for a server or a second request
     *     (STATE), and if the system gives no random key (IO).
     */
    public function request(string $host, string $target): int
    {
        return $this->call('request', $host, \strlen($host), $target, \strlen($target));
    }

    /**
     * Adds a field to a client's request or a server's response, before it is written: directly after the connection
     * was made, or after EventKind::REQUEST or EventKind::HTTP.
     *
     * @throws UsageError If the name is no token or the value has a control character, so that neither can smuggle in
     *     another field, or if the library writes the field itself (ErrorCode::ARGUMENT); if it is too late (STATE).
     */
    public function addField(string $name, string $value): void
    {
        $this->call('add_field', $name, \strlen($name), $value, \strlen($value));
    }

    /**
     * Lets in the client of an EventKind::REQUEST, and returns what happened, as receive() does: EventKind::OPEN, and what
     * the client has sent since; no events if the connection is over meanwhile.
     *
     * @param string|null $subprotocol One that the client offered; null lets the config's list decide.
     * @param bool $deflate False does without permessage-deflate for this client although the config has it.
     *
     * @return iterable<Event>
     *
     * @throws UsageError If no request waits (ErrorCode::STATE), or the subprotocol was not offered (ARGUMENT).
     */
    public function accept(?string $subprotocol = null, bool $deflate = true): iterable
    {
        $subprotocol ??= '';
        $flags = $deflate ? 0 : self::WITHOUT_DEFLATE;
        return $this->events('accept', $subprotocol, \strlen($subprotocol), $flags);
    }

    /**
     * Answers an EventKind::REQUEST or EventKind::HTTP with an HTTP status from 200 to 599, the fields that were added,
     * and a body: a page, or why the client is refused. The connection is closed then. Returns how many bytes of output
     * wait; 0 if the connection is over meanwhile.
     *
     * @throws UsageError If no request waits (ErrorCode::STATE), or for another status (ARGUMENT).
     */
    public function respond(int $status, string $body = ''): int
    {
        return $this->call('respond', Arguments::number('status', $status), $body, \strlen($body));
    }

    /**
     * Returns the path and query of the request, for instance "/chat?room=1", also where the client sent a whole address.
     * A server has them from EventKind::REQUEST or EventKind::HTTP until the request is answered, and from EventKind::OPEN
     * until the next receive(), gone() or output(); with startOpen always, if the config has them. Else it is null.
     */
    public function target(): ?string
    {
        return $this->text('target');
    }

    /**
     * Returns the value of the first field of this name, whatever the case of its letters, in the head of the request,
     * or of the response for a client. It is there as long as target() is; else, and if there is no such field, or if it
     * is empty, it is null.
     */
    public function field(string $name): ?string
    {
        return $this->text('field', $name, \strlen($name));
    }

    /**
     * Returns all fields of that head, in their order and with those that stand there more than once.
     *
     * @return list<array{string, string}> Names and values.
     */
    public function fields(): array
    {
        return $this->head();
    }

    /** Returns the name of the subprotocol that both ends speak; null if they agreed on none. */
    public function subprotocol(): ?string
    {
        return $this->text('subprotocol');
    }

    /** Returns what both ends agreed on for compressed messages; null if messages are not compressed. */
    public function deflate(): ?Deflate
    {
        return $this->agreement();
    }

    // --- How it is

    /** Returns how far the connection has come: one of State's constants. */
    public function state(): int
    {
        return $this->call('state');
    }

    /**
     * Returns a sentence for the log that says why the connection failed, to the exact cause: what the peer did wrong or
     * did not do in time, or that memory ran out; null if it has not failed.
     */
    public function error(): ?string
    {
        return $this->sentence();
    }
}

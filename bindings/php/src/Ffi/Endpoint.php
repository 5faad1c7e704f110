<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;
use Wsframe\Config;
use Wsframe\Deflate;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\UsageError;

/**
 * The half of Connection that calls C: the methods of every turn in full, and for the other methods how to call. The former
 * are not in Connection, with a call from there, because that would be a tenth of their time.
 *
 * A signal handler (pcntl_async_signals) runs after calls and jumps of the program. So the handle is passed to C as
 * $this->handle, read as the first argument, and the other arguments are plain variables: between reading the handle and
 * calling C no handler can free it. Where C lends memory that PHP reads afterwards, the handle is taken out of this
 * object meanwhile: a handler that uses or frees the connection then finds none.
 *
 * A connection that a hub has lent keeps the hub's handle from handlers as well while it reads: they could end the loan. And
 * the hub ends no loan while a call is running on what it lent.
 *
 * The records that C writes belong to one connection, so that a handler that uses another one does not write to them.
 * Nothing is allocated for a call but what is returned.
 *
 * @internal
 */
abstract class Endpoint
{
    /** What output() copies at most, if it is not told: a peer that reads slowly costs no more than that each time. */
    private const MAX_OUTPUT = 128 << 10;

    /** So many places of the output are looked at for one write. */
    private const PARTS = 16;

    /** So much of what was written C may be told later. It is little beside the high water from here on. */
    private const UNTOLD = 4096;
    private const HIGH_WATER = 16 * self::UNTOLD;

    /** Null once it was freed or given back, and while a call that reads what the library lent is running. */
    protected ?CData $handle = null;
    protected bool $isFreed = false;
    /** The hub that has lent the connection, until its next poll. */
    protected ?HubCalls $lender = null;
    protected readonly int $role;
    protected FFI $ffi;

    private CData $batch;
    private CData $batchAddress;
    private CData $output;
    private CData $outputAddress;

    // A turn in which whole messages came and nothing else ends with the call that fetches the output. That it was written,
    // C is told with the next one, when it makes no difference: the peer was heard, and nothing ends.

    /** How much may be written without C being told. */
    private int $untold = self::UNTOLD;
    /** Whether this is such a turn. */
    private bool $isAnswer = false;
    /** How much output() has returned in such a turn, if that is all that waits. */
    private int $lent = 0;
    /** How much of that was written, of which C does not know yet. */
    private int $written = 0;

    /** Whether a piece of a message was sent, of which there may be more. */
    private bool $isInPieces = false;

    /** @param CData|null $lent The handle that the lender lends; there is no config then. */
    protected function __construct(int $role, ?Config $config, ?HubCalls $lender = null, ?CData $lent = null)
    {
        $ffi = Loader::ffi();
        $this->role = $role;
        $this->ffi = $ffi;
        $this->batch = $ffi->new('wsframe_batch');
        $this->batchAddress = FFI::addr($this->batch);
        $this->output = $ffi->new('wsframe_output');
        $this->output->wait_ms = Config::NEVER;
        $this->outputAddress = FFI::addr($this->output);
        if ($lender !== null) {
            // Whether a message is being sent in pieces, only the hub knows.
            [$this->lender, $this->handle, $this->isInPieces] = [$lender, $lent, true];
            return;
        }
        $record = null;
        if ($config !== null) {
            $record = ConfigRecord::of($ffi, $config);
            $this->untold = $config->highWaterLen === 0 || $config->highWaterLen >= self::HIGH_WATER ? self::UNTOLD : 0;
        }
        $handle = $ffi->new('wsframe_connection *');
        Failure::none($ffi->wsframe_connection_new($role, $record, FFI::addr($handle)));
        $this->handle = $handle;
    }

    /** @internal What a hub lends; see Hub::connection(). */
    public static function lent(HubCalls $lender, CData $handle): static
    {
        return new static($lender::ROLE, null, $lender, $handle);
    }

    /** @internal Ends the loan, before what was lent may be another's. */
    public function giveBack(): void
    {
        if ($this->handle === null) {
            throw $this->noHandle();
        }
        $this->handle = null;
    }

    public function __destruct()
    {
        if ($this->lender !== null) {
            return;
        }
        $handle = $this->handle;
        $this->handle = null;
        if ($handle !== null) {
            $this->ffi->wsframe_connection_free($handle);
        }
    }

    /**
     * Takes bytes that were read from the peer, in pieces of any size, and returns what happened. What is to be answered
     * is then in output().
     *
     * What is returned is for one foreach. It is a list, but where a read brings more than a list should hold, which is
     * about 1 MiB beyond a single message, or 4,094 events: then it is a generator, which brings the rest as the loop goes
     * on.
     *
     * What the peer does wrong is not an exception: it is the last event, EventKind::ERROR, after all that was valid
     * before it. Nothing is received after it or after EventKind::CLOSE. What answers the messages before one of these
     * can still be sent, until output() is called.
     *
     * @return iterable<Event>
     */
    public function receive(string $data): iterable
    {
        $this->lent = 0;
        $handle = $this->handle;
        $this->handle = null;
        try {
            if ($handle === null) {
                throw $this->noHandle();
            }
            $count = $this->ffi->wsframe_connection_receive($handle, $data, \strlen($data), $this->batchAddress);
            $batch = $this->batch;
            if ($count !== 1) {
                return $this->batched($count);
            }
            // As EventRecord does it, without a call.
            $record = $batch->events;
            $event = new Event();
            $event->kind = $record->kind;
            $flags = $record->flags;
            $this->isAnswer = $flags === EventRecord::WHOLE;
            if ($flags !== EventRecord::WHOLE) {
                $event->flags = $flags;
                $event->closeCode = $record->close_code;
                $event->error = $record->error;
            }
            $len = $record->len;
            if ($len > 0) {
                $data = $batch->data;
                $event->data = FFI::string($len === $batch->data_len ? $data : $data + $record->offset, $len);
            }
            return $batch->flags === 0 ? [$event] : $this->andTheRest([$event]);
        } finally {
            $this->handle = $handle;
        }
    }

    /**
     * Puts a message into the output, and returns how many bytes of output wait; 0 if the connection is over.
     *
     * What answers messages that came together with the end can still be sent until output() is called.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY, or that of the event that is answered: an echo is
     *     send($event->kind, $event->data). Opcode::PING and Opcode::PONG too.
     * @param string $payload The message; text is UTF-8.
     * @param bool|null $compress Where both ends have agreed to compress, a message of at least the config's deflateMinLen
     *     is compressed if that makes it shorter, and one in pieces always. False does not compress this one, for instance
     *     because it has a secret next to what an attacker chose (RFC 7692 section 8); true compresses it however short
     *     it is. Of a message in pieces the first piece decides.
     * @param bool $more Whether this is a piece of a message, and not the last. Each piece becomes a frame of its own
     *     (RFC 6455 section 5.4), and has the same $kind. Text may be cut anywhere. Pings, pongs and close() may come
     *     between them, other messages not.
     *
     * @throws UsageError If the text is not UTF-8 (ErrorCode::ARGUMENT); if the connection is not open yet, or the pieces
     *     of another message are not finished (STATE); if more output waits already than the config's highWaterLen
     *     (SPACE): the peer does not take what it was sent. For a broadcast see trySend().
     */
    public function send(int $kind, string $payload, ?bool $compress = null, bool $more = false): int
    {
        $this->lent = 0;
        if ($kind >> 4 !== 0 || $more || $compress !== null) {
            $kind = Arguments::opcode($this->ffi, $kind, $compress, $more);
            $this->isInPieces = $this->isInPieces || $more;
        }
        $waiting = $this->ffi->wsframe_connection_send($this->handle, $kind, $payload, \strlen($payload));
        return $waiting > 0 ? $waiting - $this->written : $this->done($waiting);
    }

    /**
     * As send() with Opcode::TEXT.
     *
     * @throws UsageError As send().
     */
    public function sendText(string $text, ?bool $compress = null, bool $more = false): int
    {
        return $this->send(Opcode::TEXT, $text, $compress, $more);
    }

    /**
     * As send() with Opcode::BINARY.
     *
     * @throws UsageError As send().
     */
    public function sendBinary(string $bytes, ?bool $compress = null, bool $more = false): int
    {
        return $this->send(Opcode::BINARY, $bytes, $compress, $more);
    }

    /**
     * Puts a prepared message into the output, compressed if it is and if both ends have agreed to compress, and
     * returns how many bytes of output wait; 0 if the connection is over.
     *
     * @throws UsageError As send().
     */
    public function sendMessage(Message $message): int
    {
        $this->lent = 0;
        $waiting = $this->ffi->wsframe_connection_send_message($this->handle, $message->prepared->handle);
        return $waiting > 0 ? $waiting - $this->written : $this->done($waiting);
    }

    /**
     * Puts a message into the output if that can be done now, and returns whether it was: for a broadcast, to peers of
     * whom some are not open yet or over, do not read what they were sent, or are being sent a message in pieces.
     *
     * @param string|Message $message What is to be sent; what goes to many is best prepared as a Message.
     * @param int $kind Opcode::TEXT or Opcode::BINARY, for a string.
     *
     * @throws UsageError If the text is not UTF-8, or $kind another one: never for what a peer did.
     */
    public function trySend(string|Message $message, int $kind = Opcode::TEXT): bool
    {
        $this->lent = 0;
        if ($kind >> 4 !== 0) {
            Arguments::number('kind', $kind);
        }
        if ($this->isInPieces && \is_string($message)) {
            // As a string it could be taken for the last piece.
            $message = new Message(new Prepared($kind, $message, null, null));
        }
        $waiting = $message instanceof Message
            ? $this->ffi->wsframe_connection_send_message($this->handle, $message->prepared->handle)
            : $this->ffi->wsframe_connection_send($this->handle, $kind, $message, \strlen($message));
        return match (true) {
            $waiting > 0 => true,
            $waiting === 0, $waiting === ErrorCode::STATE, $waiting === ErrorCode::SPACE => false,
            default => throw $this->failure($waiting),
        };
    }

    /**
     * Ends a turn of the loop: says that the first $sent bytes of the output were written, and what time it is, and
     * returns bytes that are to be written now; '' if there are none. Call it until it returns '' or the socket takes no
     * more, and when the time of waitMs() is over.
     *
     * When the peer has been silent for long a ping is put into the output. After EventKind::CLOSE or EventKind::ERROR the
     * output ends with the close frame that answers it.
     *
     * @param int $nowMs Milliseconds from any start that do not go back, for instance intdiv(hrtime(true), 1_000_000).
     * @param int $sent How many of the bytes were written that the last call has returned.
     * @param int $maxLen No more bytes than these are returned.
     *
     * @throws UsageError If $sent is more than waits.
     */
    public function output(int|float $nowMs, int $sent = 0, int $maxLen = self::MAX_OUTPUT): string
    {
        if ($sent === $this->lent && $sent > 0) {
            $this->lent = 0;
            $this->written = $sent;
            return '';
        }
        if (!\is_int($nowMs) || $nowMs < 0 || $sent < 0 || $maxLen < 0) {
            Arguments::time($nowMs);
            Arguments::number('number of sent bytes', $sent, \PHP_INT_MAX);
            Arguments::number('length', $maxLen, \PHP_INT_MAX);
        }
        $handle = $this->handle;
        $this->handle = null;
        try {
            if ($handle === null) {
                throw $this->noHandle();
            }
            $told = $sent + $this->written;
            $len = $this->ffi->wsframe_connection_output($handle, $told, $nowMs, $this->outputAddress);
            if ($len < 0) {
                throw Failure::last($len);
            }
            $this->written = 0;
            $isAnswer = $this->isAnswer;
            $this->isAnswer = false;
            if ($len === 0) {
                return '';
            }
            if ($this->output->flags !== 0 && $len < $maxLen) {
                return $this->parts($handle, $maxLen);
            }
            $this->lent = $isAnswer && $len <= $this->untold && $len <= $maxLen ? $len : 0;
            return FFI::string($this->output->data, $len < $maxLen ? $len : $maxLen);
        } finally {
            $this->handle = $handle;
        }
    }

    /**
     * Ends a turn of the loop, as output() does, and returns all the output, which counts as written: for hosts whose
     * write takes all that it is given.
     *
     * @param int $nowMs As for output().
     */
    public function take(int|float $nowMs): string
    {
        $taken = '';
        for ($sent = 0; ($output = $this->output($nowMs, $sent, \PHP_INT_MAX)) !== ''; $sent = \strlen($output)) {
            $taken .= $output;
        }
        return $taken;
    }

    /**
     * Returns in how many milliseconds, counted from the last output() or take(), output() is to be called again at the
     * latest. Null if nothing is due; 0 if TCP is to be closed: all is said and written, or the peer had its time.
     */
    public function waitMs(): ?int
    {
        $waitMs = $this->output->wait_ms;
        return $waitMs === Config::NEVER ? null : $waitMs;
    }

    /**
     * Returns how many bytes of output wait to be written. Do not read from a peer while they are many: who does not take
     * its answers gets no new ones.
     */
    public function waiting(): int
    {
        return $this->done($this->ffi->wsframe_connection_waiting($this->handle)) - $this->written;
    }

    /** What waits in several places, as a message does that is shared by many: the first $maxLen bytes, for one write. */
    private function parts(CData $handle, int $maxLen): string
    {
        $parts = $this->ffi->new('wsframe_part[' . self::PARTS . ']');
        $count = Failure::none($this->ffi->wsframe_connection_parts($handle, $parts, self::PARTS));
        $joined = '';
        for ($i = 0; $i < $count && \strlen($joined) < $maxLen; $i++) {
            $joined .= FFI::string($parts[$i]->data, \min($parts[$i]->len, $maxLen - \strlen($joined)));
        }
        return $joined;
    }

    /**
     * Calls a function whose arguments are values, and returns what it returns, which is no error.
     */
    protected function call(string $name, int|string|CData ...$arguments): int
    {
        $this->lent = 0;
        return $this->done($this->ffi->{"wsframe_connection_$name"}($this->handle, ...$arguments));
    }

    /**
     * Calls a function that writes a batch, and after which no output is left that was lent before.
     *
     * @return iterable<Event>
     */
    protected function events(string $name, int|string ...$arguments): iterable
    {
        [$this->lent, $this->written] = [0, 0];
        $arguments[] = $this->batchAddress;
        return $this->alone(fn (CData $handle): iterable => $this->batched(
            $this->ffi->{"wsframe_connection_$name"}($handle, ...$arguments)
        ));
    }

    /** Copies what a connection lends, or null if C says NULL. */
    protected function text(string $name, int|string ...$arguments): ?string
    {
        $place = $this->ffi->new('const void *[1]');
        $arguments[] = $place;
        return $this->alone(function (CData $handle) use ($name, $arguments, $place): ?string {
            $len = Failure::none($this->ffi->{"wsframe_connection_$name"}($handle, ...$arguments));
            return $place[0] === null ? null : FFI::string($place[0], $len);
        });
    }

    /** @return list<array{string, string}> Names and values of the fields of a head. */
    protected function head(): array
    {
        $record = $this->ffi->new('wsframe_field');
        $address = FFI::addr($record);
        $text = static fn (?CData $place, int $len): string => $place === null ? '' : FFI::string($place, $len);
        return $this->alone(function (CData $handle) use ($record, $address, $text): array {
            $fields = [];
            while (Failure::none($this->ffi->wsframe_connection_field_at($handle, \count($fields), $address)) > 0) {
                $fields[] = [$text($record->name, $record->name_len), $text($record->value, $record->value_len)];
            }
            return $fields;
        });
    }

    /** Runs a call that reads what the library lends, which nobody may free meanwhile. */
    private function alone(\Closure $call): mixed
    {
        [$handle, $hub] = [$this->handle, null];
        $this->handle = null;
        try {
            if ($handle === null) {
                throw $this->noHandle();
            }
            $hub = $this->lender?->take();
            return $call($handle);
        } finally {
            $this->handle = $handle;
            if ($hub !== null) {
                $this->lender->give($hub);
            }
        }
    }

    /** Why the connection failed; the sentence alone would not say that there is no connection. */
    protected function sentence(): ?string
    {
        $this->call('state');
        return $this->ffi->wsframe_connection_error($this->handle);
    }

    protected function agreement(): ?Deflate
    {
        $record = $this->ffi->new('wsframe_deflate');
        if ($this->call('deflate', FFI::addr($record)) === 0) {
            return null;
        }
        return new Deflate(
            $record->server_no_context_takeover !== 0,
            $record->client_no_context_takeover !== 0,
            $record->server_max_window_bits,
            $record->client_max_window_bits,
        );
    }

    private function done(int $returned): int
    {
        return $returned >= 0 ? $returned : throw $this->failure($returned);
    }

    /** Why a call has failed that was given $this->handle. */
    private function failure(int $code): \Exception
    {
        return $this->handle === null ? $this->noHandle() : Failure::last($code);
    }

    /** Why there is no handle. */
    protected function noHandle(): UsageError
    {
        return Failure::noHandle($this->lender === null
            ? 'the connection was freed'
            : "the connection was lent until the hub's next poll() or its end");
    }

    /**
     * What C has left in the batch.
     *
     * @return iterable<Event>
     */
    private function batched(int $count): iterable
    {
        Failure::none($count);
        $batch = $this->batch;
        $events = [];
        $this->isAnswer = $count > 0;
        if ($count > 0) {
            [$records, $data, $len] = [$batch->events, $batch->data, $batch->data_len];
            $all = match (true) {
                $len === 0 => '',
                $len <= $count * EventRecord::SHORT => FFI::string($data, $len),
                default => null,
            };
            // Those of a hub have the connection in the record.
            $whole = $this->lender === null ? EventRecord::WHOLE : null;
            for ($i = 0; $i < $count; $i++) {
                $record = $records[$i];
                if ($record->flags !== $whole) {
                    $this->isAnswer = false;
                    $events[] = EventRecord::read($record, $data);
                    continue;
                }
                $event = new Event();
                $event->kind = $record->kind;
                $event->data = $all !== null
                    ? \substr($all, $record->offset, $record->len)
                    : FFI::string($data + $record->offset, $record->len);
                $events[] = $event;
            }
        }
        // The rest of what a hub has comes with its next poll.
        return $batch->flags === 0 || $this->lender !== null ? $events : $this->andTheRest($events);
    }

    /**
     * The events of a batch, and then those that further calls bring.
     *
     * @param list<Event> $events
     * @return \Generator<Event>
     */
    private function andTheRest(array $events): \Generator
    {
        foreach ($events as $event) {
            yield $event;
        }
        if (!$this->isFreed) {
            foreach ($this->receive('') as $event) {
                yield $event;
            }
        }
    }
}

<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\HubStats;
use Wsframe\UsageError;

/**
 * The half of Hub that calls C: the methods of every turn in full, and for the other methods how to call.
 *
 * Signal handlers are met as Endpoint meets them: the handle is passed to C as $this->handle, and taken out of this
 * object where C lends what PHP reads. Only stop() works there, too: what it wants is done when the handle is back.
 *
 * @internal
 */
abstract class HubCalls
{
    /** That of the connections that come to a hub. */
    public const ROLE = 0;

    /** A signal that comes just before C waits does not wake it. */
    private const SLICE_MS = 500;

    /** WSFRAME_BATCH_STOPPED. */
    private const STOPPED = 2;

    /** Null once it was freed, and while a call that reads what the library lent is running. */
    private ?CData $handle = null;
    private bool $isFreed = false;
    private bool $isStopped = false;
    protected FFI $ffi;

    private CData $batch;
    private CData $batchAddress;

    /** @var array<int, \WeakReference<Connection>> What was lent since the last poll, by id: a loan keeps the hub alive. */
    private array $loans = [];
    /** What stop() was told while there was no handle. */
    private ?int $graceMs = null;

    protected function __construct(int $maxConnections, int $maxPerAddress, int $maxMemory)
    {
        $ffi = Loader::ffi();
        $this->ffi = $ffi;
        $this->batch = $ffi->new('wsframe_batch');
        $this->batchAddress = FFI::addr($this->batch);
        $config = $ffi->new('wsframe_hub_config');
        $config->struct_size = FFI::sizeof($config);
        $config->max_connections = Arguments::number('number of connections', $maxConnections);
        $config->max_per_address = Arguments::number('number of connections', $maxPerAddress);
        $config->max_memory = Arguments::number('number of bytes', $maxMemory, \PHP_INT_MAX);
        $handle = $ffi->new('wsframe_hub *');
        Failure::none($ffi->wsframe_hub_new(FFI::addr($config), FFI::addr($handle)));
        $this->handle = $handle;
    }

    public function __destruct()
    {
        if ($this->handle === null) {
            return;
        }
        $handle = $this->take();
        try {
            $this->endLoans();
        } catch (UsageError $inUse) {
            $this->give($handle);
            throw $inUse;
        }
        $this->isFreed = true;
        $this->ffi->wsframe_hub_free($handle);
    }

    /**
     * Frees the hub and its connections, without a word to their peers: see stop(). Every later call but this one throws.
     */
    public function free(): void
    {
        if ($this->isFreed) {
            return;
        }
        if ($this->handle === null) {
            throw $this->noHandle();
        }
        $this->__destruct();
    }

    /**
     * Waits until something has happened, and returns what. Before that it writes what was sent since the last call.
     *
     * The events of one connection have the order in which things happened. After its last one, EventKind::GONE, its id
     * stands for nobody; each connection that there was an event of has exactly one.
     *
     * An empty list says that nothing has happened, and is to be expected at any time: when the time is over, at a
     * signal, and every half second, because a signal can come just before the waiting begins.
     *
     * @param int|null $timeoutMs How long to wait at most, in milliseconds; 0 for not at all, null for as long as it
     *     may be.
     *
     * @return list<Event>
     *
     * @throws UsageError If the hub belongs to another process (ErrorCode::STATE), or the system does not let it wait
     *     (IO).
     */
    public function poll(?int $timeoutMs = null): array
    {
        if ($timeoutMs === null || $timeoutMs > self::SLICE_MS) {
            $timeoutMs = self::SLICE_MS;
        } elseif ($timeoutMs < 0) {
            Arguments::number('time', $timeoutMs);
        }
        $handle = $this->handle;
        $this->handle = null;
        try {
            if ($handle === null) {
                throw $this->noHandle();
            }
            if ($this->loans !== []) {
                $this->endLoans();
            }
            $count = $this->ffi->wsframe_hub_poll($handle, $timeoutMs, $this->batchAddress);
            if ($count < 0) {
                throw Failure::last($count);
            }
            $this->isStopped = $this->batch->flags === self::STOPPED;
            return $count === 0 ? [] : $this->events($count);
        } finally {
            $this->handle = $handle;
            if ($this->graceMs !== null) {
                $this->stop($this->graceMs);
            }
        }
    }

    /**
     * What C has left in the batch. To unpack() all records takes half as long again, an array for each event no less.
     *
     * @return list<Event>
     */
    private function events(int $count): array
    {
        $batch = $this->batch;
        [$records, $data, $len] = [$batch->events, $batch->data, $batch->data_len];
        $all = match (true) {
            $len === 0 => '',
            $len <= $count * EventRecord::SHORT => FFI::string($data, $len),
            default => null,
        };
        $events = [];
        for ($i = 0; $i < $count; $i++) {
            $record = $records[$i];
            if ($record->flags !== EventRecord::WHOLE) {
                $events[] = EventRecord::read($record, $data);
                continue;
            }
            // As EventRecord does it, without a call.
            $event = new Event();
            $event->connection = $record->connection;
            $event->kind = $record->kind;
            $event->data = $all !== null
                ? \substr($all, $record->offset, $record->len)
                : FFI::string($data + $record->offset, $record->len);
            $events[] = $event;
        }
        return $events;
    }

    /**
     * Sends a message on the connection with this id; it is written with the next poll(), and what is long at once.
     *
     * Returns whether it is sent. It is not if the connection is over or gone, is not open yet, or has more output
     * waiting than the config's highWaterLen: the peer does not take what it was sent, and misses this.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY, or that of the event that is answered: an echo is
     *     send($event->connection, $event->kind, $event->data). Opcode::PING and Opcode::PONG too.
     * @param string $payload The message; text is UTF-8.
     * @param bool|null $compress As for Connection::send().
     * @param bool $more As for Connection::send().
     *
     * @throws UsageError If the text is not UTF-8, or $kind is another one (ErrorCode::ARGUMENT); if the pieces of
     *     another message are not finished (STATE).
     */
    public function send(int $id, int $kind, string $payload, ?bool $compress = null, bool $more = false): bool
    {
        // To collect messages for one send_many() before the next poll() saves a tenth of a turn with 16 in flight, and checking
        // the text here, so that what is wrong is an exception here, takes half of that.
        if ($kind >> 4 !== 0 || $more || $compress !== null) {
            $kind = Arguments::opcode($this->ffi, $kind, $compress, $more);
        }
        $waiting = $this->ffi->wsframe_hub_send($this->handle, $id, $kind, $payload, \strlen($payload));
        if ($waiting < 0 && $waiting !== ErrorCode::SPACE) {
            throw $this->failure($waiting);
        }
        return $waiting > 0;
    }

    /** @internal Takes the handle out of this object, for a call that reads what the library lends. */
    public function take(): CData
    {
        $handle = $this->handle;
        $this->handle = null;
        return $handle ?? throw $this->noHandle();
    }

    /** @internal Puts the handle back, and does what a signal handler has asked for meanwhile. */
    public function give(CData $handle): void
    {
        $this->handle = $handle;
        if ($this->graceMs !== null) {
            $this->stop($this->graceMs);
        }
    }

    /**
     * Ends the hub in good order: lets nobody in any more, closes all connections with 1001, and answers requests that
     * wait with 503. Go on to poll() until isStopped(): each connection has its EventKind::GONE before. A second call
     * only sets a new time. A signal handler may call this at any time.
     *
     * @param int $graceMs After so many milliseconds those that have not ended are given up.
     */
    public function stop(int $graceMs = 5000): void
    {
        $graceMs = Arguments::number('time', $graceMs);
        if ($this->handle === null && !$this->isFreed) {
            $this->graceMs = $graceMs;
            return;
        }
        $this->graceMs = null;
        $this->call('stop', $graceMs);
    }

    /** Returns whether stop() was called and poll() has found no connection left: there will be no more events. */
    public function isStopped(): bool
    {
        return $this->isStopped;
    }

    /** Calls a function whose arguments are values, and returns what it returns, which is no error. */
    protected function call(string $name, int|string|CData|null ...$arguments): int
    {
        $returned = $this->ffi->{"wsframe_hub_$name"}($this->handle, ...$arguments);
        return $returned >= 0 ? $returned : throw $this->failure($returned);
    }

    protected function config(?Config $config): ?CData
    {
        return $config === null ? null : ConfigRecord::of($this->ffi, $config);
    }

    /** @return array{CData, string, CData, int} What C takes for messages, each for a connection. */
    protected function messages(array $ids, array $payloads): array
    {
        if (\count($ids) !== \count($payloads)) {
            throw Failure::argument('there are ' . \count($ids) . ' ids, and ' . \count($payloads) . ' payloads');
        }
        return [Arguments::ids($this->ffi, $ids), ...Arguments::joined($this->ffi, 'payloads', $payloads)];
    }

    /** Borrows a connection from C, unless it is gone. */
    protected function lend(int $id): ?Connection
    {
        $handle = $this->take();
        try {
            $lent = ($this->loans[$id] ?? null)?->get();
            if ($lent === null) {
                $place = $this->ffi->new('wsframe_connection *');
                if (Failure::none($this->ffi->wsframe_hub_connection($handle, $id, FFI::addr($place))) === 0) {
                    return null;
                }
                $lent = Connection::lent($this, $place);
                $this->loans[$id] = \WeakReference::create($lent);
            }
            return $lent;
        } finally {
            $this->give($handle);
        }
    }

    /**
     * Calls a function that makes a connection, and tells its id; 0 if what was made is none.
     *
     * @return array{int, int} What the function returns, and the id.
     */
    protected function making(string $name, int|string|CData|null ...$arguments): array
    {
        $id = $this->ffi->new('uint64_t');
        $returned = $this->call($name, ...[...$arguments, FFI::addr($id)]);
        return [$returned, $id->cdata];
    }

    /** Where the peer of a connection is. */
    protected function text(int $id): ?string
    {
        $place = $this->ffi->new('const void *[1]');
        $handle = $this->take();
        try {
            $len = Failure::none($this->ffi->wsframe_hub_address($handle, $id, $place));
            return $len === 0 ? null : FFI::string($place[0], $len);
        } finally {
            $this->give($handle);
        }
    }

    protected function record(): HubStats
    {
        $record = $this->ffi->new('wsframe_stats');
        $this->call('stats', FFI::addr($record), FFI::sizeof($record));
        return new HubStats(
            $record->connections,
            $record->opening,
            $record->closing,
            $record->paused,
            $record->waiting_len,
            $record->accepted,
            $record->refused,
            $record->accept_pauses,
            $record->messages_received,
            $record->messages_sent,
            $record->bytes_received,
            $record->bytes_sent,
            $record->dropped,
            $record->read_pauses,
            $record->polls,
            $record->busy_us,
            $record->application_us,
        );
    }

    /** What __debugInfo() calls it. */
    protected function state(): string
    {
        return match (true) {
            $this->isFreed => 'FREED',
            $this->handle === null => 'IN A CALL',
            default => $this->isStopped ? 'STOPPED' : 'SERVING',
        };
    }

    /** Ends all loans; it may not while a signal handler has interrupted a call on one. */
    private function endLoans(): void
    {
        foreach ($this->loans as $loan) {
            $loan->get()?->giveBack();
        }
        $this->loans = [];
    }

    /** Why a call has failed that was given $this->handle. */
    private function failure(int $code): \Exception
    {
        return $this->handle === null ? $this->noHandle() : Failure::last($code);
    }

    private function noHandle(): UsageError
    {
        return Failure::noHandle('the hub was freed');
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Arguments;
use Wsframe\Ffi\Failure;
use Wsframe\Ffi\HubCalls;

/**
 * Many WebSocket connections of a server, and the loop that serves them: sockets, timers, topics, all in the library. A
 * whole server that sends each message back:
 *
 *     $hub = new Hub();
 *     $hub->listen('127.0.0.1:8000');
 *     while (!$hub->isStopped()) {
 *         foreach ($hub->poll() as $event) {
 *             if ($event->kind === EventKind::TEXT || $event->kind === EventKind::BINARY) {
 *                 $hub->send($event->connection, $event->kind, $event->data);
 *             }
 *         }
 *     }
 *
 * Server is the same with callbacks.
 *
 * A connection has an id: a number, never 0, that no other connection of the hub has had or will have. What is done
 * with an id whose connection is gone does nothing, and returns false. A peer that does not take what it is sent is not
 * read from; pings are answered, and who had his time is given up: see Config.
 *
 * Methods throw a UsageError if the call was wrong; nothing was done then. What a peer does is never an exception.
 *
 * A hub belongs to the process that made it: after a fork, make a new one in the child. A signal handler
 * (pcntl_async_signals) may call stop() at any time; another call, if it interrupts one on the hub, may be a UsageError
 * (ErrorCode::STATE). It must not throw: PHP 8.2 itself may crash then.
 */
final class Hub extends HubCalls
{
    private const REUSE_PORT = 1;

    /**
     * @param int $maxConnections How many clients are let in at a time; others wait until one leaves. 0 for as many as
     *     the system has descriptors for.
     *
     * @throws UsageError If the system has no descriptor for the hub (ErrorCode::IO), or no memory (MEMORY).
     */
    public function __construct(int $maxConnections = 0)
    {
        parent::__construct($maxConnections);
    }

    /** Two objects would free one hub. */
    private function __clone()
    {
    }

    public function __serialize(): never
    {
        throw Failure::argument('a hub cannot be serialized');
    }

    public function __unserialize(array $data): never
    {
        throw Failure::argument('a hub cannot be unserialized');
    }

    /** @return array<string, mixed> What var_dump() shows. */
    public function __debugInfo(): array
    {
        $state = $this->state();
        $isThere = $state === 'SERVING' || $state === 'STOPPED';
        return ['state' => $state] + ($isThere ? \get_object_vars($this->stats()) : []);
    }

    /**
     * Listens at an address: "127.0.0.1:8080", "[::1]:8080", "[::]:8080", which takes IPv4 as well, or
     * "unix:/run/chat.socket". Names are not looked up. Returns the port, 0 for a Unix socket. A hub may listen at
     * several addresses.
     *
     * The file of a Unix socket that a server has left over is replaced, one at which somebody listens is not; it stays
     * when the hub ends. Nobody is let in before the next poll().
     *
     * @param string $address Port 0 lets the system choose.
     * @param Config|null $config That of the clients who come by this address.
     * @param bool $reusePort Other sockets may listen at the same port with this, in other processes, too: the system
     *     lets each have a part of the clients.
     *
     * @throws UsageError If the address is none or the config is wrong (ErrorCode::ARGUMENT), the system refuses, for
     *     instance because the port is taken (IO), or the hub was stopped (STATE).
     */
    public function listen(string $address, ?Config $config = null, bool $reusePort = false): int
    {
        $flags = $reusePort ? self::REUSE_PORT : 0;
        try {
            return $this->call('listen', $address, \strlen($address), $flags, $this->config($config));
        } catch (UsageError $refused) {
            throw $refused->getCode() === ErrorCode::IO ? self::refused($address) : $refused;
        }
    }

    /** PHP cannot read errno, which has the reason; so PHP's own sockets are asked, who are refused as well. */
    private static function refused(string $address): UsageError
    {
        @\stream_socket_server("tcp://$address", $code, $reason);
        $reason = $reason === '' ? '' : ": $reason";
        return new UsageError("the operating system refused to listen at $address$reason", ErrorCode::IO);
    }

    /**
     * Lends the connection with this id until the next poll(), or null if it is gone: for all that the hub has no
     * method for, such as accept(), respond(), target(), field(), subprotocol() and close(). Its calls throw a
     * UsageError (ErrorCode::STATE) afterwards, and receive(), output(), take() and gone() always: that is what the hub
     * does.
     *
     * What accept() returns is not among the events of a poll().
     */
    public function connection(int $id): ?Connection
    {
        return $this->lend($id);
    }

    /**
     * Sends many messages, each as send() does, by one call of the library: the answers to a whole batch. It is for many
     * small ones: they are joined on the way there. What is for a connection that is over or gone, or has more than
     * highWaterLen waiting, is left out.
     *
     * Returns how many messages are done with, those that were left out included. That is less than there are if the next
     * one cannot be sent; a call that begins with it throws.
     *
     * @param int[] $ids On which connections, which may be there more than once.
     * @param string[] $payloads As many messages.
     * @param int $kind Opcode::TEXT or Opcode::BINARY, for all of them.
     * @param bool|null $compress As for Connection::send().
     *
     * @throws UsageError For the first of them: if it is no UTF-8 (ErrorCode::ARGUMENT), or its connection is not open
     *     yet (STATE). If there are not as many ids as payloads.
     */
    public function sendMany(array $ids, array $payloads, int $kind = Opcode::TEXT, ?bool $compress = null): int
    {
        [$ids, $joined, $lens, $count] = $this->messages($ids, $payloads);
        $opcode = Arguments::opcode($this->ffi, $kind, $compress, false);
        return $this->call('send_many', $ids, $opcode, $joined, $lens, $count);
    }

    /**
     * Lets a connection have what is published on a topic, until it ends; false if it is gone. A topic has a name of at
     * least one byte, and comes and goes with those who have subscribed to it. A second time does nothing.
     *
     * @throws UsageError If the name is empty (ErrorCode::ARGUMENT).
     */
    public function subscribe(int $id, string $topic): bool
    {
        return $this->call('subscribe', $id, $topic, \strlen($topic)) > 0;
    }

    /**
     * The opposite of subscribe(), also for who has not subscribed; false if the connection is gone.
     *
     * @throws UsageError As subscribe().
     */
    public function unsubscribe(int $id, string $topic): bool
    {
        return $this->call('unsubscribe', $id, $topic, \strlen($topic)) > 0;
    }

    /** Returns how many connections have subscribed to a topic; without one, how many connections the hub has. */
    public function subscribers(string $topic = ''): int
    {
        return $this->call('subscribers', $topic, \strlen($topic));
    }

    /**
     * Sends a message on all connections that have subscribed to a topic, or on all that are open if it is ''. It is
     * checked once, and compressed once for all with whom that was agreed on. Who has more than the config's
     * highWaterLen waiting misses it, and is counted in HubStats::$dropped.
     *
     * Returns on how many connections it is sent.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY.
     * @param int $except The id of a connection on which it is not sent, or 0.
     * @param bool|null $compress As for Connection::send().
     *
     * @throws UsageError If the text is not UTF-8, or $kind another one (ErrorCode::ARGUMENT).
     */
    public function publish(
        string $topic,
        string $payload,
        int $kind = Opcode::TEXT,
        int $except = 0,
        ?bool $compress = null,
    ): int {
        $opcode = Arguments::opcode($this->ffi, $kind, $compress, false);
        return $this->call('publish', $topic, \strlen($topic), $except, $opcode, $payload, \strlen($payload));
    }

    /**
     * Reads no more from a connection until resume(); false if it is gone. What was read already is still delivered.
     * The peer is not given up meanwhile for a ping that it does not answer, and that it is gone shows later.
     */
    public function pause(int $id): bool
    {
        return $this->call('pause', $id, 1) > 0;
    }

    /** The opposite of pause(); false if the connection is gone. */
    public function resume(int $id): bool
    {
        return $this->call('pause', $id, 0) > 0;
    }

    /**
     * Returns a descriptor that can be read from when poll(0) has something to do, for a program that has a loop already:
     *
     *     $stream = fopen('php://fd/' . $hub->fd(), 'r');
     *     [$read, $write, $except] = [[$stream, ...$others], null, null];
     *     stream_select($read, $write, $except, null);
     *     foreach ($hub->poll(0) as $event) {
     *         ...
     *
     * Do not read from it; it lives as long as the hub. A poll() takes a little longer from the first call on.
     *
     * @throws UsageError If the system has no such descriptor: it has to be Linux (ErrorCode::IO).
     */
    public function fd(): int
    {
        return $this->call('fd');
    }

    /** Returns what the hub has done so far. */
    public function stats(): HubStats
    {
        return $this->record();
    }
}

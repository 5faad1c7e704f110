<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Arguments;
use Wsframe\Ffi\Failure;
use Wsframe\Ffi\HubCalls;

/**
 * Many WebSocket connections, accepted and made, and the loop that serves them: sockets, timers, topics, all in the
 * library. A whole server that sends each message back:
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
 * with an id whose connection is gone does nothing, and returns false. A client that does not take what it is sent is
 * not read from; pings are answered, and who had his time is given up: see Config.
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
    private const PROXY = 2;
    private const DROP_SLOW = 4;
    private const SERVER = 0;
    private const CLIENT = 1;
    /** WSFRAME_NEVER. */
    private const NEVER = 0xFFFFFFFF;

    /**
     * What a hub takes upon itself has no limits but those that are given.
     *
     * @param int $maxConnections How many connections there are when nobody is let in any more; others wait until one
     *     leaves.
     * @param int $maxPerAddress How many clients are let in from one address at a time, of IPv6 from one network of 64
     *     bits; others are turned away.
     * @param int $maxMemory How many bytes the connections may hold together: what was received of messages that are not
     *     complete, and what waits to be written, but for what was published. Beyond it those are ended that hold the
     *     most, with ErrorCode::MEMORY.
     *
     * @throws UsageError If the system has no descriptor for the hub (ErrorCode::IO), or no memory (MEMORY).
     */
    public function __construct(int $maxConnections = 0, int $maxPerAddress = 0, int $maxMemory = 0)
    {
        parent::__construct($maxConnections, $maxPerAddress, $maxMemory);
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
     * @param bool $proxy Clients come by a proxy that says in front of their bytes where they are: the PROXY protocol,
     *     version 1 or 2. address() is then what it has said. Who comes without a proxy is turned away: anybody could say
     *     so, so let nobody but the proxy reach the address.
     * @param bool $dropSlow Who has more than the config's highWaterLen waiting when something is published is ended, with
     *     ErrorCode::POLICY, instead of not getting it.
     *
     * @throws UsageError If the address is none or the config is wrong (ErrorCode::ARGUMENT), the system refuses, for
     *     instance because the port is taken (IO), or the hub was stopped (STATE).
     */
    public function listen(
        string $address,
        ?Config $config = null,
        bool $reusePort = false,
        bool $proxy = false,
        bool $dropSlow = false,
    ): int {
        $flags = ($reusePort ? self::REUSE_PORT : 0) | self::flags($proxy, $dropSlow);
        try {
            return $this->call('listen', $address, \strlen($address), $flags, $this->config($config));
        } catch (UsageError $refused) {
            throw $refused->getCode() === ErrorCode::IO ? self::refused($address) : $refused;
        }
    }

    private static function flags(bool $proxy, bool $dropSlow): int
    {
        return ($proxy ? self::PROXY : 0) | ($dropSlow ? self::DROP_SLOW : 0);
    }

    /**
     * Makes a client's connection to a URL, "wss://example.com/chat?room=1" or "ws://127.0.0.1:8080/", and returns its id
     * at once. It has its events as all others: EventKind::OPEN tells that the server has accepted, ERROR that it has
     * not. GONE comes in any case in the end, with ErrorCode::IO if nobody could be reached, or HANDSHAKE if TLS did not
     * come about; the error() of connection() is the sentence. With wss:// the server has to show a certificate for the
     * name in the URL, of somebody whom the system trusts, or trust().
     *
     * A name is looked up by threads of the library; its addresses are tried one after the other, each for its part of
     * the config's handshakeTimeoutMs.
     *
     * @param string|null $address Where to go instead, "127.0.0.1:8080" or "unix:/run/chat.socket": the URL then says
     *     only what is asked for there.
     * @param array<string, string> $fields Names and values that are added to the request.
     *
     * @throws UsageError If the URL or the address is none, a field or the config is wrong (ErrorCode::ARGUMENT), or the
     *     hub was stopped (STATE).
     */
    public function connect(string $url, ?Config $config = null, ?string $address = null, array $fields = []): int
    {
        if ($fields !== []) {
            // What is wrong with a field shows before there is a connection.
            self::addFields(Connection::client(), $fields);
        }
        $address ??= '';
        // The record lives as long as the config.
        $record = $this->config($config);
        [, $id] = $this->making('connect', $url, \strlen($url), $address, \strlen($address), $record);
        if ($fields !== []) {
            self::addFields($this->connection($id), $fields);
        }
        return $id;
    }

    /** @param array<string, string> $fields */
    private static function addFields(Connection $connection, array $fields): void
    {
        foreach ($fields as $name => $value) {
            $connection->addField((string) $name, $value);
        }
    }

    /**
     * Lets clients in by a socket that listens already, as a service manager passes it on by its number, and returns the
     * port. The hub makes a descriptor of its own for it. All else is as for listen().
     *
     * @throws UsageError If it is no socket of a stream that listens (ErrorCode::IO); as listen().
     */
    public function adopt(int $fd, ?Config $config = null, bool $proxy = false, bool $dropSlow = false): int
    {
        [$port, $id] = $this->making('adopt', $fd, self::SERVER, self::flags($proxy, $dropSlow), $this->config($config));
        if ($id !== 0) {
            $this->terminate($id);
            throw new UsageError('the socket is connected: adoptConnection() is for that', ErrorCode::IO);
        }
        return $port;
    }

    /**
     * Serves a socket that is connected already, and returns the id of its connection. The hub makes a descriptor of its
     * own for it.
     *
     * @param bool $isClient Whether this end has connected. Such a connection is to send its request, by connection() and
     *     Connection::request(), unless the config says startOpen.
     *
     * @throws UsageError If it is no socket of a stream that is connected (ErrorCode::IO), the config is wrong (ARGUMENT),
     *     or the hub was stopped (STATE).
     */
    public function adoptConnection(int $fd, ?Config $config = null, bool $isClient = false): int
    {
        $role = $isClient ? self::CLIENT : self::SERVER;
        [, $id] = $this->making('adopt', $fd, $role, 0, $this->config($config));
        return $id !== 0 ? $id : throw new UsageError('the socket listens: adopt() is for that', ErrorCode::IO);
    }

    /**
     * From now on TLS is spoken by those who listen at this port. A second call changes the certificate for clients that
     * are let in from then on: nobody is dropped. A client that does not speak TLS is answered in plain HTTP that it
     * should.
     *
     * @param string $chain The server's certificate and then those that lead to somebody who is trusted, in PEM.
     * @param string $key The private key of the first, in PEM.
     *
     * @throws UsageError If they are none or do not belong together, or nobody listens at the port
     *     (ErrorCode::ARGUMENT); if the library was built without TLS (STATE).
     */
    public function setCertificate(int $port, string $chain, #[\SensitiveParameter] string $key): void
    {
        $port = Arguments::number('port', $port, 0xFFFF);
        $this->call('set_certificate', $port, $chain, \strlen($chain), $key, \strlen($key));
    }

    /**
     * Trusts these certificates, in PEM, to say who a server is, beside those that the system trusts.
     *
     * @throws UsageError If there is none (ErrorCode::ARGUMENT), or the library was built without TLS (STATE).
     */
    public function trust(string $certificates): void
    {
        $this->call('trust', $certificates, \strlen($certificates));
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
     * small ones: they are joined on the way there. What is for a connection that is over or gone, is not open
     * yet, or has more than highWaterLen waiting, is left out.
     *
     * Returns how many messages are done with, those that were left out included. That is less than there are if the next
     * one cannot be sent; a call that begins with it throws.
     *
     * @param int[] $ids On which connections, which may be there more than once.
     * @param string[] $payloads As many messages.
     * @param int $kind Opcode::TEXT or Opcode::BINARY, for all of them.
     * @param bool|null $compress As for Connection::send().
     *
     * @throws UsageError For the first of them: if it is no UTF-8 (ErrorCode::ARGUMENT). If there are not as many ids as
     *     payloads.
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

    /**
     * Ends TCP of a connection at once, without a word to the peer: to close in good order there is Connection::close().
     * EventKind::GONE follows, if there was an event of the connection before. False if TCP had ended already.
     */
    public function terminate(int $id): bool
    {
        return $this->call('terminate', $id) > 0;
    }

    /**
     * Says where the peer of a connection is, "192.0.2.1:50000" or "[2001:db8::1]:50000"; of a Unix socket "unix:" with
     * the path of the peer's socket, if that has one. Null if it is not connected yet, or any more.
     */
    public function address(int $id): ?string
    {
        return $this->text($id);
    }

    /**
     * Sets a timer: when so many milliseconds are over, poll() has an EventKind::TIMER with this number, once. If there
     * is a timer with the number already it is moved; null stops it.
     */
    public function timer(int $number, ?int $inMs): void
    {
        $this->call('timer', $number, $inMs === null ? self::NEVER : Arguments::number('time', $inMs, self::NEVER - 1));
    }

    /**
     * Watches a descriptor in the same loop. PHP does not tell those of its streams; other extensions may. While what
     * $flags say can be done with it, any of WatchFlag's constants, each poll() has an EventKind::READY for it; also when
     * it has ended. A second call changes what it is watched for. With 0 it is watched no longer, which is to be said
     * before it is closed. For PHP's streams see fd().
     *
     * @throws UsageError If the system cannot wait for it, as for a file (ErrorCode::IO), or $flags has another bit
     *     (ARGUMENT).
     */
    public function watch(int $fd, int $flags = WatchFlag::READ): void
    {
        $this->call('watch', $fd, Arguments::number('flags', $flags));
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

<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Hub;
use Wsframe\Opcode;
use Wsframe\UsageError;
use Wsframe\WatchFlag;

/** A hub as a client, with TLS, with limits, and as the loop for other things; it is its own server. */
final class HubClientsTest extends TestCase
{
    private const PATIENCE_S = 20;
    private const CERTIFICATES = __DIR__ . '/../../../tests/certificates';

    private Hub $hub;
    private int $port;

    protected function setUp(): void
    {
        $this->hub = new Hub();
        $this->port = $this->hub->listen('127.0.0.1:0');
    }

    protected function tearDown(): void
    {
        $this->hub->free();
    }

    /** @return list<Event> The next events, which are all of one kind. */
    private function next(int $kind, int $count = 1): array
    {
        $events = [];
        $until = hrtime(true) + self::PATIENCE_S * 1e9;
        while (count($events) < $count) {
            self::assertLessThan($until, hrtime(true));
            array_push($events, ...$this->hub->poll(100));
        }
        self::assertSame(array_fill(0, $count, $kind), array_column($events, 'kind'));
        return $events;
    }

    public function testAClientAndItsServer(): void
    {
        $url = "ws://localhost:$this->port/room?a=b";
        $id = $this->hub->connect($url, new Config(deflate: true), fields: ['X-Who' => 'me']);
        self::assertNull($this->hub->address($id));
        $opened = $this->next(EventKind::OPEN, 2);
        [$server] = array_values(array_filter($opened, static fn (Event $event): bool => $event->connection !== $id));
        self::assertStringStartsWith('GET /room?a=b ', $server->data);
        self::assertStringContainsString("X-Who: me\r\n", $server->data);
        self::assertSame("127.0.0.1:$this->port", $this->hub->address($id));

        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'Hello'));
        [$text] = $this->next(EventKind::TEXT);
        self::assertSame([$server->connection, 'Hello'], [$text->connection, $text->data]);
        self::assertSame([true, false], [$this->hub->terminate($text->connection), $this->hub->terminate($text->connection)]);
        $this->next(EventKind::GONE, 2);
        self::assertNull($this->hub->address($id));
    }

    public function testAClientThatDoesNotGetThere(): void
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $nobodys = stream_socket_get_name($listener, false);
        fclose($listener);
        $id = $this->hub->connect('ws://a/', address: $nobodys);
        [$gone] = $this->next(EventKind::GONE);
        self::assertSame([$id, 1006, ErrorCode::IO], [$gone->connection, $gone->closeCode, $gone->error]);
        self::assertStringContainsString('nobody listens', $this->hub->connection($id)->error());
        $wrong = [
            ['http://a/'],
            ['ws://'],
            ['ws://a/ b'],
            ['ws://a/', null, 'a'],
            ['ws://a/', null, null, ['a b' => 'c']],
        ];
        foreach ($wrong as $arguments) {
            self::assertUsage(ErrorCode::ARGUMENT, fn () => $this->hub->connect(...$arguments));
        }
        $this->hub->poll(0);
        self::assertSame(0, $this->hub->stats()->connections);
    }

    public function testTls(): void
    {
        $file = static fn (string $name): string => file_get_contents(self::CERTIFICATES . "/$name");
        [$chain, $key] = [$file('localhost.pem'), $file('localhost.key')];
        $this->hub->setCertificate($this->port, $chain, $key);
        $url = "wss://localhost:$this->port/";
        $id = $this->hub->connect($url);
        [$gone] = $this->next(EventKind::GONE);
        self::assertSame([$id, ErrorCode::HANDSHAKE], [$gone->connection, $gone->error]);
        $this->hub->trust($file('authority.pem'));
        $id = $this->hub->connect($url);
        $this->next(EventKind::OPEN, 2);
        $this->hub->send($id, Opcode::TEXT, str_repeat('Hello', 10_000));
        self::assertSame(50_000, strlen($this->next(EventKind::TEXT)[0]->data));
        self::assertUsage(ErrorCode::ARGUMENT, fn () => $this->hub->setCertificate($this->port, $chain, $chain));
        self::assertUsage(ErrorCode::ARGUMENT, fn () => $this->hub->setCertificate($this->port + 1, $chain, $key));
        self::assertUsage(ErrorCode::ARGUMENT, fn () => $this->hub->trust('nobody'));
    }

    public function testTimers(): void
    {
        foreach ([[7, 30], [8, 1], [9, 1], [9, null], [-1, null]] as [$number, $inMs]) {
            $this->hub->timer($number, $inMs);
        }
        self::assertSame(8, $this->next(EventKind::TIMER)[0]->connection);
        self::assertSame(7, $this->next(EventKind::TIMER)[0]->connection);
        self::assertSame([], $this->hub->poll(1));
    }

    /** PHP tells of no descriptor but this one. */
    public function testDescriptorsAreWatched(): void
    {
        $other = new Hub();
        $this->hub->watch($other->fd());
        self::assertSame([], $this->hub->poll(0));
        $other->timer(1, 5);
        [$ready] = $this->next(EventKind::READY);
        self::assertSame([$other->fd(), WatchFlag::READ], [$ready->connection, $ready->flags]);
        self::assertCount(1, $other->poll(100));
        self::assertSame([], $this->hub->poll(0));
        $this->hub->watch($other->fd(), 0);
        self::assertUsage(ErrorCode::ARGUMENT, fn () => $this->hub->watch($other->fd(), 4));
        self::assertUsage(ErrorCode::ARGUMENT, fn () => $this->hub->watch(-1));
        self::assertUsage(ErrorCode::IO, fn () => $this->hub->watch(100_000));
        self::assertUsage(ErrorCode::IO, fn () => $this->hub->adopt(100_000));
        self::assertUsage(ErrorCode::IO, fn () => $this->hub->adoptConnection($other->fd()));
        $other->free();
    }

    public function testSocketsOfOthers(): void
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $port = (int) substr(strrchr(stream_socket_get_name($listener, false), ':'), 1);
        $numbers = array_filter(array_map(intval(...), scandir('/proc/self/fd')), static fn (int $fd): bool => $fd > 2);
        // Of PHP's descriptors the one that listens at this port.
        $adopted = null;
        foreach ($numbers as $fd) {
            try {
                $adopted ??= $this->hub->adopt($fd) === $port ? $fd : null;
            } catch (UsageError) {
            }
        }
        self::assertNotNull($adopted);
        fclose($listener);
        $this->hub->connect("ws://127.0.0.1:$port/");
        $this->next(EventKind::OPEN, 2);
    }

    public function testLimits(): void
    {
        $this->hub->free();
        $this->hub = new Hub(maxPerAddress: 1, maxMemory: 1 << 20);
        $port = $this->hub->listen('127.0.0.1:0');
        $this->hub->connect("ws://127.0.0.1:$port/");
        $this->next(EventKind::OPEN, 2);
        $this->hub->connect("ws://127.0.0.1:$port/");
        $this->next(EventKind::GONE);
        self::assertSame(1, $this->hub->stats()->refused);

        $port = $this->hub->listen('127.0.0.1:0', proxy: true, dropSlow: true);
        $client = stream_socket_client("tcp://127.0.0.1:$port");
        fwrite($client, "PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\nGET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n");
        fwrite($client, "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        [$open] = $this->next(EventKind::OPEN);
        self::assertSame('192.0.2.1:50000', $this->hub->address($open->connection));
    }

    private static function assertUsage(int $code, \Closure $call): void
    {
        try {
            $call();
            self::fail('it is taken');
        } catch (UsageError $error) {
            self::assertSame($code, $error->getCode(), $error->getMessage());
        }
    }
}

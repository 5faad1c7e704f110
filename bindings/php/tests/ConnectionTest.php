<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\Opcode;
use Wsframe\State;
use Wsframe\UsageError;

/** What a connection does for a program. What the protocol asks of it, the vectors show: VectorsTest. */
final class ConnectionTest extends TestCase
{
    private const REQUEST = "GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        . "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
        . "Origin: http://a\r\n\r\n";
    private const ACCEPTANCE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    /** RFC 6455 section 5.7. */
    private const HELLO = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

    private const WHOLE = Event::FIRST | Event::LAST;

    public function testAClientAndAServerOpenTalkAndClose(): void
    {
        $server = Connection::server(new Config(subprotocols: ['superchat', 'chat']));
        $client = Connection::client(new Config(subprotocols: ['chat']));
        self::assertSame([State::CONNECTING, State::CONNECTING], [$server->state(), $client->state()]);

        $client->addField('Cookie', 'a=b');
        $waiting = $client->request('example.com', '/chat?room=1');
        $request = self::write($client);
        self::assertSame(strlen($request), $waiting);
        self::assertStringStartsWith("GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\n", $request);
        self::assertEquals([new Event(EventKind::OPEN, 0, 0, 0, $request)], $server->receive($request));
        self::assertSame(['/chat?room=1', 'a=b', null], [
            $server->target(),
            $server->field('COOKIE'),
            $server->field('Origin'),
        ]);
        $response = self::write($server);
        self::assertEquals([new Event(EventKind::OPEN, 0, 0, 0, $response)], $client->receive($response));
        self::assertSame('websocket', $client->field('upgrade'));
        self::assertNull($client->target());
        self::assertSame(['chat', 'chat'], [$server->subprotocol(), $client->subprotocol()]);
        self::assertSame([State::OPEN, State::OPEN], [$server->state(), $client->state()]);
        $server->tick(0);
        self::assertSame([null, null], [$server->target(), $server->field('Cookie')], 'the head is gone');

        $data = random_bytes(70_000);
        self::assertSame(14 + 70_000, $client->sendBinary($data));
        self::assertStringNotContainsString(substr($data, 0, 100), $client->output(), 'it is masked');
        self::assertEquals(
            [new Event(EventKind::BINARY, self::WHOLE, 0, 0, $data)],
            $server->receive(self::write($client))
        );
        self::assertSame(2 + 6, $server->sendText('Grüß'));
        self::assertSame("\x81\x06Grüß", self::write($server));

        $server->close(1001, 'going away');
        self::assertSame(State::CLOSING, $server->state());
        self::assertEquals(
            [new Event(EventKind::CLOSE, 0, 1001, 0, 'going away')],
            $client->receive(self::write($server))
        );
        self::assertEquals([new Event(EventKind::CLOSE, 0, 1001, 0, '')], $server->receive(self::write($client)));
        self::assertSame([State::CLOSED, State::CLOSED], [$server->state(), $client->state()]);
        self::assertSame([0, 5000], [$server->tick(0), $client->tick(0)], 'the server closes TCP');
        self::assertSame([null, null], [$server->error(), $client->error()]);
        self::assertSame([], $server->receive('more'), 'what still comes is not looked at');
    }

    public function testAClientClosesToo(): void
    {
        $client = self::open('client');
        $server = self::open('server');

        $client->close(1005);
        self::assertEquals([new Event(EventKind::CLOSE, 0, 1005, 0, '')], $server->receive(self::write($client)));
        self::assertSame("\x88\x00", $server->output());
        self::assertSame(State::CLOSED, $server->state());
    }

    public function testAReadOfManyFramesIsManyEvents(): void
    {
        $connection = self::open('server');
        $large = str_repeat('€', 50_000);

        $events = $connection->receive(
            self::frame(0x01, 'Hel') . self::frame(0x89, 'ping') . self::frame(0x80, 'lo')
            . self::frame(0x82, '') . self::frame(0x8a, 'pong') . self::frame(0x81, $large) . self::frame(0x02, 'begun')
        );
        self::assertEquals([
            new Event(EventKind::PING, 0, 0, 0, 'ping'),
            new Event(EventKind::TEXT, self::WHOLE, 0, 0, 'Hello'),
            new Event(EventKind::BINARY, self::WHOLE, 0, 0, ''),
            new Event(EventKind::PONG, 0, 0, 0, 'pong'),
            new Event(EventKind::TEXT, self::WHOLE, 0, 0, $large),
        ], $events);
        self::assertTrue($events[1]->isFirst() && $events[1]->isLast());
        self::assertFalse($events[0]->isFirst() || $events[0]->isLast());
        self::assertSame("\x8a\x04ping", self::write($connection));
        $events = $connection->receive(self::frame(0x80, ''));
        self::assertEquals([new Event(EventKind::BINARY, self::WHOLE, 0, 0, 'begun')], $events);
        $connection->tick(0);
        $connection->free();
        self::assertSame('begun', $events[0]->data, 'events have their own data');
    }

    public function testPiecesComeAsTheyArrive(): void
    {
        $connection = self::open('server', pieces: true);
        $frame = self::frame(0x81, 'a€b');

        $seen = [];
        foreach (str_split($frame) as $byte) {
            foreach ($connection->receive($byte) as $event) {
                $seen[] = [$event->data, $event->isFirst(), $event->isLast()];
            }
        }
        self::assertSame([['a', true, false], ['€', false, false], ['b', false, true]], $seen);
    }

    public function testMessagesAreSentInPieces(): void
    {
        $connection = self::open('server');

        $connection->sendPiece(Opcode::TEXT, "\xe2\x82", false);
        self::assertUsageError(-2, static fn () => $connection->sendText('x'));
        self::assertUsageError(-2, static fn () => $connection->sendPiece(Opcode::BINARY, 'x', true));
        self::assertUsageError(-1, static fn () => $connection->sendPiece(Opcode::TEXT, 'x', true));
        $connection->ping('p');
        $connection->sendPiece(Opcode::TEXT, "\xac", true);
        self::assertSame("\x01\x02\xe2\x82\x89\x01p\x80\x01\xac", $connection->output());
    }

    public function testPingsAndPongs(): void
    {
        $connection = self::open('server', manualPong: true);

        self::assertEquals([new Event(EventKind::PING, 0, 0, 0, 'p')], $connection->receive(self::frame(0x89, 'p')));
        self::assertSame('', $connection->output());
        self::assertSame(3, $connection->pong('p'));
        self::assertSame(5, $connection->ping());
        self::assertSame("\x8a\x01p\x89\x00", $connection->output());
    }

    public function testAnApplicationThatAsksLetsIn(): void
    {
        $connection = Connection::server(new Config(ask: true));

        self::assertEquals(
            [new Event(EventKind::REQUEST, 0, 0, 0, self::REQUEST)],
            $connection->receive(self::REQUEST . substr(self::HELLO, 0, 4))
        );
        self::assertSame([], $connection->receive(substr(self::HELLO, 4)));
        self::assertSame(State::ASKED, $connection->state());
        self::assertSame('', $connection->output());
        self::assertUsageError(-1, static fn () => $connection->accept('other'));
        $connection->addField('X-A', 'a');
        self::assertEquals([
            new Event(EventKind::OPEN, 0, 0, 0, self::REQUEST),
            new Event(EventKind::TEXT, self::WHOLE, 0, 0, 'Hello'),
        ], $connection->accept('superchat'));
        self::assertSame('superchat', $connection->subprotocol());
        self::assertSame(
            self::ACCEPTANCE . "Sec-WebSocket-Protocol: superchat\r\nX-A: a\r\n\r\n",
            self::write($connection)
        );
        self::assertUsageError(-2, static fn () => $connection->accept());
        self::assertUsageError(-2, static fn () => $connection->addField('X-B', 'b'));
    }

    /** @dataProvider requests */
    public function testAnApplicationThatAsksRefuses(string $request, int $kind): void
    {
        $connection = Connection::server(new Config(ask: true));

        self::assertEquals([new Event($kind, 0, 0, 0, $request)], $connection->receive($request));
        self::assertUsageError(-1, static fn () => $connection->refuse(99));
        self::assertUsageError(-1, static fn () => $connection->refuse(2 ** 32 + 404));
        $connection->addField('X-A', 'a');
        $connection->refuse(404, 'gone');
        self::assertSame(
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\nX-A: a\r\n\r\ngone",
            self::write($connection)
        );
        self::assertSame(0, $connection->tick(0));
    }

    public static function requests(): array
    {
        return [
            'WebSocket' => [self::REQUEST, EventKind::REQUEST],
            'plain HTTP' => ["GET /page HTTP/1.1\r\nHost: a\r\n\r\n", EventKind::HTTP],
        ];
    }

    /** @dataProvider wrongFields */
    public function testNoFieldIsSmuggledIn(string $name, string $value): void
    {
        $connection = Connection::client();

        self::assertUsageError(-1, static fn () => $connection->addField($name, $value));
        $connection->request('a', '/');
        self::assertStringNotContainsString('X-B', $connection->output());
    }

    public static function wrongFields(): array
    {
        return [["X-A", "a\r\nX-B: b"], ["X-A: a\r\nX-B", 'b'], ['X-A', "a\nX-B: b"], ['X-B', "\0"], ['', 'X-B']];
    }

    public function testARequestTakesNoControlCharacters(): void
    {
        $connection = Connection::client();

        self::assertUsageError(-1, static fn () => $connection->request("a\r\nX-B: b", '/'));
        self::assertUsageError(-1, static fn () => $connection->request('a', "/ HTTP/1.1\r\nX-B: b"));
        self::assertUsageError(-2, static fn () => Connection::server()->request('a', '/'));
        $connection->request('a', '/');
        self::assertUsageError(-2, static fn () => $connection->request('a', '/'));
    }

    public function testTheServerRefusesWhatTheConfigDoesNotAllow(): void
    {
        $connection = Connection::server(new Config(origins: ['http://b', 'http://c']));

        $events = $connection->receive(self::REQUEST);
        self::assertEquals([new Event(EventKind::ERROR, 0, 403, -32, '')], $events);
        self::assertStringStartsWith('HTTP/1.1 403 ', self::write($connection));
        self::assertSame(State::FAILED, $connection->state());
        self::assertStringContainsString('Origin', $connection->error());
        self::assertSame(0, $connection->tick(0));

        $connection = Connection::server(new Config(origins: ['http://b', 'http://a']));
        self::assertSame(EventKind::OPEN, $connection->receive(self::REQUEST)[0]->kind);
    }

    public function testTheClientRefusesAnAnswerToAnotherKey(): void
    {
        $connection = Connection::client();
        $connection->request('a', '/');
        self::write($connection);

        $events = $connection->receive(self::ACCEPTANCE . "\r\n");
        self::assertSame([EventKind::ERROR, -32], [$events[0]->kind, $events[0]->error]);
        self::assertSame(State::FAILED, $connection->state());
    }

    /** @dataProvider faults */
    public function testWhatThePeerDoesWrongIsTheLastEvent(
        string $input,
        array $config,
        int $code,
        int $closeCode
    ): void {
        $connection = self::open('server', ...$config);

        $events = $connection->receive(self::HELLO . $input . self::HELLO);
        self::assertEquals(new Event(EventKind::TEXT, self::WHOLE, 0, 0, 'Hello'), $events[0]);
        self::assertEquals(new Event(EventKind::ERROR, 0, $closeCode, $code, ''), $events[1]);
        self::assertCount(2, $events);
        self::assertSame("\x88\x02" . pack('n', $closeCode), self::write($connection));
        self::assertSame(State::FAILED, $connection->state());
        self::assertStringContainsString(' ', $connection->error());
        self::assertUsageError(-2, static fn () => $connection->receive(self::HELLO));
        self::assertUsageError(-2, static fn () => $connection->sendText('x'));
        self::assertSame(0, $connection->tick(0));
    }

    public static function faults(): array
    {
        return [
            'not masked' => ["\x81\x00", [], -33, 1002],
            'reserved opcode' => [self::frame(0x83, ''), [], -33, 1002],
            'not UTF-8' => [self::frame(0x81, "\xff"), [], -34, 1007],
            'a long message' => [self::frame(0x82, '123456'), ['maxMessageLen' => 5], -35, 1009],
            'a long frame' => [self::frame(0x82, '123456'), ['maxFrameLen' => 5], -35, 1009],
            'many fragments' => [
                self::frame(0x02, '') . self::frame(0x00, '') . self::frame(0x00, ''),
                ['maxFragments' => 2],
                -35,
                1009,
            ],
            'a close code of another world' => [self::frame(0x88, pack('n', 999)), [], -33, 1002],
        ];
    }

    public function testWhatCameBeforeAnEndCanBeAnsweredUntilTheOutputIsTaken(): void
    {
        foreach ([self::frame(0x88, pack('n', 1000)), "\x81\x00"] as $end) {
            $connection = self::open('server');
            self::assertCount(2, $connection->receive(self::HELLO . $end));
            $connection->sendText('Hello');
            self::assertStringStartsWith("\x81\x05Hello\x88\x02", $connection->output());
            self::assertUsageError(-2, static fn () => $connection->sendText('late'));
        }
    }

    /** @dataProvider liberties */
    public function testEachRuleCanBeSwitchedOff(string $input, array $config, array $expected): void
    {
        self::assertSame(EventKind::ERROR, self::open('server')->receive($input)[0]->kind);
        self::assertEquals($expected, self::open('server', ...$config)->receive($input));
    }

    public static function liberties(): array
    {
        return [
            ["\x81\x01a", ['acceptAnyMask' => true], [new Event(EventKind::TEXT, self::WHOLE, 0, 0, 'a')]],
            [
                "\x81\xfe\x00\x01\0\0\0\0a",
                ['acceptLongLengths' => true],
                [new Event(EventKind::TEXT, self::WHOLE, 0, 0, 'a')],
            ],
            [
                self::frame(0x81, "\xff"),
                ['skipUtf8' => true],
                [new Event(EventKind::TEXT, self::WHOLE, 0, 0, "\xff")],
            ],
            [
                self::frame(0x88, pack('n', 2999)),
                ['acceptAnyCloseCode' => true],
                [new Event(EventKind::CLOSE, 0, 2999, 0, '')],
            ],
        ];
    }

    public function testTheHeadIsLimited(): void
    {
        foreach ([['maxHeadLen' => 100], ['maxHeadFields' => 3]] as $config) {
            $events = Connection::server(new Config(...$config))->receive(self::REQUEST);
            self::assertEquals([new Event(EventKind::ERROR, 0, 431, -32, '')], $events);
        }
    }

    public function testTheOutputIsLimitedAndWrittenInParts(): void
    {
        $connection = self::open('server', maxOutputLen: 100);
        $message = random_bytes(90);

        self::assertSame(92, $connection->sendBinary($message));
        self::assertUsageError(-3, static fn () => $connection->sendBinary($message));
        self::assertSame("\x82\x5a", $connection->output(2));
        self::assertSame('', $connection->output(0));
        self::assertSame(90, $connection->sent(2));
        self::assertSame($message, $connection->output());
        self::assertUsageError(-1, static fn () => $connection->sent(91));
        self::assertUsageError(-1, static fn () => $connection->sent(-1));
        self::assertUsageError(-1, static fn () => $connection->output(-1));
        self::assertSame(0, $connection->sent(90));
        self::assertSame('', $connection->output());
        self::assertSame(92, $connection->sendBinary($message));
    }

    public function testTheTimeAsksForPingsAndForAnEnd(): void
    {
        $connection = self::open('server', pingIntervalMs: 1000);
        self::assertSame(1000, $connection->tick(5000));
        self::assertSame(1, $connection->tick(5999));
        self::assertSame('', $connection->output());
        self::assertSame(1000, $connection->tick(6000));
        self::assertSame("\x89\x00", self::write($connection));
        self::assertSame(0, $connection->tick(7000));
        self::assertSame(State::FAILED, $connection->state());

        $connection = Connection::server(new Config(handshakeTimeoutMs: 300));
        self::assertSame([300, 0], [$connection->tick(0), $connection->tick(300)]);

        $connection = self::open('server', closeTimeoutMs: 200);
        $connection->close();
        self::assertSame([200, 0], [$connection->tick(0), $connection->tick(200)]);

        $connection = Connection::server(new Config(ask: true));
        $connection->receive(self::REQUEST);
        self::assertNull($connection->tick(0), 'the application is to answer when it wants');
        self::assertUsageError(-1, static fn () => $connection->tick(-1));
    }

    /** @dataProvider wrongCalls */
    public function testAWrongCallDoesNothing(int $code, \Closure $call): void
    {
        $connection = self::open('server');

        self::assertUsageError($code, static fn () => $call($connection));
        self::assertSame([State::OPEN, ''], [$connection->state(), $connection->output()]);
    }

    public static function wrongCalls(): array
    {
        return [
            'text that is not UTF-8' => [-1, static fn (Connection $c) => $c->sendText("\xff")],
            'a piece of a ping' => [-1, static fn (Connection $c) => $c->sendPiece(Opcode::PING, '', true)],
            'an opcode below 0' => [-1, static fn (Connection $c) => $c->sendPiece(-1, '', true)],
            'an opcode above 32 bits' => [-1, static fn (Connection $c) => $c->sendPiece(2 ** 32 + 1, '', true)],
            'a long ping' => [-1, static fn (Connection $c) => $c->ping(str_repeat('a', 126))],
            'a long pong' => [-1, static fn (Connection $c) => $c->pong(str_repeat('a', 126))],
            'a close code' => [-1, static fn (Connection $c) => $c->close(1006)],
            'a close code above 16 bits' => [-1, static fn (Connection $c) => $c->close(2 ** 16 + 1000)],
            'a close code above 32 bits' => [-1, static fn (Connection $c) => $c->close(2 ** 32 + 1000)],
            'a close code below 0' => [-1, static fn (Connection $c) => $c->close(-1)],
            'a long reason' => [-1, static fn (Connection $c) => $c->close(1000, str_repeat('a', 124))],
            'a reason that is not UTF-8' => [-1, static fn (Connection $c) => $c->close(1000, "\xff")],
            'a request' => [-2, static fn (Connection $c) => $c->request('a', '/')],
            'a field' => [-2, static fn (Connection $c) => $c->addField('a', 'b')],
            'accept' => [-2, static fn (Connection $c) => $c->accept()],
            'refuse' => [-2, static fn (Connection $c) => $c->refuse(400)],
        ];
    }

    /** @dataProvider wrongConfigs */
    public function testAWrongConfigIsRefused(array $config, string $message): void
    {
        foreach ([Connection::server(...), Connection::client(...)] as $make) {
            self::assertUsageError(-1, static fn () => $make(new Config(...$config)), $message);
        }
    }

    public static function wrongConfigs(): array
    {
        return [
            [['subprotocols' => ['a b']], ''],
            [['subprotocols' => ['a,b']], "the subprotocol 'a,b' "],
            [['subprotocols' => ['chat', '']], "the subprotocol '' "],
            [['origins' => ['']], "the origin '' is empty"],
            [['origins' => [' ']], "the origin ' ' is empty"],
            [['maxMessageLen' => -1], 'the maxMessageLen -1 '],
            [['maxFrameLen' => -1], 'the maxFrameLen -1 '],
            [['maxOutputLen' => PHP_INT_MIN], 'the maxOutputLen '],
            [['maxFragments' => 2 ** 32], 'the maxFragments 4294967296 '],
            [['maxHeadLen' => -1], 'the maxHeadLen '],
            [['maxHeadFields' => 2 ** 32], 'the maxHeadFields '],
            [['maxHeadFields' => 1001], ''],
            [['handshakeTimeoutMs' => -1], 'the handshakeTimeoutMs '],
            [['closeTimeoutMs' => 2 ** 32], 'the closeTimeoutMs '],
            [['pingIntervalMs' => 2 ** 40], 'the pingIntervalMs '],
        ];
    }

    public function testElementsOfListsAreStrings(): void
    {
        $this->expectException(\TypeError::class);
        Connection::server(new Config(subprotocols: [1]));
    }

    private static function open(string $role, mixed ...$config): Connection
    {
        return Connection::$role(new Config(...$config, startOpen: true));
    }

    private static function write(Connection $connection): string
    {
        $output = $connection->output();
        self::assertSame(0, $connection->sent(strlen($output)));
        return $output;
    }

    /** What a client sends. */
    private static function frame(int $firstByte, string $payload): string
    {
        $key = "\x37\xfa\x21\x3d";
        $header = new Header($firstByte & 0x0f, strlen($payload), ($firstByte & Frame::FIN) !== 0, maskKey: $key);
        $head = $firstByte === 0x83 ? "\x83\x80$key" : $header->build();
        return $head . Frame::unmask($payload, $key);
    }

    private static function assertUsageError(int $code, \Closure $call, string $message = ''): void
    {
        try {
            $call();
        } catch (UsageError $error) {
            self::assertSame($code, $error->getCode());
            self::assertStringContainsString($message, $error->getMessage());
            return;
        }
        self::fail('no UsageError');
    }
}

<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/event.php';

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\DataFlag;
use Wsframe\EventKind;
use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\Message;
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

    private const WHOLE = DataFlag::FIRST | DataFlag::LAST;

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
        self::assertEquals([event(EventKind::OPEN, $request)], $server->receive($request));
        self::assertSame(['/chat?room=1', 'a=b', null], [
            $server->target(),
            $server->field('COOKIE'),
            $server->field('Origin'),
        ]);
        $response = self::write($server);
        self::assertEquals([event(EventKind::OPEN, $response)], $client->receive($response));
        self::assertSame('websocket', $client->field('upgrade'));
        self::assertNull($client->target());
        self::assertSame(['chat', 'chat'], [$server->subprotocol(), $client->subprotocol()]);
        self::assertSame([State::OPEN, State::OPEN], [$server->state(), $client->state()]);
        self::tick($server, 0);
        self::assertSame([null, null], [$server->target(), $server->field('Cookie')], 'the head is gone');

        $data = random_bytes(70_000);
        self::assertSame(14 + 70_000, $client->sendBinary($data));
        self::assertStringNotContainsString(substr($data, 0, 100), $client->output(0), 'it is masked');
        self::assertEquals(
            [event(EventKind::BINARY, $data)],
            $server->receive(self::write($client))
        );
        self::assertSame(2 + 6, $server->sendText('Grüß'));
        self::assertSame("\x81\x06Grüß", self::write($server));

        $server->close(1001, 'going away');
        self::assertSame(State::CLOSING, $server->state());
        self::assertEquals(
            [event(EventKind::CLOSE, 'going away', closeCode: 1001)],
            $client->receive(self::write($server))
        );
        self::assertEquals([event(EventKind::CLOSE, closeCode: 1001)], $server->receive(self::write($client)));
        self::assertSame([State::CLOSED, State::CLOSED], [$server->state(), $client->state()]);
        self::assertSame([0, 5000], [self::tick($server, 0), self::tick($client, 0)], 'the server closes TCP');
        self::assertSame([null, null], [$server->error(), $client->error()]);
        self::assertSame([], $server->receive('more'), 'what still comes is not looked at');
        self::assertSame(0, $server->sendText('late'));
        self::assertSame(0, $server->close());
    }

    public function testAClientClosesToo(): void
    {
        $client = self::open('client');
        $server = self::open('server');

        $client->close(1005);
        self::assertEquals([event(EventKind::CLOSE, closeCode: 1005)], $server->receive(self::write($client)));
        self::assertSame("\x88\x00", $server->output(0));
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
            event(EventKind::PING, 'ping'),
            event(EventKind::TEXT, 'Hello'),
            event(EventKind::BINARY),
            event(EventKind::PONG, 'pong'),
            event(EventKind::TEXT, $large),
        ], $events);
        self::assertTrue($events[1]->isFirst() && $events[1]->isLast());
        self::assertFalse($events[0]->isFirst() || $events[0]->isLast());
        self::assertSame("\x8a\x04ping", self::write($connection));
        $events = $connection->receive(self::frame(0x80, ''));
        self::assertEquals([event(EventKind::BINARY, 'begun')], $events);
        self::tick($connection, 0);
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

        $connection->send(Opcode::TEXT, "\xe2\x82", more: true);
        self::assertUsageError(-2, static fn () => $connection->sendBinary('x'));
        self::assertUsageError(-2, static fn () => $connection->sendMessage(Message::text('x')));
        self::assertUsageError(-1, static fn () => $connection->sendText('x'), 'UTF-8');
        self::assertFalse($connection->trySend('x') || $connection->trySend(Message::text('x')));
        $connection->ping('p');
        $connection->send(Opcode::TEXT, "\xac");
        self::assertTrue($connection->trySend('x'));
        self::assertSame("\x01\x02\xe2\x82\x89\x01p\x80\x01\xac\x81\x01x", $connection->output(0));
    }

    public function testPingsAndPongs(): void
    {
        $connection = self::open('server', manualPong: true);

        self::assertEquals([event(EventKind::PING, 'p')], $connection->receive(self::frame(0x89, 'p')));
        self::assertSame('', $connection->output(0));
        self::assertSame(3, $connection->pong('p'));
        self::assertSame(5, $connection->ping());
        self::assertSame("\x8a\x01p\x89\x00", $connection->output(0));
    }

    public function testAnApplicationThatAsksLetsIn(): void
    {
        $connection = Connection::server(new Config(ask: true));

        self::assertEquals(
            [event(EventKind::REQUEST, self::REQUEST)],
            $connection->receive(self::REQUEST . substr(self::HELLO, 0, 4))
        );
        self::assertSame([], $connection->receive(substr(self::HELLO, 4)));
        self::assertSame(State::ASKED, $connection->state());
        self::assertSame('', $connection->output(0));
        self::assertUsageError(-1, static fn () => $connection->accept('other'));
        $connection->addField('X-A', 'a');
        self::assertEquals([
            event(EventKind::OPEN, self::REQUEST),
            event(EventKind::TEXT, 'Hello'),
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

        self::assertEquals([event($kind, $request)], $connection->receive($request));
        self::assertUsageError(-1, static fn () => $connection->respond(99));
        self::assertUsageError(-1, static fn () => $connection->respond(2 ** 32 + 404));
        $connection->addField('X-A', 'a');
        $connection->respond(404, 'gone');
        self::assertSame(
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\nX-A: a\r\n\r\ngone",
            self::write($connection)
        );
        self::assertSame(0, self::tick($connection, 0));
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
        self::assertStringNotContainsString('X-B', $connection->output(0));
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
        self::assertEquals([event(EventKind::ERROR, closeCode: 403, error: -32)], $events);
        self::assertStringStartsWith('HTTP/1.1 403 ', self::write($connection));
        self::assertSame(State::FAILED, $connection->state());
        self::assertStringContainsString('Origin', $connection->error());
        self::assertSame(0, self::tick($connection, 0));

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
        self::assertEquals(event(EventKind::TEXT, 'Hello'), $events[0]);
        self::assertEquals(event(EventKind::ERROR, closeCode: $closeCode, error: $code), $events[1]);
        self::assertCount(2, $events);
        self::assertSame("\x88\x02" . pack('n', $closeCode), self::write($connection));
        self::assertSame(State::FAILED, $connection->state());
        self::assertStringContainsString(' ', $connection->error());
        self::assertSame([], $connection->receive(self::HELLO));
        self::assertSame([0, false], [$connection->sendText('x'), $connection->trySend('x')]);
        self::assertSame(0, self::tick($connection, 0));
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
            self::assertStringStartsWith("\x81\x05Hello\x88\x02", $connection->output(0));
            self::assertSame(0, $connection->sendText('late'));
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
            ["\x81\x01a", ['acceptAnyMask' => true], [event(EventKind::TEXT, 'a')]],
            [
                "\x81\xfe\x00\x01\0\0\0\0a",
                ['acceptLongLengths' => true],
                [event(EventKind::TEXT, 'a')],
            ],
            [
                self::frame(0x81, "\xff"),
                ['skipUtf8' => true],
                [event(EventKind::TEXT, "\xff")],
            ],
            [
                self::frame(0x88, pack('n', 2999)),
                ['acceptAnyCloseCode' => true],
                [event(EventKind::CLOSE, closeCode: 2999)],
            ],
        ];
    }

    public function testTheHeadIsLimited(): void
    {
        foreach ([['maxHeadLen' => 100], ['maxHeadFields' => 3]] as $config) {
            $events = Connection::server(new Config(...$config))->receive(self::REQUEST);
            self::assertEquals([event(EventKind::ERROR, closeCode: 431, error: -32)], $events);
        }
    }

    public function testTheOutputIsLimitedAndWrittenInParts(): void
    {
        $connection = self::open('server', highWaterLen: 90);
        $message = random_bytes(90);

        self::assertSame(92, $connection->sendBinary($message));
        self::assertUsageError(-3, static fn () => $connection->sendBinary($message));
        self::assertFalse($connection->trySend($message, Opcode::BINARY));
        self::assertSame("\x82\x5a", $connection->output(0, maxLen: 2));
        self::assertSame('', $connection->output(0, 2, 0));
        self::assertSame(90, $connection->waiting());
        self::assertSame($message, $connection->output(0));
        self::assertUsageError(-1, static fn () => $connection->output(0, 91));
        self::assertUsageError(-1, static fn () => $connection->output(0, -1));
        self::assertUsageError(-1, static fn () => $connection->output(0, 0, -1));
        self::assertSame('', $connection->output(0, 90));
        self::assertSame(0, $connection->waiting());
        self::assertSame(92, $connection->sendBinary($message));
    }

    /** The library is told later of what was written, and nobody sees that. */
    public function testTurnsThatAreAnAnswerAndNothingElse(): void
    {
        $connection = self::open('server', pingIntervalMs: 1000);
        for ($turn = 1; $turn <= 3; $turn++) {
            $connection->receive(self::HELLO);
            self::assertSame(7, $connection->sendText('Hello'));
            self::assertSame(7, $connection->waiting());
            self::assertSame("\x81\x05Hello", $connection->output($turn));
            self::assertSame('', $connection->output($turn, 7));
            self::assertSame([0, 1000], [$connection->waiting(), $connection->waitMs()]);
        }
        self::assertSame(['', 0, 999], [$connection->output(4), $connection->waiting(), $connection->waitMs()]);
        $connection->receive(self::HELLO);
        $connection->sendText('Hello');
        self::assertSame("\x81\x05Hello", $connection->output(4));
        $connection->sendText('again');
        self::assertSame(14, $connection->waiting());
        self::assertSame("\x81\x05again", $connection->output(4, 7), 'what was sent meanwhile is not forgotten');
        self::assertSame('', $connection->output(4, 7));
        self::assertUsageError(-1, static fn () => $connection->output(4, 7), 'more is said to be sent');

        $connection->receive(self::HELLO);
        $connection->sendText('Hello');
        self::assertSame("\x81\x05Hello", $connection->output(4));
        self::assertEquals([event(EventKind::PING, 'p')], $connection->receive(self::frame(0x89, 'p')));
        self::assertSame("\x8a\x01p", $connection->output(4, 7), 'nor what answers the peer');
        self::assertSame('', $connection->output(4, 3));

        $connection->sendText('bye');
        $connection->close();
        self::assertSame("\x81\x03bye\x88\x02\x03\xe8", $connection->output(5));
        $connection->receive(self::frame(0x88, pack('n', 1000)));
        self::assertSame(['', 0], [$connection->output(5, 9), $connection->waitMs()]);
    }

    /** Who only listens is asked whether he is there, however much is told him. */
    public function testAPeerToWhomMuchIsSentAndWhoSaysNothingIsPinged(): void
    {
        $connection = self::open('server', pingIntervalMs: 1000);
        $connection->receive(self::HELLO);
        $connection->sendText('Hello');
        self::assertSame('', $connection->output(0, strlen($connection->output(0))));
        $sent = '';
        for ($now = 100; $now <= 2500; $now += 100) {
            $connection->sendText('news');
            $sent .= $output = $connection->output($now);
            $connection->output($now, strlen($output));
        }
        self::assertStringContainsString("\x89\x00", $sent);
        self::assertSame(State::FAILED, $connection->state());
    }

    public function testAPeerThatReadsSlowlyCostsWhatIsWritten(): void
    {
        $connection = self::open('server');
        $connection->sendBinary(str_repeat('x', 10 << 20));

        $first = $connection->output(0);
        self::assertSame(128 << 10, strlen($first));
        $all = $first;
        for ($sent = strlen($first); ($output = $connection->output(0, $sent)) !== ''; $sent = 1000 + strlen($all) % 5000) {
            $sent = min(1000 + strlen($all) % 5000, strlen($output));
            $all .= substr($output, 0, $sent);
            if (strlen($all) > 1 << 20) {
                break;
            }
        }
        self::assertSame(substr("\x82\x7f" . pack('J', 10 << 20), 0, 10), substr($all, 0, 10));
        self::assertSame(strlen($all) - 10, substr_count($all, 'x'));
    }

    public function testAllTheOutputCanBeTakenAsWritten(): void
    {
        $connection = self::open('server');
        $large = Message::binary(str_repeat('x', 500_000));
        $connection->sendText('a');
        $connection->sendMessage($large);
        $connection->sendText('b');

        $header = "\x82\x7f" . pack('J', 500_000);
        self::assertSame("\x81\x01a$header" . str_repeat('x', 500_000) . "\x81\x01b", $connection->take(0));
        self::assertSame([0, '', 30000], [$connection->waiting(), $connection->take(0), $connection->waitMs()]);

        $connection->sendText('a');
        $connection->sendMessage($large);
        self::assertSame("\x81\x01a{$header}xx", $connection->output(0, maxLen: 15), 'one write, however it is kept');
        self::assertSame(str_repeat('x', 10), $connection->output(0, 14, 10));
    }

    /** What one call of the library does not bring, the loop over what receive() has returned does. */
    public function testAReadThatBringsMuchLosesNothing(): void
    {
        $connection = self::open('server');
        $count = 10_000;
        $seen = 0;
        foreach ($connection->receive(str_repeat(self::frame(0x82, ''), $count)) as $event) {
            $seen += $event->kind === EventKind::BINARY && $connection->trySend('') ? 1 : 0;
        }
        self::assertSame($count, $seen);

        $events = $connection->receive(str_repeat(self::frame(0x82, ''), $count));
        foreach ($events as $event) {
            break;
        }
        $left = iterator_to_array((static fn () => yield from $connection->receive(self::HELLO))(), false);
        self::assertSame('Hello', end($left)->data, 'who breaks off gets the rest with the next call');

        foreach ($connection->receive(str_repeat(self::frame(0x82, ''), $count)) as $event) {
            $connection->free();
        }
        self::assertSame(EventKind::BINARY, $event->kind, 'a loop may free the connection');
    }

    public function testABroadcastNeverFailsForWhatAPeerDid(): void
    {
        $message = Message::text('news');
        $connecting = Connection::server();
        $asked = Connection::server(new Config(ask: true));
        $asked->receive(self::REQUEST);
        $inPieces = self::open('server');
        $inPieces->sendText('begun', more: true);
        $slow = self::open('server', highWaterLen: 10);
        $slow->sendText('much too much');
        $closing = self::open('server');
        $closing->close();
        $left = self::open('server');
        $left->receive(self::frame(0x88, ''));
        $left->take(0);
        $hostile = self::open('server');
        $hostile->receive("\xff");
        $hostile->take(0);
        $gone = self::open('server');
        $gone->gone();
        foreach ([$connecting, $asked, $inPieces, $slow, $closing, $left, $hostile, $gone] as $connection) {
            self::assertFalse($connection->trySend($message));
            self::assertFalse($connection->trySend('news'));
            self::assertFalse($connection->trySend("\xff", Opcode::BINARY));
        }
        $open = self::open('server');
        self::assertTrue($open->trySend($message) && $open->trySend('ä') && $open->trySend("\xff", Opcode::BINARY));
        self::assertSame("\x81\x04news\x81\x02ä\x82\x01\xff", $open->take(0));
        self::assertUsageError(-1, static fn () => $open->trySend("\xff"), 'UTF-8');
        foreach ([Opcode::CLOSE, 16, -1, 2 ** 32 + 1] as $kind) {
            self::assertUsageError(-1, static fn () => $open->trySend('', $kind));
        }
    }

    public function testWhatIsToldWhenTcpHasEnded(): void
    {
        $connection = self::open('server');
        self::assertEquals([event(EventKind::GONE, closeCode: 1006)], $connection->gone());
        self::assertSame([[], [], 0], [$connection->gone(), $connection->receive(self::HELLO), $connection->close()]);

        $connection = self::open('server');
        $connection->receive(self::HELLO);
        $connection->sendText('Hello');
        self::assertSame('', $connection->output(0, strlen($connection->output(0))));
        $connection->gone();
        self::assertSame(['', 0, 0], [$connection->output(0), $connection->waiting(), $connection->waitMs()]);

        $connection = self::open('server');
        $connection->receive(self::frame(0x88, pack('n', 1001)));
        $connection->take(0);
        self::assertEquals([event(EventKind::GONE, closeCode: 1001)], $connection->gone());
    }

    public function testTheFieldsOfTheHead(): void
    {
        $connection = Connection::server();
        $connection->receive(str_replace('Origin', "X-A: 1\r\nX-A: 2\r\nX-B:\r\nOrigin", self::REQUEST));

        self::assertSame(
            [['Host', 'a'], ['X-A', '1'], ['X-A', '2'], ['X-B', ''], ['Origin', 'http://a']],
            array_values(array_filter(
                $connection->fields(),
                static fn (array $field): bool => in_array($field[0], ['Host', 'X-A', 'X-B', 'Origin'], true)
            ))
        );
        self::assertSame(['1', null, null], [
            $connection->field('x-a'),
            $connection->field('x-b'),
            $connection->field('x-c'),
        ]);
        $connection->output(0);
        self::assertSame([], $connection->fields());
    }

    public function testWhatVarDumpShows(): void
    {
        $connection = Connection::server(new Config(ask: true));
        $connection->receive(self::REQUEST);
        $shown = static fn (Connection $connection): string => preg_replace('/\s+/', ' ', print_r($connection, true));

        self::assertSame(
            'Wsframe\Connection Object ( [role] => server [state] => ASKED [target] => /chat?room=1 [error] => ) ',
            $shown($connection)
        );
        self::assertStringContainsString('[role] => client [state] => CONNECTING', $shown(Connection::client()));
        $connection->free();
        self::assertStringContainsString('FREED', $shown($connection));
    }

    public function testTheTimeIsMilliseconds(): void
    {
        $connection = self::open('server');
        foreach ([microtime(true), 5.0] as $seconds) {
            try {
                $connection->output($seconds);
                self::fail('no TypeError');
            } catch (\TypeError $error) {
                self::assertStringContainsString('int of milliseconds', $error->getMessage());
            }
        }
    }

    public function testTheTimeAsksForPingsAndForAnEnd(): void
    {
        $connection = self::open('server', pingIntervalMs: 1000);
        self::assertSame(1000, self::tick($connection, 5000));
        self::assertSame(1, self::tick($connection, 5999));
        self::assertSame('', $connection->output(0));
        self::assertSame(1000, self::tick($connection, 6000));
        self::assertSame("\x89\x00", self::write($connection));
        self::assertSame(0, self::tick($connection, 7000));
        self::assertSame(State::FAILED, $connection->state());

        $connection = Connection::server(new Config(handshakeTimeoutMs: 300));
        self::assertSame([300, 0], [self::tick($connection, 0), self::tick($connection, 300)]);

        $connection = self::open('server', closeTimeoutMs: 200);
        $connection->close();
        self::assertSame([200, 0], [self::tick($connection, 0), self::tick($connection, 200)]);

        $connection = Connection::server(new Config(ask: true));
        $connection->receive(self::REQUEST);
        self::assertNull(self::tick($connection, 0), 'the application is to answer when it wants');
        self::assertUsageError(-1, static fn () => self::tick($connection, -1));
    }

    /** @dataProvider wrongCalls */
    public function testAWrongCallDoesNothing(int $code, \Closure $call, string $message = ''): void
    {
        $connection = self::open('server');

        self::assertUsageError($code, static fn () => $call($connection), $message);
        self::assertSame([State::OPEN, ''], [$connection->state(), $connection->output(0)]);
    }

    public static function wrongCalls(): array
    {
        return [
            'text that is not UTF-8' => [-1, static fn (Connection $c) => $c->sendText("\xff"), 'UTF-8'],
            'a piece of a ping' => [-1, static fn (Connection $c) => $c->send(Opcode::PING, '', more: true)],
            'an opcode below 0' => [-1, static fn (Connection $c) => $c->send(-1, '')],
            'an opcode above 32 bits' => [-1, static fn (Connection $c) => $c->send(2 ** 32 + 1, '')],
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
            'refuse' => [-2, static fn (Connection $c) => $c->respond(400)],
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
            [['highWaterLen' => PHP_INT_MIN], 'the highWaterLen '],
            [['maxInflatedLen' => -1], 'the maxInflatedLen '],
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
        $this->expectExceptionMessage('subprotocols have to be strings; [0] is of type int');
        Connection::server(new Config(subprotocols: [1]));
    }

    private static function open(string $role, mixed ...$config): Connection
    {
        return Connection::$role(new Config(...$config, startOpen: true));
    }

    private static function write(Connection $connection): string
    {
        $output = $connection->take(0);
        self::assertSame(0, $connection->waiting());
        return $output;
    }

    /** Tells the time, and returns when it is to be told again. */
    private static function tick(Connection $connection, int $nowMs): ?int
    {
        $connection->output($nowMs);
        return $connection->waitMs();
    }

    /** What a client sends. */
    private static function frame(int $firstByte, string $payload): string
    {
        $key = "\x37\xfa\x21\x3d";
        $header = new Header($firstByte & 0x0f, strlen($payload), ($firstByte & Opcode::FIN) !== 0, maskKey: $key);
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

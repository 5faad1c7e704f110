<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/event.php';

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Deflate;
use Wsframe\DataFlag;
use Wsframe\EventKind;
use Wsframe\Frame;
use Wsframe\Handshake;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\ProtocolError;
use Wsframe\State;
use Wsframe\UsageError;

/** Compressed messages (RFC 7692): what was agreed on, what is compressed, prepared messages, many at once. */
final class DeflateTest extends TestCase
{
    private const COMPRESSED = DataFlag::FIRST | DataFlag::LAST | DataFlag::COMPRESSED;
    private const AGREED = 'permessage-deflate; server_max_window_bits=12';

    private static string $text;

    public static function setUpBeforeClass(): void
    {
        self::$text = str_repeat('compress me, ', 20);
    }

    public function testBothEndsAgreeAndMessagesAreCompressedBothWays(): void
    {
        [$client, $server] = self::opened(new Config(deflate: true), new Config(deflate: true));
        $agreed = new Deflate(false, false, 12, 12);
        self::assertEquals([$agreed, $agreed], [$client->deflate(), $server->deflate()]);

        foreach ([[$client, $server], [$server, $client]] as [$source, $target]) {
            $source->sendText(self::$text);
            $source->sendBinary(str_repeat("\0", 5000));
            $sent = self::write($source);
            self::assertSame([0xC1, 0xC2], array_column(self::frames($sent), 0), 'FIN, RSV1 and the opcode');
            self::assertLessThan(100, strlen($sent));
            $events = $target->receive($sent);
            self::assertEquals([
                event(EventKind::TEXT, self::$text, self::COMPRESSED),
                event(EventKind::BINARY, str_repeat("\0", 5000), self::COMPRESSED),
            ], $events);
            self::assertTrue($events[0]->isCompressed() && $events[0]->isFirst() && $events[0]->isLast());
        }
    }

    public function testWithoutTheConsentOfBothNothingIsCompressed(): void
    {
        $deflate = new Config(deflate: true);
        foreach ([[null, $deflate], [$deflate, null], [null, null]] as $configs) {
            [$client, $server] = self::opened(...$configs);
            self::assertSame([null, null], [$client->deflate(), $server->deflate()]);
            $client->sendText(self::$text, true);
            [$event] = $server->receive(self::write($client));
            self::assertSame([self::$text, false], [$event->data, $event->isCompressed()]);
            $server->sendMessage(Message::text(self::$text, $deflate));
            self::assertSame([[0x81, self::$text]], self::frames($server->output(0)));
        }
    }

    public function testOneClientMayBeDeclined(): void
    {
        $client = Connection::client(new Config(deflate: true));
        $server = Connection::server(new Config(deflate: true, ask: true));
        $client->request('example.com', '/');
        $server->receive(self::write($client));
        $server->accept(deflate: false);
        $client->receive(self::write($server));
        self::assertSame([null, null], [$client->deflate(), $server->deflate()]);
        self::assertUsageError(-2, fn () => $server->accept(deflate: false));
    }

    /** @dataProvider agreements */
    public function testWhatIsAgreedOn(Config $forClient, Config $forServer, Deflate $agreed): void
    {
        [$client, $server] = self::opened($forClient, $forServer);
        self::assertEquals([$agreed, $agreed], [$client->deflate(), $server->deflate()]);
        $text = implode(' ', range(1, 3000));
        foreach ([$client, $server, $client, $server] as $source) {
            $source->sendText($text);
            $target = $source === $client ? $server : $client;
            self::assertEquals(
                [event(EventKind::TEXT, $text, self::COMPRESSED)],
                $target->receive(self::write($source))
            );
        }
    }

    public static function agreements(): array
    {
        $deflate = new Config(deflate: true);
        $wide = new Config(deflate: true, serverMaxWindowBits: 15, clientMaxWindowBits: 15);
        return [
            [new Config(deflate: true, serverNoContextTakeover: true), $deflate, new Deflate(true, false, 12, 12)],
            [$deflate, new Config(deflate: true, clientNoContextTakeover: true), new Deflate(false, true, 12, 12)],
            [
                new Config(deflate: true, serverMaxWindowBits: 9),
                new Config(deflate: true, clientMaxWindowBits: 10),
                new Deflate(false, false, 9, 10),
            ],
            [$wide, $wide, new Deflate(false, false, 15, 15)],
        ];
    }

    public function testWhoSendsHasASay(): void
    {
        $server = self::open(deflateMinLen: 10);
        $server->sendText('short');
        $server->sendText('short', true);
        $server->sendText(self::$text);
        $server->sendText(self::$text, false);
        $server->sendText(self::$text, compress: null);
        $server->sendBinary(self::$text, false);
        $server->sendBinary('short', true);
        self::assertSame(
            [0x81, 0xC1, 0xC1, 0x81, 0xC1, 0x82, 0xC2],
            array_column(self::frames(self::write($server)), 0)
        );

        foreach ([[null, 0x41], [true, 0x41], [false, 0x01]] as [$compress, $first]) {
            $server->send(Opcode::TEXT, self::$text, $compress, more: true);
            $server->send(Opcode::TEXT, self::$text, more: true);
            $server->send(Opcode::TEXT, self::$text, $compress);
            $sent = self::write($server);
            self::assertSame([$first, 0x00, 0x80], array_column(self::frames($sent), 0), 'RSV1 on the first only');
        }
        self::assertStringContainsString(self::$text, $sent);
    }

    public function testLevels(): void
    {
        $text = implode(' ', array_map(static fn (int $i): int => $i * $i, range(1, 5000)));
        $len = static fn (int $level): int => self::open(deflateLevel: $level)->sendText($text);

        self::assertGreaterThan($len(9), $len(1));
        self::assertSame($len(6), $len(0));
    }

    /** @dataProvider wrongConfigs */
    public function testWhatCannotBeConfigured(array $wrong): void
    {
        $config = new Config(...$wrong + ['deflate' => true]);
        foreach (
            [
                static fn () => Connection::server($config),
                static fn () => Message::text('a', $config),
                static fn () => Message::binary('a', $config),
                static fn () => Handshake::extensions('permessage-deflate', $config),
            ] as $call
        ) {
            self::assertUsageError(-1, $call);
        }
    }

    public static function wrongConfigs(): array
    {
        return [
            [['deflateLevel' => 10]],
            [['deflateLevel' => -1]],
            [['serverMaxWindowBits' => 8]],
            [['serverMaxWindowBits' => 16]],
            [['clientMaxWindowBits' => 8]],
            [['clientMaxWindowBits' => 256 + 15]],
            [['deflateMinLen' => 2 ** 32]],
        ];
    }

    /** @dataProvider offers */
    public function testTheAnswerForHostsThatWriteTheResponse(string $offer, Config $config, ?string $answer): void
    {
        self::assertSame($answer, Handshake::extensions($offer, $config));
    }

    public static function offers(): array
    {
        $deflate = new Config(deflate: true);
        $wide = new Config(deflate: true, serverMaxWindowBits: 15);
        $both = 'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12';
        $alone = 'permessage-deflate; server_no_context_takeover';
        return [
            ['permessage-deflate', $deflate, self::AGREED],
            ['permessage-deflate; client_max_window_bits', $deflate, $both],
            ["foo, $alone", $wide, $alone],
            ['permessage-deflate; server_max_window_bits=8', $deflate, null],
            ['foo', $deflate, null],
            ['', $deflate, null],
            ['permessage-deflate', new Config(), null],
        ];
    }

    public function testAConnectionAfterTheHostHasAnswered(): void
    {
        $server = self::open();
        self::assertEquals(new Deflate(false, false, 12, 15), $server->deflate());
        self::assertNull(Connection::server(new Config(startOpen: true, deflate: true))->deflate());
        $request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            . "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        $field = "\r\nSec-WebSocket-Extensions: " . self::AGREED . "\r\n";
        self::assertStringContainsString($field, Handshake::answer($request, new Config(deflate: true)));
        self::assertStringNotContainsString('Sec-WebSocket-Extensions', Handshake::answer($request));
        self::assertUsageError(
            -1,
            static fn () => Connection::server(new Config(startOpen: true, deflate: true, extensions: 'foo'))
        );
    }

    public function testAnOfferThatIsNoneIsTheFaultOfThePeer(): void
    {
        foreach (['permessage-deflate;', "\xff", 'a b'] as $offer) {
            try {
                Handshake::extensions($offer, new Config(deflate: true));
                self::fail('no ProtocolError');
            } catch (ProtocolError $error) {
                self::assertSame([-32, 0], [$error->getCode(), $error->closeCode]);
            }
        }
    }

    public function testAPreparedMessageIsCompressedOnceForEverybody(): void
    {
        $config = new Config(deflate: true);
        $message = Message::text(self::$text, $config);
        $seen = [];
        foreach ([[], ['serverNoContextTakeover' => true], ['serverMaxWindowBits' => 9]] as $other) {
            $config = new Config(...$other + ['deflate' => true]);
            [$client, $server] = self::opened($config, $config);
            for ($i = 0; $i < 3; $i++) {
                $server->sendText(self::$text . 'before');
                self::assertSame($server->sendMessage($message), strlen($server->output(0)));
                $sent = self::write($server);
                $seen[] = self::frames($sent)[1];
                $server->sendText('behind' . self::$text);
                $events = $client->receive($sent . self::write($server));
                self::assertSame(
                    [self::$text . 'before', self::$text, 'behind' . self::$text],
                    array_column($events, 'data')
                );
                self::assertTrue($events[1]->isCompressed());
            }
        }
        self::assertCount(1, array_unique($seen, SORT_REGULAR));
        self::assertSame(0xC1, $seen[0][0]);
    }

    public function testHowAMessageIsPrepared(): void
    {
        $deflate = new Config(deflate: true, deflateMinLen: 10);
        $first = static function (Message $message): int {
            $server = self::open();
            $server->sendMessage($message);
            return ord($server->output(0));
        };
        self::assertSame(0x81, $first(Message::text(self::$text)), 'without deflate it is not compressed');
        self::assertSame(0xC1, $first(Message::text(self::$text, $deflate)));
        self::assertSame(0x81, $first(Message::text(self::$text, $deflate, false)));
        self::assertSame(0x82, $first(Message::binary('aaaaaaaaa', $deflate)));
        self::assertSame(0xC2, $first(Message::binary('aaaaaaaaa', $deflate, compress: true)));
        self::assertUsageError(-1, static fn () => Message::text("\xff"));
        self::assertSame(0x81, $first(Message::text("\xff", new Config(skipUtf8: true))));
    }

    public function testAMessageIsNeitherClonedNorSerializedAndMayBeNone(): void
    {
        $message = Message::text('a');
        foreach (
            [
                static fn () => serialize($message),
                static fn () => unserialize('O:15:"Wsframe\Message":0:{}'),
            ] as $call
        ) {
            self::assertUsageError(-1, $call);
        }
        try {
            clone $message;
            self::fail('it was cloned');
        } catch (\Error $error) {
            self::assertStringContainsString('__clone', $error->getMessage());
        }
        $message->prepared->__destruct();
        $message->prepared->__destruct();
        self::assertUsageError(-1, static fn () => self::open()->sendMessage($message));
        $this->expectException(\Error::class);
        self::open()->sendMessage((new \ReflectionClass(Message::class))->newInstanceWithoutConstructor());
    }

    public function testMessagesGiveTheirMemoryBack(): void
    {
        $make = static function (int $times): void {
            for ($i = 0; $i < $times; $i++) {
                Message::binary(str_repeat('x', 1000), new Config(deflate: true));
            }
        };
        $resident = static fn (): int => (int) explode(' ', file_get_contents('/proc/self/statm'))[1] * 4096;
        $make(500);
        $before = $resident();
        $make(10_000);

        self::assertLessThan(4 << 20, $resident() - $before, 'bytes that 10,000 messages have left');
    }

    /** @dataProvider batches */
    public function testManyMessagesAreSentAsOneByOne(int $opcode, array $messages): void
    {
        foreach ([null, true, false] as $compress) {
            foreach ([self::open(...), static fn () => Connection::server(new Config(startOpen: true))] as $make) {
                [$oneByOne, $atOnce] = [$make(), $make()];
                foreach ($messages as $message) {
                    $opcode === Opcode::TEXT
                        ? $oneByOne->sendText($message, $compress)
                        : $oneByOne->sendBinary($message, $compress);
                }
                self::assertSame(count($messages), $atOnce->sendMany($opcode, $messages, $compress));
                self::assertSame($oneByOne->output(0), $atOnce->output(0));
            }
        }
    }

    public static function batches(): array
    {
        $text = str_repeat('compress me, ', 20);
        return [
            'text' => [Opcode::TEXT, ['', 'a', 'ä€😀', $text, str_repeat('x', 200)]],
            'binary' => [Opcode::BINARY, ['', "\xff", random_bytes(200), str_repeat("\0", 70_000)]],
            'with keys' => [Opcode::TEXT, ['b' => 'first', 'a' => 'second', 7 => 'third']],
            'one' => [Opcode::BINARY, ['a']],
            'none' => [Opcode::TEXT, []],
        ];
    }

    public function testOfManyMessagesThoseAreSentThatHaveRoom(): void
    {
        $server = Connection::server(new Config(startOpen: true, highWaterLen: 7));
        self::assertSame(2, $server->sendMany(Opcode::TEXT, ['abc', 'def', 'ghi']));
        self::assertUsageError(-3, static fn () => $server->sendMany(Opcode::TEXT, ['ghi']));
        self::assertSame("\x81\x03abc\x81\x03def", self::write($server));
        self::assertSame(1, $server->sendMany(Opcode::TEXT, ['a', "\xff", 'b']));
        self::assertUsageError(-1, static fn () => $server->sendMany(Opcode::TEXT, ["\xff", 'b']));
        self::assertUsageError(-1, static fn () => $server->sendMany(Opcode::CLOSE, ['a']));
        self::assertUsageError(-1, static fn () => $server->sendMany(-1, ['a']));
        self::assertUsageError(-2, static fn () => Connection::server()->sendMany(Opcode::TEXT, ['a']));
    }

    /** @dataProvider notStrings */
    public function testManyAreStrings(array $wrong): void
    {
        $server = self::open();
        foreach (
            [
                static fn () => $server->sendMany(Opcode::TEXT, $wrong),
                static fn () => Frame::buildMany(0x81, $wrong),
            ] as $call
        ) {
            try {
                $call();
                self::fail('no TypeError');
            } catch (\TypeError) {
                self::assertSame('', $server->output(0));
            }
        }
    }

    public static function notStrings(): array
    {
        $growing = new class {
            private int $len = 0;

            public function __toString(): string
            {
                return str_repeat('x', $this->len++);
            }
        };
        return [[['a', 5]], [[null]], [[['a']]], [[true]], 'one whose length changes' => [[$growing]]];
    }

    public function testManyFramesAreBuiltAsOneByOne(): void
    {
        $payloads = ['', 'a', str_repeat('b', 125), str_repeat('c', 126), str_repeat('d', 65_536)];
        foreach ([0x81, 0x02, 0xC2] as $firstByte) {
            $frames = array_map(static fn (string $payload): string => Frame::build($firstByte, $payload), $payloads);
            self::assertSame(implode('', $frames), Frame::buildMany($firstByte, $payloads));
        }
        self::assertSame('', Frame::buildMany(0x81, []));
        foreach ([[0x83, ['']], [0x09, ['']], [0x89, ['', $payloads[3]]], [-1, []], [256, []]] as [$byte, $wrong]) {
            self::assertUsageError(-1, static fn () => Frame::buildMany($byte, $wrong));
        }
    }

    private static function open(mixed ...$config): Connection
    {
        $config += ['startOpen' => true, 'deflate' => true, 'extensions' => self::AGREED];
        return Connection::server(new Config(...$config));
    }

    /** @return array{Connection, Connection} A client and a server that are done with the opening handshake. */
    private static function opened(?Config $forClient, ?Config $forServer): array
    {
        [$client, $server] = [Connection::client($forClient), Connection::server($forServer)];
        $client->request('example.com', '/');
        $server->receive(self::write($client));
        $client->receive(self::write($server));
        self::assertSame([State::OPEN, State::OPEN], [$client->state(), $server->state()]);
        return [$client, $server];
    }

    private static function write(Connection $connection): string
    {
        return $connection->take(0);
    }

    /** @return list<array{int, string}> The first bytes of frames, and their payloads without mask. */
    private static function frames(string $bytes): array
    {
        $frames = [];
        while ($bytes !== '') {
            $header = Frame::parse($bytes);
            $payload = substr($bytes, $header->headerLen, $header->payloadLen);
            $payload = $header->masked ? Frame::unmask($payload, $header->maskKey) : $payload;
            $frames[] = [ord($bytes), $payload];
            $bytes = substr($bytes, $header->headerLen + $header->payloadLen);
        }
        return $frames;
    }

    private static function assertUsageError(int $code, \Closure $call): void
    {
        try {
            $call();
            self::fail('no UsageError');
        } catch (UsageError $error) {
            self::assertSame($code, $error->getCode());
        }
    }
}

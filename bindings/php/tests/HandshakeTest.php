<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Handshake;
use Wsframe\ProtocolError;
use Wsframe\State;
use Wsframe\UsageError;

final class HandshakeTest extends TestCase
{
    private const REQUEST = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://a\r\n";
    private const ACCEPTANCE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    public function testTheRequestOfTheRfcIsAccepted(): void
    {
        self::assertSame(self::ACCEPTANCE . "\r\n", Handshake::answer(self::REQUEST . "\r\n"));
        self::assertSame(
            self::ACCEPTANCE . "Sec-WebSocket-Protocol: b\r\n\r\n",
            Handshake::answer(
                self::REQUEST . "Sec-WebSocket-Protocol: a, b\r\n\r\n",
                new Config(subprotocols: ['c', 'b'], origins: ['http://a'])
            )
        );
    }

    public function testASubprotocolMayBeLong(): void
    {
        $long = str_repeat('a', 5000);
        $answer = Handshake::answer(
            self::REQUEST . "Sec-WebSocket-Protocol: $long\r\n\r\n",
            new Config(subprotocols: [$long])
        );

        self::assertSame(self::ACCEPTANCE . "Sec-WebSocket-Protocol: $long\r\n\r\n", $answer);
    }

    public function testAnAcceptedClientTalksToAConnectionThatStartsOpen(): void
    {
        $client = Connection::client();
        $client->request('a', '/');
        $client->receive(Handshake::answer($client->take(0)));
        $client->sendText('Hello');

        $server = Connection::server(new Config(startOpen: true));
        self::assertSame('Hello', $server->receive($client->take(0))[0]->data);
        self::assertSame([State::OPEN, State::OPEN], [$client->state(), $server->state()]);
    }

    /** @dataProvider refused */
    public function testOtherRequestsAreRefused(string $status, string $head, array $config = []): void
    {
        self::assertStringStartsWith("HTTP/1.1 $status ", Handshake::answer($head, new Config(...$config)));
    }

    public static function refused(): array
    {
        return [
            ['426', "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
            ['405', str_replace('GET', 'POST', self::REQUEST) . "\r\n"],
            ['403', self::REQUEST . "\r\n", ['origins' => ['http://b']]],
            ['400', str_replace('==', '', self::REQUEST) . "\r\n"],
            ['431', self::REQUEST . "\r\n", ['maxHeadFields' => 2]],
            ['431', self::REQUEST . "\r\n", ['maxHeadLen' => 50]],
        ];
    }

    public function testWhatIsNotAHeadAndNothingElseIsAProtocolError(): void
    {
        foreach (['', self::REQUEST, self::REQUEST . "\r\n\x89\x80\0\0\0\0"] as $head) {
            try {
                Handshake::answer($head);
                self::fail('no ProtocolError');
            } catch (ProtocolError $error) {
                self::assertSame([-32, 0], [$error->getCode(), $error->closeCode]);
            }
        }
    }

    public function testAWrongConfigIsAUsageError(): void
    {
        $wrong = [[-1, ['subprotocols' => ['a b']]], [-1, ['maxHeadLen' => -1]], [-2, ['ask' => true]]];
        foreach ($wrong as [$code, $config]) {
            try {
                Handshake::answer(self::REQUEST . "\r\n", new Config(...$config));
                self::fail('no UsageError');
            } catch (UsageError $error) {
                self::assertSame($code, $error->getCode());
            }
        }
    }
}

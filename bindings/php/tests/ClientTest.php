<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Application;
use Wsframe\Client as WebSocket;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\NotConnected;
use Wsframe\Opcode;
use Wsframe\Peer;
use Wsframe\Reconnect;
use Wsframe\Server;
use Wsframe\UsageError;

/** Clients, timers and streams in one loop with a server, over real sockets. */
final class ClientTest extends TestCase
{
    private const CERTIFICATES = __DIR__ . '/../../../tests/certificates';

    /** What has happened. */
    private array $log = [];
    private string $url;

    private function note(mixed ...$what): void
    {
        array_push($this->log, ...$what);
    }

    private function server(?Config $config = null): Server
    {
        $server = new Server($config);
        $server->on('message', static fn (Peer $peer, string $data, int $kind) => $peer->send($data, $kind));
        $this->url = "ws://localhost:{$server->listen('127.0.0.1:0')}/";
        return $server;
    }

    /** Fails if it goes on for too long. */
    private function within(Application $application): void
    {
        $application->after(20_000, static fn () => throw new \LogicException('it takes too long'));
        $application->after(20_000, static fn () => $application->stop(0));
        $application->run();
    }

    private static function nobodys(): string
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        return 'ws://' . stream_socket_get_name($listener, false) . '/';
    }

    private static function soon(): Reconnect
    {
        return new Reconnect(1, 20);
    }

    public function testAClientInTheLoopOfAServer(): void
    {
        $server = $this->server();
        $client = new WebSocket($this->url, fields: ['X-Who' => 'me'], loop: $server);
        $server->on('open', fn (Peer $peer) => $this->note($peer->field('x-who')));
        $client->on('open', fn (WebSocket $client) => $this->note($client->send('Hello')));
        $client->on('message', function (WebSocket $client, string $data, int $kind): void {
            $this->note($data, $kind);
            if ($kind === Opcode::TEXT) {
                $client->send("\xff", Opcode::BINARY);
            } else {
                $this->note($client->close(1001, 'bye'), $client->close());
            }
        });
        $client->on('close', function (WebSocket $client, int $code) use ($server): void {
            $this->note($code, $client->isOpen(), $client->send('late'), $client->peer());
            $server->stop();
        });
        $this->within($server);

        self::assertSame(['me', true, 'Hello', 1, "\xff", 2, true, false, 1001, false, false, null], $this->log);
    }

    public function testWhoDoesNotGetThereIsToldWhy(): void
    {
        $client = new WebSocket(self::nobodys());
        $client->on('error', fn (NotConnected $error, WebSocket $who) => $this->note($error, $who));
        $client->on('close', fn () => $this->note('closed'));
        $client->run();

        [$error, $who] = $this->log;
        self::assertSame([2, $client, 0, ''], [count($this->log), $who, $error->status, $error->answer]);
        self::assertStringContainsString('nobody listens', $error->getMessage());
    }

    public function testWhoIsRefusedGetsTheAnswer(): void
    {
        $server = new Server();
        $server->on('request', static fn (Peer $peer) => $peer->respond(403, 'not you'));
        $client = new WebSocket("ws://127.0.0.1:{$server->listen('127.0.0.1:0')}/", loop: $server);
        $client->on('error', function (NotConnected $error) use ($server): void {
            $this->note($error->status, substr($error->answer, -7));
            $server->after(50, static fn () => $server->stop());
        });
        $this->within($server);

        self::assertSame([403, 'not you'], $this->log);
    }

    /**
     * @param \Closure(resource, Connection): void $behave What the server does when it was asked.
     *
     * @dataProvider hostileServers
     */
    public function testAServerThatDoesNotPlayByTheRules(\Closure $behave, array $told): void
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $bystander = $this->server();
        $url = 'ws://' . stream_socket_get_name($listener, false) . '/';
        $client = new WebSocket($url, new Config(handshakeTimeoutMs: 200, maxMessageLen: 1000), loop: $bystander);
        $sockets = [];
        $bystander->onReadable($listener, function () use ($listener, $bystander, $behave, &$sockets): void {
            $sockets[] = $socket = stream_socket_accept($listener);
            $bystander->onReadable($socket, static function ($socket) use ($bystander, $behave): void {
                $connection = Connection::server();
                iterator_to_array($connection->receive(fread($socket, 4096)));
                $behave($socket, $connection);
                // It hangs up when the client does.
                $bystander->onReadable($socket, static function ($socket) use ($bystander): void {
                    if ((string) fread($socket, 4096) === '') {
                        $bystander->onReadable($socket, null);
                        stream_socket_shutdown($socket, STREAM_SHUT_RDWR);
                    }
                });
            });
        });
        $client->on('message', fn (WebSocket $client, string $data) => $this->note($data));
        $client->on('close', fn (WebSocket $client, int $code) => $this->note('close', $code));
        $client->on('error', fn (NotConnected $error) => $this->note('error', $error->status, $error->answer !== ''));
        $well = new WebSocket($this->url, loop: $bystander);
        $ends = $bystander->every(5, function () use ($client, $well, $bystander, &$ends): void {
            if ($client->peer() === null && $well->isOpen()) {
                $ends->cancel();
                $well->send('still here');
            }
        });
        $well->on('message', function (WebSocket $well, string $data) use ($bystander): void {
            $this->note($data);
            $bystander->stop();
        });
        $this->within($bystander);

        self::assertSame([...$told, 'still here'], $this->log);
    }

    public static function hostileServers(): array
    {
        $opens = static fn ($socket, Connection $connection) => fwrite($socket, $connection->take(0));
        return [
            'is silent' => [static fn () => null, ['error', 0, false]],
            'hangs up' => [static fn ($socket) => stream_socket_shutdown($socket, STREAM_SHUT_RDWR), ['error', 0, false]],
            'speaks something else' => [static fn ($socket) => fwrite($socket, "220 smtp\r\n\r\n"), ['error', 0, true]],
            'refuses' => [
                static fn ($socket) => fwrite($socket, "HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nWho"),
                ['error', 401, true],
            ],
            'has no limits' => [
                static function ($socket, Connection $connection) use ($opens): void {
                    $connection->sendText('a');
                    $connection->sendText(str_repeat('a', 1001));
                    $opens($socket, $connection);
                },
                ['a', 'close', 1006],
            ],
            'sends no frames' => [
                static function ($socket, Connection $connection) use ($opens): void {
                    $opens($socket, $connection);
                    fwrite($socket, str_repeat("\xff", 100));
                },
                ['close', 1006],
            ],
            'is slow, and leaves' => [
                static function ($socket, Connection $connection): void {
                    $connection->sendText('slow');
                    foreach (str_split($connection->take(0)) as $byte) {
                        fwrite($socket, $byte);
                    }
                    stream_socket_shutdown($socket, STREAM_SHUT_RDWR);
                },
                ['slow', 'close', 1006],
            ],
        ];
    }

    public function testAClientComesBackUntilItIsClosed(): void
    {
        $server = $this->server();
        $client = new WebSocket($this->url, reconnect: self::soon(), loop: $server);
        $server->on('open', static fn (Peer $peer) => $peer->terminate());
        $client->on('close', function (WebSocket $client, int $code, string $reason, bool $comesBack) use ($server): void {
            $this->note($code);
            self::assertTrue($comesBack);
            if (count($this->log) === 5) {
                $this->note($client->close());
                $server->after(100, static fn () => $server->stop());
            }
        });
        $this->within($server);

        self::assertSame([1006, 1006, 1006, 1006, 1006, false], $this->log);
    }

    public function testAClientWaitsForItsServer(): void
    {
        $url = self::nobodys();
        $server = new Server();
        $client = new WebSocket($url, reconnect: self::soon(), loop: $server);
        $client->on('error', function (NotConnected $error) use ($server, $url): void {
            $this->note('error');
            if (count($this->log) === 3) {
                $server->listen(substr($url, 5, -1));
            }
        });
        $client->on('open', function () use ($server): void {
            $this->note('open');
            $server->stop();
        });
        $this->within($server);

        self::assertSame('open', end($this->log));
        self::assertGreaterThan(3, count($this->log));
    }

    public function testWhatFailsInACallbackEndsTheConnectionOnly(): void
    {
        $server = $this->server();
        $client = new WebSocket($this->url, loop: $server);
        $server->on('close', function (Peer $peer, int $code) use ($server): void {
            $this->note($code);
            $server->stop();
        });
        $client->on('open', static fn () => throw new \DomainException('open'));
        $client->on('error', fn (\DomainException $error, WebSocket $who) => $this->note($error->getMessage(), $who));
        $this->within($server);

        self::assertSame(['open', $client, 1011], $this->log);
    }

    public function testTls(): void
    {
        $file = static fn (string $name): string => file_get_contents(self::CERTIFICATES . "/$name");
        $server = new Server();
        $server->on('message', static fn (Peer $peer, string $data) => $peer->send($data . strtok($peer->address(), ':')));
        $certificate = [$file('localhost.pem'), $file('localhost.key')];
        $port = $server->listen('127.0.0.1:0', certificate: $certificate);
        $client = new WebSocket("wss://localhost:$port/", reconnect: self::soon(), loop: $server);
        $client->on('error', function (NotConnected $error, WebSocket $client) use ($file): void {
            $this->note(substr($error->getMessage(), 0, 21));
            $client->trust($file('authority.pem'));
        });
        $client->on('open', static fn (WebSocket $client) => $client->send('I am '));
        $client->on('message', function (WebSocket $client, string $data) use ($server): void {
            $this->note($data);
            $server->stop();
        });
        $this->within($server);

        self::assertSame(['nobody who is trusted', 'I am 127.0.0.1'], $this->log);
    }

    public function testTimers(): void
    {
        $server = new Server();
        $server->on('error', fn (\DomainException $error, ?Peer $peer) => $this->note($error->getMessage(), $peer));
        $server->after(1, fn () => $this->note('never'))->cancel();
        $server->after(30, fn () => $this->note('after'));
        $every = $server->every(5, function () use (&$every, $server): void {
            $this->note('every');
            if (count(array_keys($this->log, 'every')) === 3) {
                $every->cancel();
                $every->cancel();
                $server->after(60, static fn () => $server->stop());
            }
            throw new \DomainException('thrown');
        });
        $this->within($server);

        self::assertSame(
            ['every' => 3, 'thrown' => 3, 'after' => 1],
            array_count_values(array_filter($this->log, is_string(...)))
        );
    }

    public function testStreams(): void
    {
        $server = $this->server();
        $client = new WebSocket($this->url, loop: $server);
        [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $server->onReadable($ours, function ($stream) use ($server, $client): void {
            $this->note(fread($stream, 1));
            if (count($this->log) === 2) {
                $server->onReadable($stream, null);
                $client->send('Hello');
            }
        });
        $client->on('open', static fn () => fwrite($theirs, 'abc'));
        $client->on('message', function (WebSocket $client, string $data) use ($server, $ours): void {
            $this->note($data);
            $server->onWritable($ours, function ($stream) use ($server): void {
                $this->note('writable');
                $server->onWritable($stream, null);
                $server->stop();
            });
        });
        $this->within($server);

        self::assertSame(['a', 'b', 'Hello', 'writable'], $this->log);
    }

    public function testAPeerThatDoesNotReadAndThenDoes(): void
    {
        $server = new Server(new Config(highWaterLen: 100_000));
        $client = new WebSocket("ws://127.0.0.1:{$server->listen('127.0.0.1:0')}/", loop: $server);
        $client->peer()->pause();
        $server->on('open', function (Peer $peer) use ($client): void {
            while ($peer->send(str_repeat("\0", 50_000), Opcode::BINARY)) {
            }
            $this->note('full');
            $client->peer()->resume();
        });
        $server->on('drain', function (Peer $peer): void {
            $this->note('drain', $peer->send('room'));
        });
        $client->on('message', static fn (WebSocket $client, string $data) => $data === 'room' && $server->stop());
        $this->within($server);

        self::assertSame(['full', 'drain', true], $this->log);
    }

    public function testWhatCannotBeRightIsRefused(): void
    {
        $calls = [
            static fn () => new WebSocket('ws://a/', new Config(pieces: true)),
            static fn () => (new WebSocket('http://a/'))->run(),
            static fn () => (new WebSocket('ws://a/'))->on('request', strlen(...)),
            static fn () => (new WebSocket('ws://a/'))->after(-1, time(...)),
            static fn () => (new WebSocket('ws://a/'))->onReadable('a', time(...)),
        ];
        foreach ($calls as $call) {
            try {
                $call();
                self::fail('it is taken');
            } catch (UsageError $error) {
                self::assertNotSame('', $error->getMessage());
            }
        }
        $client = new WebSocket('ws://a/');
        self::assertSame([false, false, false], [$client->send('a'), $client->close(), $client->isOpen()]);
    }

    public function testAClientNeedsNoCollector(): void
    {
        $client = new WebSocket(self::nobodys());
        $client->on('error', static fn () => null);
        $client->on('message', static fn () => null);
        $client->run();
        $gone = \WeakReference::create($client);
        unset($client);

        self::assertNull($gone->get());
    }
}

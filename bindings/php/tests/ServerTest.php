<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/Client.php';

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\ErrorCode;
use Wsframe\EventKind;
use Wsframe\Opcode;
use Wsframe\Peer;
use Wsframe\Server;
use Wsframe\UsageError;

/** A server that runs in a process of its own, and clients of it in this one. */
final class ServerTest extends TestCase
{
    private const PATIENCE_S = 20;

    /** What each of them begins and ends with: $say() prints a line that the test reads. */
    private const BEGIN = <<<'PHP'
        use Wsframe\{Config, Opcode, Peer, Server};
        require 'autoload.php';
        $say = static function (mixed ...$words): void {
            echo json_encode($words), "\n";
        };

        PHP;
    private const END = <<<'PHP'

        $say($server->listen('127.0.0.1:0'));
        $server->run();
        $say('ended', $server->hub->subscribers());
        PHP;

    /** @var resource|null */
    private mixed $process = null;
    /** @var resource */
    private mixed $said;
    /** @var resource */
    private mixed $log;
    private int $port;
    /** @var list<Client> */
    private array $clients = [];

    protected function tearDown(): void
    {
        if ($this->process !== null) {
            proc_terminate($this->process, SIGKILL);
            proc_close($this->process);
        }
    }

    public function testEachPeerOpensTalksAndCloses(): void
    {
        $this->start(<<<'PHP'
            $server = new Server(new Config(deflate: true));
            $server->on('open', function (Peer $peer) use ($say) {
                $peer->data = $peer->field('Cookie');
                $say('open', $peer->target(), $peer->field('x'), $peer->isOpen());
            });
            $server->on('message', function (Peer $peer, string $data, int $kind) use ($say) {
                $say('message', $peer->data, bin2hex($data), $kind, $peer->send($data, $kind), $peer->target());
            });
            $server->on('close', function (Peer $peer, int $code, string $reason) use ($say) {
                $say('close', $peer->data, $code, $reason, $peer->isOpen(), $peer->send('late'), $peer->close());
            });
            PHP);
        $client = $this->client('/room?a=b', ['Cookie' => 'c=d']);
        self::assertSame(['open', '/room?a=b', null, true], $this->next());
        $client->connection->sendText('€');
        $client->connection->sendBinary("\xff");
        self::assertSame(['message', 'c=d', 'e282ac', Opcode::TEXT, true, null], $this->next());
        self::assertSame(['message', 'c=d', 'ff', Opcode::BINARY, true, null], $this->next());
        $this->until(static fn (): bool => $client->messages() === ['€', "\xff"]);
        $client->connection->close(4001, 'bye');
        self::assertSame(['close', 'c=d', 4001, 'bye', false, false, false], $this->next());

        $left = $this->client('/left');
        self::assertSame(['open', '/left', null, true], $this->next());
        $left->leave();
        self::assertSame(['close', null, 1006, '', false, false, false], $this->next());
        $left = $this->client('/left');
        self::assertSame(['open', '/left', null, true], $this->next());
        $left->connection->sendText('x');
        self::assertSame(['message', null, '78', Opcode::TEXT, true, null], $this->next());
        $this->assertEnds(SIGTERM, ['close', null, 1001, '', false, false, false]);
        self::assertSame(1001, $left->closeCode());
        self::assertSame('', $this->logged());
    }

    public function testTopicsAreForTheOthers(): void
    {
        $this->start(<<<'PHP'
            $server = new Server();
            $server->on('open', fn (Peer $peer) => $peer->subscribe('all'));
            $server->on('message', fn (Peer $peer, string $data) => match ($data) {
                'leave' => $say($peer->unsubscribe('all')),
                'close' => $say($peer->close(4000, 'as you wish'), $peer->isOpen()),
                default => $say($peer->publish('all', $data)),
            });
            PHP);
        [$one, $two, $three] = [$this->client(), $this->client(), $this->client()];
        $one->connection->sendText('Hello');
        self::assertSame([2], $this->next());
        $this->until(static fn (): bool => $two->messages() === ['Hello'] && $three->messages() === ['Hello']);
        $two->connection->sendText('leave');
        self::assertSame([true], $this->next());
        $one->connection->sendText('Bye');
        self::assertSame([1], $this->next());
        $two->connection->sendText('close');
        self::assertSame([true, false], $this->next());
        $this->until(static fn (): bool => $two->closeCode() === 4000 && $three->messages() === ['Hello', 'Bye']);
        self::assertSame([[], ['Hello']], [$one->messages(), $two->messages()]);
    }

    public function testTheApplicationAnswersRequests(): void
    {
        $this->start(<<<'PHP'
            $server = new Server(new Config(subprotocols: ['a', 'b']));
            $server->on('request', function (Peer $peer) use ($say) {
                $peer->data = 'asked';
                $peer->addField('X-Answer', '42');
                match ($peer->target()) {
                    '/let-in' => $say($peer->isOpen(), $peer->send('early'), $peer->accept('b'), $peer->accept()),
                    '/page' => $say($peer->accept(), $peer->respond(200, 'A page.')),
                    '/no' => $say($peer->respond(403, 'No.'), $peer->accept(), $peer->isOpen()),
                    '/other' => $peer->accept('other'),
                    '/twice' => $say($peer->respond(404), $peer->respond(405)),
                    default => $say('say nothing'),
                };
            });
            $server->on('open', fn (Peer $peer) => $say('open', $peer->data, $peer->target()));
            $server->on('message', fn (Peer $peer, string $data) => $peer->send($data));
            $server->on('close', fn (Peer $peer, int $code) => $say('close', $code));
            $server->on('error', fn (Throwable $failure, Peer $peer) => $say($failure->getCode(), $peer->data));
            PHP);
        $subprotocols = new Config(subprotocols: ['a', 'b']);
        $client = $this->client('/let-in', config: $subprotocols);
        $client->connection->sendText('Hello');
        self::assertSame([false, false, true, false], $this->next());
        self::assertSame(['open', 'asked', '/let-in'], $this->next());
        self::assertSame('b', $client->connection->subprotocol());
        self::assertStringContainsString("X-Answer: 42\r\n", $client->events[0]->data);
        $this->until(static fn (): bool => $client->messages() === ['Hello']);
        $client->connection->close();
        self::assertSame(['close', 1000], $this->next());

        $default = $this->client('/whatever', config: $subprotocols);
        self::assertSame([['say nothing'], ['open', 'asked', '/whatever']], [$this->next(), $this->next()]);
        self::assertSame('a', $default->connection->subprotocol());

        self::assertSame([403, [true, false, false]], [$this->refused('/no'), $this->next()]);
        self::assertSame([404, [true, false]], [$this->refused('/twice'), $this->next()]);
        self::assertSame([500, [ErrorCode::ARGUMENT, 'asked']], [$this->refused('/other'), $this->next()]);
        self::assertStringStartsWith('HTTP/1.1 200 ', $this->http('/page'));
        self::assertSame([false, true], $this->next());
        self::assertStringStartsWith('HTTP/1.1 426 ', $this->http('/'));
        self::assertSame(['say nothing'], $this->next());
    }

    public function testACallbackThatFailsEndsItsOwnConnectionOnly(): void
    {
        $this->start(<<<'PHP'
            $server = new Server();
            $fail = fn (string $where) => throw new RuntimeException("failed in $where");
            $server->on('request', fn (Peer $peer) => match ($peer->target()) {
                '/request' => $fail('request'),
                '/accepted' => $peer->accept() && $fail('accepted'),
                default => null,
            });
            $server->on('open', function (Peer $peer) use ($fail) {
                $peer->data = $peer->target();
                $peer->data === '/open' && $fail('open');
            });
            $server->on('message', fn (Peer $peer, string $data) => $data === 'fail' ? $fail('message') : $peer->send($data));
            $server->on('close', function (Peer $peer) use ($say, $fail) {
                $say('close', $peer->data);
                $peer->data === '/close' && $fail('close');
            });
            PHP);
        $bystander = $this->client();
        foreach (['/open' => 1, '/message' => 1, '/close' => 1, '/accepted' => 0] as $target => $closes) {
            $client = $this->client($target);
            $client->connection->sendText($target === '/message' ? 'fail' : 'one');
            $client->connection->sendText('two');
            if ($target === '/close') {
                $this->until(static fn (): bool => $client->messages() === ['one', 'two']);
                $client->connection->close();
            }
            $this->until(static fn (): bool => $client->closeCode() !== null);
            self::assertSame($target === '/close' ? 1000 : 1011, $client->closeCode(), $target);
            self::assertSame($target === '/close' ? ['one', 'two'] : [], $client->messages(), $target);
            if ($closes === 1) {
                self::assertSame(['close', $target], $this->next(), 'once');
            }
        }
        self::assertSame(500, $this->refused('/request'));
        $bystander->connection->sendText('undisturbed');
        $this->until(static fn (): bool => $bystander->messages() === ['undisturbed']);
        $this->assertEnds(SIGINT, ['close', '/']);
        $log = $this->logged();
        foreach (['open', 'message', 'close', 'accepted', 'request'] as $where) {
            self::assertSame(1, substr_count($log, "RuntimeException: failed in $where"), $log);
        }
    }

    public function testAnErrorCallbackThatFailsIsLogged(): void
    {
        $this->start(<<<'PHP'
            $server = new Server();
            $server->on('message', fn () => throw new RuntimeException('first'));
            $server->on('error', fn () => throw new RuntimeException('second'));
            PHP);
        $client = $this->client();
        $client->connection->sendText('a');
        $this->until(static fn (): bool => $client->closeCode() === 1011);
        $this->assertEnds(SIGTERM);
        self::assertMatchesRegularExpression('/first.*second/s', $this->logged());
    }

    public function testACallbackMayStopTheServer(): void
    {
        $this->start(<<<'PHP'
            $server = new Server();
            $server->on('message', fn () => $server->stop());
            PHP);
        [$client, $other] = [$this->client(), $this->client()];
        $client->connection->sendText('stop');
        self::assertSame(['ended', 0], $this->next());
        self::assertSame([1001, 1001], [$client->closeCode(), $other->closeCode()]);
    }

    public function testAnApplicationWithHandlersOfItsOwnKeepsThem(): void
    {
        $this->start(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGUSR1, fn () => $say('its own'));
            $server = new Server();
            PHP);
        $client = $this->client();
        posix_kill(proc_get_status($this->process)['pid'], SIGUSR1);
        self::assertSame(['its own'], $this->next());
        $this->assertEnds(SIGTERM);
        self::assertSame(1001, $client->closeCode());
    }

    public function testGonePeersAreForgotten(): void
    {
        $this->start(<<<'PHP'
            $server = new Server();
            $server->on('open', fn (Peer $peer) => $peer->data = str_repeat('x', 1 << 20));
            $server->on('message', fn (Peer $peer, string $data) =>
                $data === 'fail' ? throw new Exception('expected') : $say(memory_get_usage()));
            $server->on('error', fn () => null);
            gc_disable(); // what is in a circle stays
            PHP);
        $measure = function (): int {
            $client = $this->client();
            $client->connection->sendText('how much?');
            [$bytes] = $this->next();
            $client->connection->close();
            $this->until(static fn (): bool => $client->closeCode() !== null);
            return $bytes;
        };
        $measure();
        $before = $measure();
        for ($i = 0; $i < 60; $i++) {
            $client = $this->client();
            $i % 3 === 0 ? $client->leave() : $client->connection->sendText('fail');
            $this->until(static fn (): bool => $client->closeCode() !== null);
            $this->clients = [];
        }
        self::assertLessThan(1 << 20, $measure() - $before, 'bytes of 60 MB that gone peers had');
    }

    public function testWhatCannotBeIsRefused(): void
    {
        $server = new Server();
        $callback = static fn (Peer $peer) => $peer->accept();
        $names = "no event 'connect'; there are request, open, message, close, drain, error";
        self::assertRefused($names, static fn () => $server->on('connect', $callback));
        self::assertRefused('no pieces', static fn () => new Server(new Config(pieces: true)));
        self::assertRefused('address', static fn () => $server->listen('nowhere'));
        $server->listen('127.0.0.1:0');
        self::assertRefused('before listen()', static fn () => $server->on('request', $callback));
        self::assertRefused('level', static fn () => (new Server(new Config(deflateLevel: 10)))->listen('127.0.0.1:0'));
    }

    /** @requires extension pcntl */
    public function testTheFormerHandlersComeBack(): void
    {
        $own = static fn () => null;
        pcntl_signal(SIGTERM, $own);
        try {
            $server = new Server();
            $server->stop();
            $server->run();
            self::assertSame([$own, SIG_DFL], [pcntl_signal_get_handler(SIGTERM), pcntl_signal_get_handler(SIGINT)]);
        } finally {
            pcntl_signal(SIGTERM, SIG_DFL);
        }
    }

    private function start(string $program): void
    {
        $pipes = [1 => ['pipe', 'w'], 2 => ['pipe', 'w']];
        $code = self::BEGIN . $program . self::END;
        $this->process = proc_open(['php', '-d', 'log_errors=1', '-r', $code], $pipes, $ends, \dirname(__DIR__));
        [1 => $this->said, 2 => $this->log] = $ends;
        stream_set_blocking($this->said, false);
        [$this->port] = $this->next();
    }

    private function client(string $target = '/', array $fields = [], ?Config $config = null): Client
    {
        $client = $this->clients[] = new Client("tcp://127.0.0.1:$this->port", $target, $config, $fields);
        $this->until(static fn (): bool => $client->has(EventKind::OPEN));
        return $client;
    }

    /** The status with which a request is refused. */
    private function refused(string $target): int
    {
        $client = $this->clients[] = new Client("tcp://127.0.0.1:$this->port", $target);
        $this->until(static fn (): bool => $client->has(EventKind::ERROR));
        return $client->events[0]->closeCode;
    }

    private function http(string $target): string
    {
        $socket = stream_socket_client("tcp://127.0.0.1:$this->port");
        fwrite($socket, "GET $target HTTP/1.1\r\nHost: a\r\n\r\n");
        return stream_get_contents($socket);
    }

    /** The next line that the server says. */
    private function next(): array
    {
        $line = '';
        $this->until(function () use (&$line): bool {
            $line .= fgets($this->said);
            return str_ends_with($line, "\n");
        });
        return json_decode($line, true);
    }

    private function until(\Closure $isDone): void
    {
        $deadline = time() + self::PATIENCE_S;
        while (!$isDone()) {
            self::assertLessThan($deadline, time(), 'it does not come');
            foreach ($this->clients as $client) {
                $client->turn();
            }
            usleep(100);
        }
    }

    /** A signal ends the server in good order, and it says the rest. */
    private function assertEnds(int $signal, array ...$rest): void
    {
        proc_terminate($this->process, $signal);
        foreach ([...$rest, ['ended', 0]] as $line) {
            self::assertSame($line, $this->next());
        }
    }

    private function logged(): string
    {
        return stream_get_contents($this->log);
    }

    private static function assertRefused(string $words, \Closure $call): void
    {
        try {
            $call();
        } catch (UsageError $error) {
            self::assertSame(ErrorCode::ARGUMENT, $error->getCode());
            self::assertStringContainsString($words, $error->getMessage());
            return;
        }
        self::fail('no UsageError');
    }
}

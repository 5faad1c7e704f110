<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/Client.php';

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Hub;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\State;
use Wsframe\UsageError;

/** What a hub does for a program, with clients on real sockets. */
final class HubTest extends TestCase
{
    private const PATIENCE_S = 20;
    private const NOBODY = 7;

    private Hub $hub;
    private int $port;
    /** @var list<Client> */
    private array $clients = [];
    /** @var list<Event> What the hub has told. */
    private array $events = [];

    public function testMessagesOfManyComeAndGoBack(): void
    {
        $this->listen(new Config(deflate: true));
        $long = str_repeat('€', 100_000);
        $messages = [['a', Opcode::TEXT], ['', Opcode::BINARY], [$long, Opcode::TEXT], ["\xff", Opcode::BINARY]];
        for ($i = 0; $i < 5; $i++) {
            [$client] = $this->opened(config: new Config(deflate: $i % 2 === 0));
            foreach ($messages as [$message, $kind]) {
                $client->connection->send($kind, $message);
            }
        }

        $this->serve(fn (): bool => $this->all(static fn (Client $client): bool => count($client->messages()) === 4));
        foreach ($this->clients as $client) {
            self::assertSame(array_column($messages, 0), $client->messages());
            self::assertSame(
                array_column($messages, 1),
                array_slice(array_column($client->events, 'kind'), 1),
                'after the opening handshake'
            );
        }
        self::assertCount(5, array_unique(array_column($this->events, 'connection')));
    }

    public function testEventsSayWhoAndWhatInOrder(): void
    {
        $this->listen();
        [$client] = $this->opened('/room');
        $client->connection->sendText('Hello');
        $client->connection->ping('?');
        $client->connection->close(1001, 'bye');
        $this->serve(fn (): bool => $client->closeCode() !== null && $this->told(EventKind::GONE) !== null);

        [$open, $text, $ping, $close, $gone] = $this->events;
        self::assertSame(
            [EventKind::OPEN, EventKind::TEXT, EventKind::PING, EventKind::CLOSE, EventKind::GONE],
            array_column($this->events, 'kind')
        );
        self::assertStringStartsWith('GET /room HTTP/1.1', $open->data);
        self::assertSame(['Hello', true, true], [$text->data, $text->isFirst(), $text->isLast()]);
        self::assertSame(['?', false], [$ping->data, $ping->isFirst()]);
        self::assertSame([1001, 'bye'], [$close->closeCode, $close->data]);
        self::assertSame([1001, 0], [$gone->closeCode, $gone->error]);
        self::assertCount(1, array_unique(array_column($this->events, 'connection')));
        self::assertNotSame(0, $gone->connection);
        self::assertSame(1001, $client->closeCode());
    }

    public function testWhatAPeerDoesWrongIsAnEvent(): void
    {
        $this->listen(new Config(maxMessageLen: 10));
        [$client] = $this->opened();
        $client->connection->sendText('longer than that');
        $this->serve(fn (): bool => $this->told(EventKind::GONE) !== null && $client->has(EventKind::CLOSE));

        [$error, $gone] = [$this->told(EventKind::ERROR), $this->told(EventKind::GONE)];
        self::assertSame([1009, ErrorCode::TOO_BIG], [$error->closeCode, $error->error]);
        self::assertSame([1006, ErrorCode::TOO_BIG], [$gone->closeCode, $gone->error]);
    }

    public function testSendSaysWhetherItIsSent(): void
    {
        $this->listen(new Config(highWaterLen: 1000));
        [$client, $id] = $this->opened();

        self::assertFalse($this->hub->send(self::NOBODY, Opcode::TEXT, 'a'));
        self::assertFalse($this->hub->send(-1, Opcode::TEXT, 'a'));
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'a'));
        self::assertTrue($this->hub->send($id, Opcode::PING, 'a'));
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'compressed if that was agreed on', true));
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'not compressed', false));
        $sent = 0;
        $client->reads = false;
        while ($this->hub->send($id, Opcode::BINARY, str_repeat('x', 1 << 20))) {
            $sent++;
        }
        self::assertGreaterThan(0, $sent);
        self::assertSame(1, $this->hub->stats()->dropped);

        $client->reads = true;
        $this->serve(fn (): bool => count($client->messages()) === 3 + $sent);
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'there is room again'));
        $client->leave();
        $this->serve(fn (): bool => $this->told(EventKind::GONE) !== null);
        self::assertFalse($this->hub->send($id, Opcode::TEXT, 'a'), 'its end was told');
        $this->hub->poll(0);
        self::assertFalse($this->hub->send($id, Opcode::TEXT, 'a'), 'it is nobody');
    }

    public function testSendingWronglyIsAUsageError(): void
    {
        $this->listen();
        [$client, $id] = $this->opened();

        self::assertRefused(ErrorCode::ARGUMENT, 'UTF-8', fn () => $this->hub->send($id, Opcode::TEXT, "\xff"));
        self::assertRefused(ErrorCode::ARGUMENT, '', fn () => $this->hub->send($id, Opcode::CLOSE, ''));
        self::assertRefused(ErrorCode::ARGUMENT, 'kind', fn () => $this->hub->send($id, -1, ''));
        self::assertRefused(ErrorCode::ARGUMENT, '', fn () => $this->hub->publish('', "\xff"));
        self::assertRefused(ErrorCode::ARGUMENT, '', fn () => $this->hub->publish('', '', Opcode::PING));
        self::assertRefused(ErrorCode::ARGUMENT, '', fn () => $this->hub->subscribe($id, ''));
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'in ', more: true));
        self::assertRefused(ErrorCode::STATE, 'piece', fn () => $this->hub->send($id, Opcode::BINARY, 'other'));
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'pieces'));
        $this->serve(fn (): bool => $client->messages() !== []);
        self::assertSame(['in pieces'], $client->messages());
    }

    public function testManyAreSentWithOneCall(): void
    {
        $this->listen();
        [$one, $first] = $this->opened();
        [$two, $second] = $this->opened();

        self::assertSame(4, $this->hub->sendMany([$first, $second, self::NOBODY, $first], ['a', 'b', 'c', '€']));
        self::assertSame(1, $this->hub->sendMany(['k' => $second], ['v' => "\xff"], Opcode::BINARY));
        self::assertSame(0, $this->hub->sendMany([], []));
        self::assertSame(1, $this->hub->sendMany([$second, $second], ['d', "\xff"]), 'the second is no text');
        self::assertRefused(ErrorCode::ARGUMENT, 'UTF-8', fn () => $this->hub->sendMany([$second], ["\xff"]));
        self::assertRefused(ErrorCode::ARGUMENT, '1 ids, and 0 payloads', fn () => $this->hub->sendMany([$second], []));
        $this->serve(static fn (): bool => count($one->messages()) === 2 && count($two->messages()) === 3);
        self::assertSame([['a', '€'], ['b', "\xff", 'd']], [$one->messages(), $two->messages()]);
        foreach ([[['1'], ['a']], [[1], [1]]] as [$ids, $payloads]) {
            try {
                $this->hub->sendMany($ids, $payloads);
                self::fail('no TypeError');
            } catch (\TypeError $error) {
                self::assertStringContainsString('have to be', $error->getMessage());
            }
        }
    }

    public function testTopics(): void
    {
        $this->listen(new Config(deflate: true));
        [$one, $first] = $this->opened();
        [$two, $second] = $this->opened();
        $hub = $this->hub;

        self::assertTrue($hub->subscribe($first, 'news') && $hub->subscribe($first, 'news'));
        self::assertTrue($hub->subscribe($second, 'news'));
        self::assertFalse($hub->subscribe(self::NOBODY, 'news'));
        self::assertSame([2, 2, 0], [$hub->subscribers('news'), $hub->subscribers(), $hub->subscribers('sport')]);
        self::assertSame(2, $hub->publish('news', 'to both'));
        self::assertSame(1, $hub->publish('news', 'to one', except: $second));
        self::assertSame(0, $hub->publish('sport', 'to nobody'));
        self::assertSame(2, $hub->publish('', "\xff", Opcode::BINARY, compress: false));
        self::assertTrue($hub->unsubscribe($second, 'news') && $hub->unsubscribe($second, 'news'));
        self::assertFalse($hub->unsubscribe(self::NOBODY, 'news'));
        self::assertSame(1, $hub->publish('news', 'the last'));
        $this->serve(static fn (): bool => count($one->messages()) === 4 && count($two->messages()) === 2);
        self::assertSame(['to both', 'to one', "\xff", 'the last'], $one->messages());
        self::assertSame(['to both', "\xff"], $two->messages());
        $one->leave();
        $this->serve(fn (): bool => $this->told(EventKind::GONE) !== null);
        self::assertSame(0, $hub->subscribers('news'), 'who is gone has left');
    }

    public function testWhoAsksIsLetInOrNot(): void
    {
        $this->listen(new Config(ask: true, subprotocols: ['chat', 'other']));
        $client = $this->client('/yes?a=b', new Config(subprotocols: ['chat', 'other']), ['Cookie' => 'c=d']);
        $this->serve(fn (): bool => $this->told(EventKind::REQUEST) !== null);
        $id = $this->told(EventKind::REQUEST)->connection;

        self::assertFalse($this->hub->send($id, Opcode::TEXT, 'it is not open yet'));
        self::assertSame(0, $this->hub->publish('', 'not open'));
        $lent = $this->hub->connection($id);
        self::assertSame($lent, $this->hub->connection($id));
        self::assertSame(State::ASKED, $lent->state());
        self::assertSame(['/yes?a=b', 'c=d', null], [$lent->target(), $lent->field('cookie'), $lent->field('x')]);
        self::assertContains(['Cookie', 'c=d'], $lent->fields());
        $lent->addField('Set-Cookie', 'e=f');
        $events = $lent->accept('other');
        self::assertSame([[EventKind::OPEN], [$id]], [array_column($events, 'kind'), array_column($events, 'connection')]);
        self::assertSame(['other', null, null], [$lent->subprotocol(), $lent->deflate(), $lent->error()]);
        self::assertGreaterThan(0, $lent->sendText('Welcome'));
        $this->serve(static fn (): bool => $client->messages() !== []);
        self::assertSame(['Welcome'], $client->messages());

        $refused = $this->client('/no');
        $this->events = [];
        $this->serve(fn (): bool => $this->told(EventKind::REQUEST) !== null);
        $this->hub->connection($this->told(EventKind::REQUEST)->connection)->respond(403, 'no');
        $this->serve(static fn (): bool => $refused->has(EventKind::ERROR));
        self::assertSame([403], array_column(array_slice($refused->events, 0, 1), 'closeCode'));
    }

    public function testALentConnectionSendsAndCloses(): void
    {
        $this->listen();
        [$client, $id] = $this->opened();
        $lent = $this->hub->connection($id);
        self::assertTrue($lent->trySend('a') && $lent->trySend(Message::binary('b')));
        self::assertSame(2, $lent->sendMany(Opcode::TEXT, ['c', 'd']));
        self::assertGreaterThan(0, $lent->sendText('in ', more: true));
        self::assertFalse($lent->trySend('between pieces'));
        $lent->sendText('pieces');
        self::assertGreaterThan(0, $lent->waiting());
        $lent->close(4000, 'enough');

        $this->serve(static fn (): bool => $client->closeCode() !== null);
        self::assertSame(['a', 'b', 'c', 'd', 'in pieces'], $client->messages());
        self::assertSame(4000, $client->closeCode());
    }

    public function testWhatTheHubDoesItselfALentConnectionDoesNot(): void
    {
        $this->listen();
        [$client, $id] = $this->opened();
        $lent = $this->hub->connection($id);
        $calls = ['receive' => ["\x81\x80\0\0\0\0"], 'output' => [0], 'take' => [0], 'gone' => []];
        foreach ($calls as $method => $arguments) {
            self::assertRefused(ErrorCode::STATE, 'belongs to a hub', static fn () => $lent->$method(...$arguments));
        }
        $lent->free();
        $lent->__destruct();
        self::assertSame(State::OPEN, $lent->state());
        self::assertSame('OPEN', $lent->__debugInfo()['state']);
        unset($lent);
        self::assertTrue($this->hub->send($id, Opcode::TEXT, 'still there'));
        $this->serve(static fn (): bool => $client->messages() !== []);
    }

    public function testStopClosesAllAndEnds(): void
    {
        $this->listen();
        $this->opened();
        $silent = stream_socket_client("tcp://127.0.0.1:$this->port");
        $this->opened();
        $this->hub->stop();
        self::assertFalse($this->hub->isStopped());
        $this->serve(fn (): bool => $this->hub->isStopped());

        $gone = array_filter($this->events, static fn (Event $event): bool => $event->kind === EventKind::GONE);
        self::assertSame([1001, 1001], array_column($gone, 'closeCode'));
        $this->serve(fn (): bool => $this->all(static fn (Client $client): bool => $client->closeCode() !== null));
        self::assertSame([1001, 1001], array_map(static fn (Client $client) => $client->closeCode(), $this->clients));
        self::assertSame('', fread($silent, 1));
        self::assertSame([], $this->hub->poll(), 'there is nothing to wait for');
        self::assertSame(0, $this->hub->subscribers());
        self::assertFalse($this->hub->send($gone[array_key_first($gone)]->connection, Opcode::TEXT, 'a'));
        self::assertSame('STOPPED', $this->hub->__debugInfo()['state']);
        self::assertRefused(ErrorCode::STATE, 'stopped', fn () => $this->hub->listen('127.0.0.1:0'));
        self::assertRefused(ErrorCode::ARGUMENT, 'time', fn () => $this->hub->stop(-1));
        $this->hub->stop(0);
    }

    public function testThoseWhoDoNotCloseAreGivenUp(): void
    {
        $this->listen();
        [$client] = $this->opened();
        $this->clients = [];
        $this->hub->stop(0);
        $this->serve(fn (): bool => $this->hub->isStopped());

        self::assertSame(1006, $this->told(EventKind::GONE)->closeCode);
        $client->leave();
    }

    public function testWhoIsPausedIsNotHeard(): void
    {
        $this->listen();
        [$client, $id] = $this->opened();
        [$other] = $this->opened();
        self::assertTrue($this->hub->pause($id));
        self::assertFalse($this->hub->pause(self::NOBODY) || $this->hub->resume(self::NOBODY));
        $client->connection->sendText('later');
        $client->turn();
        for ($i = 0; $i < 10; $i++) {
            $other->connection->sendText('now');
            $this->serve(static fn (): bool => count($other->messages()) === $i + 1);
        }
        self::assertSame([], $client->messages());
        self::assertTrue($this->hub->resume($id));
        $this->serve(static fn (): bool => $client->messages() === ['later']);
    }

    public function testTheDescriptorSaysWhenToPoll(): void
    {
        $this->listen();
        [$client, $id] = $this->opened();
        $stream = fopen('php://fd/' . $this->hub->fd(), 'r');
        self::assertSame($this->hub->fd(), $this->hub->fd());
        while ($this->hub->poll(0) !== [] || self::canBeRead($stream, 0)) {
        }
        $client->connection->sendText('a');
        $client->turn();
        self::assertTrue(self::canBeRead($stream, self::PATIENCE_S));
        [$event] = $this->hub->poll(0);
        self::assertSame([$id, 'a'], [$event->connection, $event->data]);
        $this->hub->send($id, Opcode::TEXT, 'b');
        self::assertTrue(self::canBeRead($stream, self::PATIENCE_S), 'what was sent is to be written');
        self::assertSame([], $this->hub->poll(0));
    }

    public function testNothingIsWaitedForLongerThanItIsSaid(): void
    {
        $this->listen();
        self::assertSame([], $this->hub->poll(0));
        self::assertSame([], $this->hub->poll(1));
        self::assertSame([], $this->hub->poll(), 'every half second');
        self::assertRefused(ErrorCode::ARGUMENT, 'time', fn () => $this->hub->poll(-1));
    }

    public function testStatsCount(): void
    {
        $this->listen();
        [$client, $id] = $this->opened();
        $client->connection->sendText('Hello');
        $this->serve(static fn (): bool => $client->messages() === ['Hello']);
        $stats = $this->hub->stats();
        self::assertSame([1, 1, 0, 0, 1, 1], [
            $stats->connections,
            $stats->accepted,
            $stats->refused,
            $stats->acceptPauses,
            $stats->messagesReceived,
            $stats->messagesSent,
        ]);
        self::assertSame(strlen($this->events[0]->data) + 6 + 5, $stats->bytesReceived);
        self::assertSame(1, $this->hub->__debugInfo()['messagesSent']);
    }

    public function testNoMoreThanSoManyAreLetIn(): void
    {
        $this->listen(maxConnections: 1);
        [$first] = $this->opened();
        $second = $this->client();
        for ($i = 0; $i < 10; $i++) {
            $first->connection->sendText('a');
            $this->serve(static fn (): bool => count($first->messages()) === $i + 1);
        }
        self::assertSame([1, []], [$this->hub->subscribers(), $second->events]);
        $first->leave();
        $this->serve(static fn (): bool => $second->has(EventKind::OPEN));
        self::assertRefused(ErrorCode::ARGUMENT, 'connections', static fn () => new Hub(-1));
    }

    public function testItListensAtAllKindsOfAddresses(): void
    {
        $this->listen();
        $file = sys_get_temp_dir() . '/wsframe-' . getmypid() . '.socket';
        self::assertSame(0, $this->hub->listen("unix:$file"));
        try {
            $client = new Client("unix://$file");
            $this->clients[] = $client;
            $this->serve(static fn (): bool => $client->has(EventKind::OPEN));
            self::assertRefused(ErrorCode::IO, "unix:$file", static fn () => (new Hub())->listen("unix:$file"));
        } finally {
            unlink($file);
        }
        $port = $this->hub->listen('127.0.0.1:0', reusePort: true);
        self::assertSame($port, (new Hub())->listen("127.0.0.1:$port", reusePort: true));
        self::assertRefused(ErrorCode::IO, 'in use', fn () => $this->hub->listen("127.0.0.1:$this->port"));
        foreach (['localhost:80', '127.0.0.1', '', '127.0.0.1:65536'] as $address) {
            self::assertRefused(ErrorCode::ARGUMENT, 'address', fn () => $this->hub->listen($address));
        }
        $wrong = new Config(deflateLevel: 10);
        self::assertRefused(ErrorCode::ARGUMENT, 'level', fn () => $this->hub->listen('127.0.0.1:0', $wrong));
    }

    private function listen(?Config $config = null, int $maxConnections = 0): void
    {
        $this->hub = new Hub($maxConnections);
        $this->port = $this->hub->listen('127.0.0.1:0', $config);
    }

    private function client(string $target = '/', ?Config $config = null, array $fields = []): Client
    {
        return $this->clients[] = new Client("tcp://127.0.0.1:$this->port", $target, $config, $fields);
    }

    /** @return array{Client, int} A client that is open, and its id. */
    private function opened(string $target = '/', ?Config $config = null): array
    {
        $client = $this->client($target, $config);
        $had = count($this->events);
        $this->serve(static fn (): bool => $client->has(EventKind::OPEN));
        return [$client, $this->events[$had]->connection];
    }

    /** Sends back what comes, until something is the case. */
    private function serve(\Closure $isDone): void
    {
        $deadline = time() + self::PATIENCE_S;
        while (!$isDone()) {
            self::assertLessThan($deadline, time(), 'it does not come');
            foreach ($this->clients as $client) {
                $client->turn();
            }
            foreach ($this->hub->poll(1) as $event) {
                $this->events[] = $event;
                if ($event->kind === EventKind::TEXT || $event->kind === EventKind::BINARY) {
                    $this->hub->send($event->connection, $event->kind, $event->data);
                }
            }
        }
    }

    private function all(\Closure $isTrue): bool
    {
        return array_filter($this->clients, $isTrue) === $this->clients;
    }

    /** The first event of a kind that the hub has told. */
    private function told(int $kind): ?Event
    {
        foreach ($this->events as $event) {
            if ($event->kind === $kind) {
                return $event;
            }
        }
        return null;
    }

    /** @param resource $stream */
    private static function canBeRead(mixed $stream, int $seconds): bool
    {
        [$read, $write, $except] = [[$stream], null, null];
        return stream_select($read, $write, $except, $seconds) === 1;
    }

    private static function assertRefused(int $code, string $words, \Closure $call): void
    {
        try {
            $call();
        } catch (UsageError $error) {
            self::assertSame($code, $error->getCode(), $error->getMessage());
            self::assertStringContainsStringIgnoringCase($words, $error->getMessage());
            return;
        }
        self::fail('no UsageError');
    }
}

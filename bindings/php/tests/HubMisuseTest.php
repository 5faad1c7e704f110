<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/Client.php';
require_once __DIR__ . '/Misuse.php';

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\ErrorCode;
use Wsframe\EventKind;
use Wsframe\Hub;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\State;
use Wsframe\UsageError;

/** Whatever a program does with a hub, it gets an exception and never a crash, and the memory comes back. */
final class HubMisuseTest extends TestCase
{
    use Misuse;

    /** @dataProvider calls */
    public function testAfterFreeEveryCallIsAUsageError(\Closure $call): void
    {
        $hub = new Hub();
        $hub->listen('127.0.0.1:0');
        $hub->free();
        $hub->free();

        self::assertState('freed', static fn () => $call($hub));
        self::assertSame(['state' => 'FREED'], $hub->__debugInfo());
    }

    /** @dataProvider calls */
    public function testAnObjectThatWasNeverAHubIsAnError(\Closure $call): void
    {
        $hub = (new \ReflectionClass(Hub::class))->newInstanceWithoutConstructor();

        try {
            self::assertNull($call($hub), 'stop() waits for a handle');
        } catch (\Error | UsageError $error) {
            self::assertMatchesRegularExpression('/before initialization|freed/', $error->getMessage());
        }
    }

    public static function calls(): array
    {
        $calls = [
            'listen' => ['127.0.0.1:0'],
            'poll' => [0],
            'connection' => [1],
            'send' => [1, Opcode::TEXT, 'a'],
            'sendMany' => [[1], ['a']],
            'subscribe' => [1, 'a'],
            'unsubscribe' => [1, 'a'],
            'subscribers' => [],
            'publish' => ['a', 'a'],
            'pause' => [1],
            'resume' => [1],
            'fd' => [],
            'stop' => [],
            'stats' => [],
            'take' => [],
            'connect' => ['ws://127.0.0.1:1/'],
            'adopt' => [0],
            'adoptConnection' => [0],
            'setCertificate' => [80, 'a', 'a'],
            'trust' => ['a'],
            'timer' => [1, 1],
            'watch' => [0],
            'terminate' => [1],
            'address' => [1],
        ];
        $closures = [];
        foreach ($calls as $method => $arguments) {
            $closures[$method] = [static fn (Hub $hub) => $hub->$method(...$arguments)];
        }
        return $closures;
    }

    public function testTheCallsAboveAreAll(): void
    {
        $methods = array_column((new \ReflectionClass(Hub::class))->getMethods(\ReflectionMethod::IS_PUBLIC), 'name');
        $others = ['__construct', '__destruct', '__serialize', '__unserialize', '__debugInfo', 'free', 'give', 'isStopped'];

        self::assertEqualsCanonicalizing([...array_keys(self::calls()), ...$others], $methods);
    }

    public function testAHubIsNeitherClonedNorSerialized(): void
    {
        $hub = new Hub();
        foreach (
            [
                '__clone' => static fn () => clone $hub,
                'a hub cannot be serialized' => static fn () => serialize($hub),
                'a hub cannot be unserialized' => static fn () => unserialize('O:11:"Wsframe\Hub":0:{}'),
            ] as $sentence => $call
        ) {
            try {
                $call();
                self::fail('nothing was thrown');
            } catch (\Error | UsageError $error) {
                self::assertStringContainsString($sentence, $error->getMessage());
            }
        }
        self::assertSame(0, $hub->subscribers());
    }

    /** @dataProvider ends */
    public function testWhatWasLentIsNobodysAfterwards(\Closure $end): void
    {
        [$hub, , $id] = self::serving();
        $lent = $hub->connection($id);
        self::assertSame([], [...$hub->poll(0)]);
        self::assertLent($lent);

        $lent = $hub->connection($id);
        $end($hub);
        unset($hub);
        gc_collect_cycles();
        self::assertLent($lent);
        self::assertSame(['state' => 'GIVEN BACK, OR IN A CALL'], $lent->__debugInfo());
        $lent->free();
        unset($lent);
    }

    public static function ends(): array
    {
        return [
            'poll' => [static fn (Hub $hub) => $hub->poll(0)],
            'free' => [static fn (Hub $hub) => $hub->free()],
            'destructor' => [static fn (Hub $hub) => $hub->__destruct()],
        ];
    }

    public function testALoanKeepsTheHub(): void
    {
        [$hub, , $id] = self::serving();
        $lent = $hub->connection($id);
        unset($hub);
        gc_collect_cycles();

        self::assertGreaterThan(0, $lent->sendText('a'));
    }

    public function testALoanIsNoCircle(): void
    {
        gc_disable();
        try {
            [$hub, , $id] = self::serving();
            $weak = \WeakReference::create($hub);
            $lent = $hub->connection($id);
            unset($hub, $lent);
            self::assertNull($weak->get(), 'it is freed at once');
        } finally {
            gc_enable();
        }
    }

    /**
     * @requires extension pcntl
     * @dataProvider waits
     */
    public function testASignalHandlerMayStopAHubThatWaits(?int $timeoutMs): void
    {
        $hub = new Hub();
        $hub->listen('127.0.0.1:0');
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => $hub->stop());
        pcntl_alarm(1);
        try {
            while (!$hub->isStopped()) {
                self::assertSame([], $hub->poll($timeoutMs));
            }
        } finally {
            pcntl_signal(SIGALRM, SIG_DFL);
            pcntl_async_signals(false);
        }
    }

    public static function waits(): array
    {
        return [[null], [1000], [0]];
    }

    /** @requires extension pcntl */
    public function testASignalHandlerThatUsesTheHubGetsWhatItAsksForOrAUsageError(): void
    {
        [$hub, $client, $id] = self::serving();
        $codes = [];
        $handler = static function () use ($hub, $id, &$codes): void {
            try {
                // Each of these takes back what an interrupted call may be about to read.
                $hub->poll(0);
                $hub->connection($id)?->target();
                $hub->send($id, Opcode::PING, '');
                $codes[0] = 0;
            } catch (UsageError $error) {
                $codes[$error->getCode()] = $error->getCode();
            }
        };
        $text = str_repeat('Hello', 20);
        [$wrong, $isRefused] = [0, 0];
        $signals = self::underSignals($handler, static function () use (
            $hub,
            $client,
            $id,
            $text,
            &$codes,
            &$wrong,
            &$isRefused,
        ): bool {
            for ($i = 0; $i < 20; $i++) {
                $client->connection->sendText($text);
            }
            $client->turn();
            foreach ($hub->poll(0) as $event) {
                $wrong += $event->kind === EventKind::TEXT && ($event->connection !== $id || $event->data !== $text) ? 1 : 0;
                $hub->send($id, $event->kind === EventKind::TEXT ? Opcode::TEXT : Opcode::PONG, $event->data);
            }
            try {
                $lent = $hub->connection($id);
                for ($i = 0; $i < 20; $i++) {
                    $lent->fields();
                }
                $lent->sendText($text);
            } catch (UsageError $error) {
                $wrong += str_contains($error->getMessage(), 'lent until') ? 0 : 1;
                $isRefused++;
            }
            $client->events = [];
            return count($codes) === 2 && $isRefused > 0;
        });

        self::assertSame(0, $wrong);
        self::assertGreaterThanOrEqual(300, $signals);
        self::assertEqualsCanonicalizing([0, ErrorCode::STATE], $codes, 'it interrupts calls, and runs between them');
    }

    /** @requires extension pcntl */
    public function testASignalHandlerMayFreeTheHub(): void
    {
        [$hub, $client, $id] = self::serving();
        $refused = 0;
        $handler = static function () use (&$hub, &$refused): void {
            try {
                $hub->free();
            } catch (UsageError) {
                $refused++;
            }
        };
        $freed = 0;
        $signals = self::underSignals($handler, static function () use (&$hub, &$client, &$id, &$freed, &$refused): bool {
            try {
                $lent = $hub->connection($id);
                $lent?->fields();
                $lent?->sendText('Hello');
                $hub->send($id, Opcode::TEXT, 'Hello');
                $hub->poll(0);
            } catch (UsageError) {
                $freed++;
                $fresh = self::serving();
                [$hub, $client, $id] = $fresh;
            }
            return $freed > 0 && $refused > 0;
        });

        self::assertGreaterThanOrEqual(300, $signals);
        self::assertGreaterThan(0, $freed);
        self::assertGreaterThan(0, $refused);
    }

    /**
     * To stop answers the request, and then the head may be gone: it is read whole, or not at all.
     *
     * @requires extension pcntl
     */
    public function testASignalHandlerThatStopsTheHubTakesNoHeadAway(): void
    {
        $hub = null;
        $handler = static function () use (&$hub): void {
            $hub?->stop();
        };
        [$wrong, $stopped] = [0, 0];
        $signals = self::underSignals($handler, static function () use (&$hub, &$wrong, &$stopped): bool {
            $own = new Hub();
            $client = new Client('tcp://127.0.0.1:' . $own->listen('127.0.0.1:0', new Config(ask: true)));
            $client->turn();
            while (($asked = $own->poll()) === []) {
            }
            $lent = $own->connection($asked[0]->connection);
            $expected = $lent->fields();
            for ($hub = $own; $lent->state() === State::ASKED;) {
                $fields = $lent->fields();
                $wrong += $fields === $expected || $fields === [] ? 0 : 1;
            }
            $hub = null;
            return ++$stopped > 10;
        });

        self::assertSame(0, $wrong);
        self::assertGreaterThanOrEqual(300, $signals);
    }

    /** @requires extension pcntl */
    public function testAForkedProcessHasNoHub(): void
    {
        [$hub, $client, $id] = self::serving();
        $hub->connection($id)->sendText('a');
        $child = pcntl_fork();
        if ($child === 0) {
            $said = [];
            foreach (array_diff_key(self::calls(), ['stats' => 0, 'take' => 0]) as $name => [$call]) {
                try {
                    $said[$name] = $call($hub);
                } catch (UsageError $error) {
                    $said[$name] = str_contains($error->getMessage(), 'forked');
                }
            }
            $hub->free();
            posix_kill(getmypid(), array_unique(array_values($said)) === [true] ? SIGKILL : SIGABRT);
        }
        pcntl_waitpid($child, $status);
        self::assertSame(SIGKILL, pcntl_wtermsig($status), 'each call says that it is forked');
        for ($deadline = time() + 20; $client->messages() === [] && time() < $deadline;) {
            $hub->poll(1);
            $client->turn();
        }
        self::assertSame(['a'], $client->messages(), 'the parent serves on');
    }

    public function testTwoThousandClientsLeaveNothing(): void
    {
        [$hub, , , $port] = self::serving();
        $come = static function (int $times) use ($hub, $port): void {
            for ($i = 0; $i < $times; $i++) {
                $client = new Client("tcp://127.0.0.1:$port");
                $isGone = false;
                while (!$isGone) {
                    $client->turn();
                    if ($client->has(EventKind::OPEN) && $client->connection->waiting() === 0) {
                        $client->connection->sendBinary(str_repeat('x', 1000));
                        $i % 2 === 0 ? $client->leave() : $client->connection->close();
                    }
                    foreach ($hub->poll(0) as $event) {
                        $lent = $hub->connection($event->connection);
                        $lent?->trySend(Message::text('Hello'));
                        $hub->subscribe($event->connection, "of $event->connection");
                        $isGone = $isGone || $event->kind === EventKind::GONE;
                    }
                }
            }
        };
        $come(200);
        $before = self::residentBytes();
        $come(2000);

        self::assertLessThan(2 << 20, self::residentBytes() - $before, 'bytes that 2,000 clients have left');
        $hub->poll(0);
        self::assertSame(1, $hub->subscribers());
    }

    public function testHubsThatAreDroppedGiveTheirMemoryBack(): void
    {
        $make = static function (int $times): void {
            for ($i = 0; $i < $times; $i++) {
                $hub = new Hub();
                $hub->listen('127.0.0.1:0', new Config(subprotocols: ['chat']));
                $hub->poll(0);
                try {
                    $hub->listen('127.0.0.1:0', new Config(deflateLevel: 10));
                } catch (UsageError) {
                }
            }
        };
        $make(20);
        $before = self::residentBytes();
        $make(2000);

        self::assertLessThan(2 << 20, self::residentBytes() - $before, 'bytes that 2,000 hubs have left');
    }

    /** @return array{Hub, Client, int, int} A hub with a client that is open, its id, and the port. */
    private static function serving(): array
    {
        $hub = new Hub();
        $port = $hub->listen('127.0.0.1:0');
        $client = new Client("tcp://127.0.0.1:$port");
        $id = 0;
        for ($deadline = time() + 20; !$client->has(EventKind::OPEN) && time() < $deadline;) {
            $client->turn();
            foreach ($hub->poll(1) as $event) {
                $id = $event->connection;
            }
        }
        return [$hub, $client, $id, $port];
    }

    private static function assertLent(Connection $lent): void
    {
        $calls = ['sendText' => ['a'], 'state' => [], 'target' => [], 'accept' => [], 'receive' => ['']];
        foreach ($calls as $method => $arguments) {
            self::assertState("lent until the hub's next poll() or its end", static fn () => $lent->$method(...$arguments));
        }
    }

    private static function assertState(string $words, \Closure $call): void
    {
        try {
            $call();
        } catch (UsageError $error) {
            self::assertSame(ErrorCode::STATE, $error->getCode());
            self::assertStringContainsString($words, $error->getMessage());
            return;
        }
        self::fail('no UsageError');
    }
}

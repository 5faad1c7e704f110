<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/event.php';
require_once __DIR__ . '/Misuse.php';

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\DataFlag;
use Wsframe\EventKind;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\State;
use Wsframe\UsageError;

/** Whatever a program does with a connection, it gets an exception and never a crash, and the memory comes back. */
final class ConnectionMisuseTest extends TestCase
{
    use Misuse;

    /** RFC 6455 section 5.7. */
    private const HELLO = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

    /** @dataProvider calls */
    public function testAfterFreeEveryCallIsAUsageError(\Closure $call): void
    {
        $connection = self::open();
        $connection->receive(self::HELLO);
        $connection->free();

        self::assertFreed(static fn () => $call($connection));
    }

    /** @dataProvider calls */
    public function testAnObjectThatWasNeverAConnectionIsAnError(\Closure $call): void
    {
        $connection = (new \ReflectionClass(Connection::class))->newInstanceWithoutConstructor();

        try {
            $call($connection);
            self::fail('nothing was thrown');
        } catch (\Error | UsageError $error) {
            self::assertMatchesRegularExpression('/before initialization|freed/', $error->getMessage());
        }
    }

    public static function calls(): array
    {
        $calls = [
            'receive' => [self::HELLO],
            'sendText' => ['a'],
            'sendBinary' => ['a'],
            'sendMany' => [Opcode::TEXT, ['a']],
            'sendMessage' => [Message::text('a')],
            'send' => [Opcode::TEXT, 'a'],
            'trySend' => ['a'],
            'ping' => [],
            'pong' => [],
            'close' => [],
            'request' => ['a', '/'],
            'accept' => [],
            'respond' => [400],
            'addField' => ['a', 'b'],
            'output' => [0],
            'take' => [0],
            'waiting' => [],
            'gone' => [],
            'state' => [],
            'error' => [],
            'deflate' => [],
            'subprotocol' => [],
            'target' => [],
            'field' => ['a'],
            'fields' => [],
        ];
        $closures = [];
        foreach ($calls as $method => $arguments) {
            $closures[$method] = [static fn (Connection $connection) => $connection->$method(...$arguments)];
        }
        return $closures;
    }

    public function testTheCallsAboveAreAll(): void
    {
        $methods = array_map(
            static fn (\ReflectionMethod $method): string => $method->name,
            (new \ReflectionClass(Connection::class))->getMethods(\ReflectionMethod::IS_PUBLIC)
        );
        $others = ['server', 'client', 'lent', 'giveBack', 'free', 'waitMs', '__destruct', '__serialize', '__unserialize', '__debugInfo'];

        self::assertEqualsCanonicalizing([...array_keys(self::calls()), ...$others], $methods);
    }

    public function testFreeMayBeCalledAgain(): void
    {
        $connection = self::open();
        $connection->free();
        $connection->free();
        $connection->__destruct();
        $connection->__destruct();

        self::assertFreed(static fn () => $connection->state());
    }

    public function testADestructorThatIsCalledFreesOnce(): void
    {
        $connection = self::open();
        $connection->__destruct();
        $connection->__destruct();
        self::assertFreed(static fn () => $connection->state());
    }

    public function testAConnectionIsNotCloned(): void
    {
        $connection = self::open();
        try {
            clone $connection;
            self::fail('it was cloned');
        } catch (\Error $error) {
            self::assertStringContainsString('__clone', $error->getMessage());
        }
        self::assertSame(State::OPEN, $connection->state());
    }

    public function testAConnectionIsNotSerialized(): void
    {
        $connection = self::open();
        foreach (['serialized' => static fn () => serialize($connection), 'unserialized' => self::unserialize(...)] as $what => $call) {
            try {
                $call();
                self::fail('no UsageError');
            } catch (UsageError $error) {
                self::assertSame("a connection cannot be $what", $error->getMessage());
            }
        }
        self::assertSame(State::OPEN, $connection->state());
    }

    /** @dataProvider wrongTypes */
    public function testWrongTypesAreTypeErrors(\Closure $call): void
    {
        $this->expectException(\TypeError::class);
        $call(self::open());
    }

    public static function wrongTypes(): array
    {
        return [
            [static fn (Connection $c) => $c->receive(null)],
            [static fn (Connection $c) => $c->sendText(5)],
            [static fn (Connection $c) => $c->send('text', 'a')],
            [static fn (Connection $c) => $c->output(0, 1.0)],
            [static fn (Connection $c) => $c->output('0')],
            [static fn (Connection $c) => $c->output(0.0)],
            [static fn (Connection $c) => $c->take(microtime(true))],
            [static fn (Connection $c) => Connection::server(['ask' => true])],
            [static fn (Connection $c) => new Config(ask: 1)],
        ];
    }

    /** @requires extension pcntl */
    public function testASignalHandlerMayUseOtherConnections(): void
    {
        $other = self::open();
        $handler = static function () use ($other): void {
            $events = $other->receive("\x82\x83\0\0\0\0abc");
            $other->sendBinary($events[0]->data);
            $other->output(0, strlen($other->output(0)));
            Connection::server(new Config(subprotocols: ['a']))->receive("GET / HTTP/1.1\r\n");
        };
        $connection = self::open();
        $expected = array_fill(0, 3, event(EventKind::TEXT, 'Hello'));
        $wrong = 0;
        $signals = self::underSignals($handler, static function () use ($connection, $expected, &$wrong): bool {
            $wrong += $connection->receive(self::HELLO . self::HELLO . self::HELLO) == $expected ? 0 : 1;
            $wrong += $connection->sendText('Hello') === 7 ? 0 : 1;
            $wrong += $connection->output(0) === "\x81\x05Hello" ? 0 : 1;
            $wrong += $connection->output(0, 7) === '' && $connection->waiting() === 0 ? 0 : 1;
            return true;
        });

        self::assertSame(0, $wrong);
        self::assertGreaterThanOrEqual(300, $signals);
    }

    /** @requires extension pcntl */
    public function testASignalHandlerThatUsesTheInterruptedConnectionGetsAUsageError(): void
    {
        $connection = self::open();
        $codes = [];
        $handler = static function () use ($connection, &$codes): void {
            try {
                // Each of these gives memory back that an interrupted call may be about to read.
                $connection->receive("\x8a\x80\0\0\0\0");
                $connection->sendBinary(str_repeat('x', 100_000));
                $connection->take(0);
                $codes[] = 0;
            } catch (UsageError $error) {
                $codes[] = $error->getCode();
            }
        };
        $text = str_repeat('Hello', 20);
        $frame = "\x81\xe4\0\0\0\0$text";
        $wrong = 0;
        $signals = self::underSignals($handler, static function () use (
            $connection,
            $frame,
            $text,
            &$codes,
            &$wrong
        ): bool {
            foreach ($connection->receive(str_repeat($frame, 20)) as $event) {
                $wrong += $event->data === $text ? 0 : 1;
            }
            $wrong += $connection->output(0) === '' ? 0 : 1;
            return count(array_unique($codes)) === 2;
        });

        self::assertSame(0, $wrong);
        self::assertGreaterThanOrEqual(300, $signals);
        self::assertEqualsCanonicalizing([-2, 0], array_unique($codes), 'it interrupts calls, and runs between them');
    }

    /** @requires extension pcntl */
    public function testASignalHandlerMayFreeTheConnection(): void
    {
        $connection = self::open();
        $refused = 0;
        $handler = static function () use (&$connection, &$refused): void {
            try {
                $connection->free();
            } catch (UsageError) {
                $refused++;
            }
        };
        $freed = 0;
        $signals = self::underSignals($handler, static function () use (&$connection, &$freed, &$refused): bool {
            try {
                $connection->receive(str_repeat(self::HELLO, 50));
                $connection->sendText('Hello');
                $connection->output(0, strlen($connection->output(0)));
            } catch (UsageError) {
                $freed++;
                $connection = self::open();
            }
            return $freed > 0 && $refused > 0;
        });

        self::assertGreaterThanOrEqual(300, $signals);
        self::assertGreaterThan(0, $freed);
        self::assertGreaterThan(0, $refused);
    }

    public function testConnectionsThatAreDroppedGiveTheirMemoryBack(): void
    {
        $make = static function (int $times): void {
            $config = new Config(subprotocols: ['chat'], startOpen: true);
            $message = "\x82\xfe\x03\xe8\0\0\0\0" . str_repeat('x', 1000);
            for ($i = 0; $i < $times; $i++) {
                $connection = Connection::server($i % 2 === 0 ? $config : null);
                if ($i % 2 === 0) {
                    $connection->receive($message);
                    $connection->sendBinary($message);
                } else {
                    $connection->receive("GET / HTTP/1.1\r\n");
                }
                if ($i % 3 === 0) {
                    $connection->free();
                }
            }
        };
        $make(1000);
        $before = self::residentBytes();
        $make(100_000);

        self::assertLessThan(4 << 20, self::residentBytes() - $before, 'bytes that 100,000 connections have left');
    }

    /** What a peer sent and left is not waited for: PHP's collector does not see it. */
    public function testWhatAPeerSentIsGivenBackWhenItIsGone(): void
    {
        $frame = "\x82\xff\0\0\0\0\0\x90\0\0\0\0\0\0" . str_repeat('x', (9 << 20) - 1);
        $connections = [];
        $go = static function (int $times) use ($frame, &$connections): void {
            for ($i = 0; $i < $times; $i++) {
                $connection = $connections[] = self::open();
                $connection->receive($frame);
                $connection->gone();
            }
        };
        $go(5);
        $before = self::residentBytes();
        $go(100);

        self::assertLessThan(8 << 20, self::residentBytes() - $before, 'bytes that 100 connections keep');
    }

    public function testConnectionsThatCouldNotBeMadeGiveTheirMemoryBack(): void
    {
        $config = new Config(subprotocols: ['not a token']);
        $fail = static function (int $times) use ($config): void {
            for ($i = 0; $i < $times; $i++) {
                try {
                    Connection::client($config);
                } catch (UsageError) {
                }
            }
        };
        $fail(1000);
        $before = self::residentBytes();
        $fail(50_000);

        self::assertLessThan(2 << 20, self::residentBytes() - $before);
    }

    private static function open(): Connection
    {
        return Connection::server(new Config(startOpen: true));
    }

    private static function unserialize(): mixed
    {
        return unserialize('O:18:"Wsframe\Connection":0:{}');
    }

    private static function assertFreed(\Closure $call): void
    {
        try {
            $call();
        } catch (UsageError $error) {
            self::assertSame(-2, $error->getCode());
            self::assertStringContainsString('freed', $error->getMessage());
            return;
        }
        self::fail('no UsageError');
    }
}

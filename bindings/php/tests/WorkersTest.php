<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/Client.php';

use PHPUnit\Framework\TestCase;

/**
 * Servers with workers: a parent and its processes, and clients of them in this one.
 *
 * @requires extension pcntl
 */
final class WorkersTest extends TestCase
{
    private const PATIENCE_S = 20;

    /** A message is a word for what to do, and the rest. Each line that is said is one write: others say theirs. */
    private const PROGRAM = <<<'PHP'
        use Wsframe\{Client, Config, Peer, Server};
        require 'autoload.php';
        $say = static fn (mixed ...$words) => fwrite(STDOUT, json_encode([getmypid(), ...$words]) . "\n");
        $server = new Server(new Config(maxMessageLen: 64 << 20));
        $server->on('open', function (Peer $peer) {
            $peer->subscribe('news');
            $peer->send('I am ' . getmypid());
        });
        $server->on('message', function (Peer $peer, string $message) use ($server, $say) {
            [$what, $rest] = explode(' ', $message, 2) + [1 => ''];
            match ($what) {
                'publish' => $say('published', $server->publish('news', $rest)),
                'others' => $say('published', $peer->publish('news', $rest)),
                'all' => $say('published', $server->publish('', $rest)),
                'flood' => array_map(fn () => $server->publish('nobody', str_repeat('x', 1 << 20)), range(1, (int) $rest)),
                'sleep' => $say('sleeps') && usleep(1000 * (int) $rest),
                'quit' => $server->stop(),
                default => $peer->send($message),
            };
        });
        $server->on('close', fn (Peer $peer, int $code) => $say('close', $code));
        PHP;

    /** Where the parent and its workers meet. */
    private string $folder;
    /** @var resource|null */
    private mixed $process = null;
    /** @var resource */
    private mixed $said;
    private int $port;
    private int $parent;
    /** @var list<array> What the processes have said, and nobody has asked for. */
    private array $lines = [];
    private string $unfinished = '';
    /** @var list<Client> */
    private array $clients = [];

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/wsframe-test-' . getmypid();
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        if ($this->process !== null) {
            proc_terminate($this->process, SIGTERM);
            $deadline = time() + self::PATIENCE_S;
            while (proc_get_status($this->process)['running'] && time() < $deadline) {
                usleep(1000);
            }
            proc_terminate($this->process, SIGKILL);
            proc_close($this->process);
        }
        rmdir($this->folder);
    }

    public function testEachWorkerHasItsPeersAndWhatIsPublishedReachesAll(): void
    {
        [$one, $other] = $this->start('$server->run(workers: 2, start: fn () => $say("starts"));');
        [$ofOne, $ofOther] = [$this->clientOf($one), $this->clientOf($other)];
        $others = array_filter($this->clients, static fn (Client $client): bool => $client !== $ofOne);
        $ofOne->connection->sendText('others from one');
        $ofOther->connection->sendText('publish from another');
        $ofOther->connection->sendText('all to everybody');

        $this->until(static fn (): bool => self::haveAll($others, 'from one'));
        $this->until(fn (): bool => self::haveAll($this->clients, 'to everybody'));
        $this->until(fn (): bool => in_array('from another', $ofOne->messages()));
        // A question and its answer: all that was published before has come.
        foreach ($this->clients as $client) {
            $client->connection->sendText('echo');
            $this->until(fn (): bool => in_array('echo', $client->messages()));
            $counts = array_count_values($client->messages());
            self::assertSame([1, 1], [$counts['from another'], $counts['to everybody']]);
            self::assertSame($client === $ofOne ? 0 : 1, $counts['from one'] ?? 0);
        }
        $local = $this->next($one, 'published')[0] + $this->next($other, 'published')[0];
        self::assertSame(count($this->clients) - 1, $local, 'each counts its own peers, and the first left one out');

        $this->assertEnds();
    }

    public function testWhoDiesIsReplaced(): void
    {
        [$one, $other] = $this->start('$server->run(workers: 2, start: fn () => $say("starts"));');
        [$lost, $kept] = [$this->clientOf($one), $this->clientOf($other)];
        posix_kill($one, SIGKILL);
        $this->until(fn (): bool => $lost->closeCode() === 1006);
        [$third] = $this->next(null, 'starts');
        self::assertNotContains($third, [$one, $other]);
        $fresh = $this->clientOf($third);
        $kept->connection->sendText('publish still here');
        $this->until(static fn (): bool => self::haveAll([$fresh, $kept], 'still here'));

        $fresh->connection->sendText('quit');
        $this->until(fn (): bool => $fresh->closeCode() === 1001);
        $this->next(null, 'starts');
        $this->assertEnds();
    }

    public function testAReloadEndsTheFormerWhenTheNewListen(): void
    {
        $file = tempnam(sys_get_temp_dir(), 'wsframe');
        file_put_contents($file, '<?php return 1;');
        try {
            $former = $this->start("\$server->run(workers: 2, start: fn () => \$say('starts', require '$file'));");
            $clients = array_map($this->clientOf(...), $former);
            file_put_contents($file, '<?php $say("fails"); throw new Exception("a mistake");');
            posix_kill($this->parent, SIGUSR1);
            $this->next(null, 'fails');
            $this->next(null, 'fails');
            $clients[0]->connection->sendText('still served');
            $this->until(fn (): bool => in_array('still served', $clients[0]->messages()));
            file_put_contents($file, '<?php return 2;');

            $new = [$this->next(null, 'starts'), $this->next(null, 'starts')];
            self::assertSame([2, 2], array_column($new, 1));
            $this->until(fn (): bool => array_filter($this->clients, fn ($client) => $client->closeCode() !== 1001) === []);
            $this->clients = [];
            foreach ($new as [$process]) {
                self::assertNotContains($process, $former);
                $this->clientOf($process);
            }
            $this->until(fn (): bool => array_filter($former, fn (int $process): bool => posix_kill($process, 0)) === []);
        } finally {
            unlink($file);
        }
        $this->assertEnds();
    }

    public function testAWorkerThatIsSlowStopsNobody(): void
    {
        [$slow, $other] = $this->start('$server->run(workers: 2, start: fn () => $say("starts"));');
        [$ofSlow, $ofOther] = [$this->clientOf($slow), $this->clientOf($other)];
        $ofSlow->connection->sendText('sleep 2000');
        self::assertSame([$slow], $this->next($slow, 'sleeps', true));
        for ($i = 0; $i < 20; $i++) {
            $ofOther->connection->sendText('flood 2');
            $ofOther->connection->sendText("question $i");
            $this->until(fn (): bool => in_array("question $i", $ofOther->messages()));
        }
        self::assertNotContains('awake', $ofSlow->messages());
        $ofSlow->connection->sendText('awake');
        $this->until(fn (): bool => in_array('awake', $ofSlow->messages()));
        // What waits for it is bounded: it has missed some, and does until it has caught up.
        $this->until(function () use ($ofOther, $ofSlow): bool {
            if ($ofOther->connection->waiting() === 0) {
                $ofOther->connection->sendText('publish at last');
            }
            return in_array('at last', $ofSlow->messages());
        });
        $this->assertEnds();
    }

    public function testWhoDiesAtOnceIsReplacedAfterPausesThatGrow(): void
    {
        $this->start('$server->run(workers: 1, start: fn () => $say("starts", hrtime(true)) && exit(1));', 0);
        $starts = array_map(fn (): int => $this->next(null, 'starts')[1], range(1, 4));
        for ($i = 1; $i < 4; $i++) {
            self::assertGreaterThanOrEqual(50 * 2 ** $i, ($starts[$i] - $starts[$i - 1]) / 1e6, 'milliseconds');
        }
        $this->assertEnds();
    }

    public function testWorkersWithoutAParentEnd(): void
    {
        $workers = $this->start('$server->run(workers: 2, start: fn () => $say("starts"));');
        $clients = array_map($this->clientOf(...), $workers);
        posix_kill($this->parent, SIGKILL);
        $this->until(fn (): bool => $clients[0]->closeCode() === 1001 && $clients[1]->closeCode() === 1001);
        $this->assertNobodyIsLeft();
    }

    public function testTimersAndStreamsAreThoseOfEachWorker(): void
    {
        [$one, $other] = $this->start(<<<'PHP'
            $server->every(20, fn () => $server->publish('news', 'tick of ' . getmypid()));
            $server->run(2, function (Server $server) use ($say) {
                [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
                $server->onReadable($ours, fn () => $server->publish('news', fread($ours, 10) . getmypid()));
                $server->every(20, fn () => fwrite($theirs, 'stream of '));
                $say('starts');
            });
            PHP);
        $client = $this->clientOf($one);
        $expected = ["tick of $one", "tick of $other", "stream of $one", "stream of $other"];
        $this->until(fn (): bool => array_diff($expected, $client->messages()) === []);
        $this->assertEnds();
    }

    /** @dataProvider refusals */
    public function testWhatCannotBeIsSaid(string $words, string $program, string $disabled = ''): void
    {
        $code = self::PROGRAM . "try { $program } catch (Wsframe\\UsageError \$error) { echo \$error->getMessage(); }";
        $command = ['php', '-d', "disable_functions=$disabled", '-r', $code];
        $process = proc_open($command, [1 => ['pipe', 'w']], $pipes, \dirname(__DIR__));
        self::assertStringContainsString($words, stream_get_contents($pipes[1]));
        self::assertSame(0, proc_close($process));
    }

    public static function refusals(): array
    {
        $file = sys_get_temp_dir() . '/wsframe-' . getmypid() . '.socket';
        return [
            'no pcntl' => ['need the extensions pcntl and posix', '$server->run(workers: 1);', 'pcntl_fork'],
            'less than none' => ['number of workers', '$server->run(workers: -1);'],
            'a Unix socket' => ['need a port', "\$server->listen('unix:$file'); unlink('$file'); \$server->run(1);"],
            'a client' => ['connections already', 'new Client("ws://127.0.0.1:1/", loop: $server); $server->run(1);'],
        ];
    }

    /** @return list<int> The processes of so many workers. */
    private function start(string $run, int $workers = 2): array
    {
        $code = self::PROGRAM . "\$say(\$server->listen('127.0.0.1:0'));\n$run\n\$say('over');";
        $command = ['php', '-d', "sys_temp_dir=$this->folder", '-r', $code];
        $this->process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['null']], $ends, \dirname(__DIR__));
        $this->said = $ends[1];
        stream_set_blocking($this->said, false);
        $this->until(function (): bool {
            $this->listen();
            return $this->lines !== [];
        });
        [$this->parent, $this->port] = array_shift($this->lines);
        $processes = [];
        while (count($processes) < $workers) {
            [$processes[]] = $this->next(null, 'starts');
        }
        return $processes;
    }

    /** A client that this worker has, of as many as it takes: the system chooses who gets them. */
    private function clientOf(int $process): Client
    {
        for ($deadline = time() + self::PATIENCE_S; time() < $deadline;) {
            $client = @stream_socket_client("tcp://127.0.0.1:$this->port", $code, $reason, 1);
            if ($client === false) {
                // It starts, and does not listen yet.
                usleep(1000);
                continue;
            }
            fclose($client);
            $client = $this->clients[] = new Client("tcp://127.0.0.1:$this->port");
            $this->until(fn (): bool => $client->messages() !== [] || $client->closeCode() !== null);
            if (($client->messages()[0] ?? '') === "I am $process") {
                return $client;
            }
            if ($client->closeCode() !== null) {
                array_pop($this->clients);
            }
        }
        self::fail('no client comes to it');
    }

    /** The rest of the next line that begins with a process, whichever if it is null, and a word; the others can wait. */
    private function next(?int $process, string $word, bool $isProcessTold = false): array
    {
        $found = null;
        $this->until(function () use ($process, $word, &$found): bool {
            $this->listen();
            foreach ($this->lines as $i => $line) {
                if (($process === null || $line[0] === $process) && $line[1] === $word) {
                    unset($this->lines[$i]);
                    $found = $line;
                    return true;
                }
            }
            return false;
        });
        unset($found[1]);
        if ($process !== null && !$isProcessTold) {
            unset($found[0]);
        }
        return array_values($found);
    }

    private function listen(): void
    {
        $lines = explode("\n", $this->unfinished . fread($this->said, 65536));
        $this->unfinished = array_pop($lines);
        array_push($this->lines, ...array_map(static fn (string $line): array => json_decode($line, true), $lines));
    }

    /** @param array<Client> $clients */
    private static function haveAll(array $clients, string $message): bool
    {
        return array_filter($clients, static fn (Client $client) => !in_array($message, $client->messages(), true)) === [];
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

    /** A signal ends all of them in good order, and the parent goes on behind run(). */
    private function assertEnds(): void
    {
        $open = array_filter($this->clients, static fn (Client $client): bool => $client->closeCode() === null);
        proc_terminate($this->process, SIGTERM);
        $this->next($this->parent, 'over');
        $codes = static fn (): array => array_map(static fn (Client $client): ?int => $client->closeCode(), $open);
        $this->until(static fn (): bool => !in_array(null, $codes(), true));
        self::assertSame([], array_diff($codes(), [1001]));
        $this->assertNobodyIsLeft();
    }

    /** Who could still say something. */
    private function assertNobodyIsLeft(): void
    {
        $this->until(function (): bool {
            $this->listen();
            return feof($this->said);
        });
        self::assertSame([], glob("$this->folder/*"));
        proc_close($this->process);
        $this->process = null;
    }
}

<?php

declare(strict_types=1);

namespace Wsframe\Tests;

require_once __DIR__ . '/event.php';

use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Frame;
use Wsframe\Message;
use Wsframe\Opcode;
use Wsframe\State;
use Wsframe\UsageError;

/**
 * Runs the vectors that all languages share: tests/vectors/README.md explains them.
 *
 * Each in every way: whole, byte by byte, cut in two at every place (at some places if it is long), and cut at random.
 */
final class VectorsTest extends TestCase
{
    private const FOLDER = __DIR__ . '/../../../tests/vectors';

    /** The masking key of RFC 6455 section 5.7. */
    private const MASK_KEY = "\x37\xfa\x21\x3d";

    /** The lines of the usual head of the peer. */
    private const USUAL_HEADS = [
        'server' => [
            '"GET / HTTP/1.1"',
            '"Host: a"',
            '"Upgrade: websocket"',
            '"Connection: Upgrade"',
            '"Sec-WebSocket-Version: 13"',
            '"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="',
        ],
        'client' => [
            '"HTTP/1.1 101 Switching Protocols"',
            '"Upgrade: websocket"',
            '"Connection: Upgrade"',
            '"Sec-WebSocket-Accept: " {accept}',
        ],
    ];

    /** Inputs above so many bytes are not cut in two everywhere. */
    private const LONG = 400;

    private const COMPRESS = ['plain' => false, 'compressed' => true];

    private string $role;
    private Config $config;
    private ?Connection $connection;
    private bool $hasPieces;

    /** Says for how much of the input, of which so much was received before, the next call is. */
    private \Closure $cut;

    /** The output that waited when it was last taken. */
    private string $output;

    /** What time it is, in milliseconds. */
    private int $now;

    /** How much was written since the library was told. */
    private int $written;

    /** Goes on from message to message of the output. */
    private \InflateContext $inflater;

    /** How much input the steps before have had. */
    private int $received;

    /** The answer to the last request's key. */
    private string $accept;

    /** @var list<string> What the step's events are, as far as they are complete. */
    private array $seen;

    /** What has come of a message in pieces. */
    private ?Event $begun;

    public function testThereAreVectors(): void
    {
        self::assertGreaterThan(400, count(self::vectors()));
    }

    /**
     * @dataProvider vectors
     *
     * @param array{config: list<string>, steps: list<array>} $vector
     */
    public function testVector(string $role, array $vector): void
    {
        $len = $this->play($role, $vector, 'whole', static fn (int $at, int $left): int => $left);
        if ($len < 2) {
            return;
        }
        $every = $len > 100_000 ? 4099 : 1;
        $this->play($role, $vector, "pieces of $every", static fn (int $at, int $left): int => $every);

        $places = $len <= self::LONG ? range(1, $len - 1) : [...range(1, 16), ...range($len - 8, $len - 1)];
        mt_srand(6455);
        for ($i = 0; $len > self::LONG && $i < 16; $i++) {
            $places[] = mt_rand(1, $len - 1);
        }
        foreach ($places as $place) {
            $cut = static fn (int $at, int $left): int => $at < $place ? $place - $at : $left;
            $this->play($role, $vector, "cut at $place", $cut);
        }
        for ($seed = 1; $seed <= 10; $seed++) {
            mt_srand($seed);
            $most = mt_rand(1, $len > 100_000 ? 5000 : 40);
            $cut = static fn (int $at, int $left): int => mt_rand(1, $most);
            $this->play($role, $vector, "random cuts with seed $seed", $cut);
        }
    }

    /** @return array<string, array{string, array}> */
    public static function vectors(): array
    {
        $cases = [];
        foreach (glob(self::FOLDER . '/*.txt') as $file) {
            foreach (self::read($file) as $vector) {
                foreach ($vector['role'] === 'both' ? ['server', 'client'] : [$vector['role']] as $role) {
                    $cases[basename($file) . ":{$vector['line']}: {$vector['name']}, $role"] = [$role, $vector];
                }
            }
        }
        return $cases;
    }

    /** Runs a vector in one way, and returns how long its input is. */
    private function play(string $role, array $vector, string $way, \Closure $cut): int
    {
        [$this->role, $this->cut, $this->received, $this->written] = [$role, $cut, 0, 0];
        $this->now = 0;
        [$this->output, $this->accept, $this->seen, $this->begun] = ['', '', [], null];
        $this->inflater = inflate_init(ZLIB_ENCODING_RAW);
        $this->hasPieces = in_array('pieces', $vector['config'], true);
        $line = $vector['line'];
        try {
            $config = $this->config = self::config($vector['config']);
            if ($vector['steps'][0]['words'] === ['ARGUMENT', 'new']) {
                self::assertSame(-1, self::code(static fn () => Connection::$role($config)));
                return 0;
            }
            $this->connection = Connection::$role($config);
            foreach ($vector['steps'] as $i => $step) {
                $line = $step['line'];
                // Whatever is done before a tick is done as late as that.
                $isTick = static fn (array $later): bool => $later['key'] === 'tick';
                $ticks = array_filter(array_slice($vector['steps'], $i), $isTick);
                $this->now = (int) (reset($ticks)['words'][0] ?? $this->now);
                $this->step($step, $i + 1 === count($vector['steps']));
            }
            $this->addToAssertionCount(1);
            return $this->received;
        } catch (AssertionFailedError | UsageError $error) {
            self::fail("line $line, $way: " . $error->getMessage());
        }
    }

    private function step(array $step, bool $isLast): void
    {
        $words = $step['words'];
        switch ($step['key']) {
            case 'in':
                $this->receive($this->input($step['input']));
                break;
            case 'tick':
                $due = ['close' => 0, 'never' => null];
                $due = array_key_exists($words[1], $due) ? $due[$words[1]] : (int) $words[1];
                $output = $this->connection->output($this->now, $this->takeWritten());
                if ($this->connection->waitMs() === 0) {
                    self::check($output === '', 'output waits although TCP is to be closed');
                    $this->output = ''; // the peer had its time to take it
                }
                self::check($this->connection->waitMs() === $due, "the time to wait is not $words[1]");
                break;
            case 'do':
                if ($words[0] === 'write') {
                    $this->written += $len = (int) ($words[1] ?? strlen($this->output));
                    $this->output = substr($this->output, $len);
                    break;
                }
                if ($words[0] === 'gone') {
                    $this->output = ''; // what waited is not written any more
                }
                $returned = $this->act($words);
                $this->collect(is_iterable($returned) ? $returned : []);
                break;
            case 'over':
                self::check(!$this->act($words), 'the connection is not over');
                break;
            case 'fails':
                $code = self::code(fn () => $this->act(array_slice($words, 1)));
                self::check($code === constant(ErrorCode::class . "::$words[0]"), "the code is $code");
        }
        // Before the output is looked at, which ends the life of the head.
        $isOfHead = static fn (array $line): bool => in_array($line[0], ['target', 'field'], true);
        foreach (array_filter($step['also'], $isOfHead) as [$key, $words]) {
            $this->checkAlso($key, $words);
        }
        $state = $this->connection->state();
        if ($isLast && $this->begun !== null && in_array($state, [State::OPEN, State::CLOSING], true)) {
            $kind = $this->begun->kind === EventKind::TEXT ? 'text' : 'binary';
            $this->seen[] = "unfinished $kind " . self::show($this->begun->data);
        }
        $this->checkEvents($step['event']);
        if ($step['out'] !== [['out', ['later']]]) {
            $this->checkOutput($step['out'], $this->grown());
        }
        foreach (array_filter($step['also'], static fn (array $line): bool => !$isOfHead($line)) as [$key, $words]) {
            $this->checkAlso($key, $words);
        }
        $this->seen = [];
    }

    private function takeWritten(): int
    {
        [$written, $this->written] = [$this->written, 0];
        return $written;
    }

    /** Takes the output and returns what is new in it. To look at it is to tell the time: only if something is there. */
    private function grown(): string
    {
        $isOver = in_array($this->connection->state(), [State::CLOSED, State::FAILED], true);
        if (!$isOver && $this->written === 0 && $this->connection->waiting() === strlen($this->output)) {
            return '';
        }
        $output = $this->connection->output($this->now, $this->takeWritten(), PHP_INT_MAX);
        self::check(str_starts_with($output, $this->output), 'the output has lost what was in it');
        $grown = substr($output, strlen($this->output));
        $this->output = $output;
        if (preg_match('/\nSec-WebSocket-Key: (\S+)\r/', $grown, $key)) {
            $this->accept = Frame::acceptKey($key[1]);
        }
        return $grown;
    }

    private function receive(string $input): void
    {
        $start = $this->received;
        $this->received += $len = strlen($input);
        $at = 0;
        do {
            $piece = substr($input, $at, max(1, ($this->cut)($start + $at, $len - $at)));
            $at += strlen($piece);
            $last = $this->collect($this->connection->receive($piece));
        } while ($at < $len && $last?->kind !== EventKind::ERROR);
    }

    /** What the call returns; 0, null and no events are what one returns whose connection is over. */
    private function act(array $words): mixed
    {
        [$c, $verb, $rest] = [$this->connection, $words[0], array_slice($words, 1)];
        if (str_starts_with($verb, 'send') || $verb === 'piece' || $verb === 'last') {
            return $this->send($verb, $rest[0] === 'text' ? Opcode::TEXT : Opcode::BINARY, array_slice($rest, 1));
        }
        $all = static fn (int $from): string => self::bytes(array_slice($words, $from));
        $each = static fn (): array => array_map(static fn (string $word): string => self::bytes([$word]), $rest);
        $isWithout = ($rest[0] ?? '') === 'without_deflate';
        return match ($verb) {
            'ping' => $c->ping($all(1)),
            'pong' => $c->pong($all(1)),
            'close' => $c->close((int) $rest[0], $all(2)),
            'request' => $c->request(...$each()),
            'add_field' => $c->addField(...$each()),
            'accept' => $c->accept($isWithout ? $all(2) : $all(1), deflate: !$isWithout),
            'respond' => $c->respond((int) $rest[0], $all(2)),
            'receive' => $c->receive($all(1)),
            'gone' => $c->gone(),
        };
    }

    /** @param list<string> $words Of the messages, before which may stand how they are to be compressed. */
    private function send(string $verb, int $opcode, array $words): int
    {
        $c = $this->connection;
        $compress = self::COMPRESS[$words[0] ?? ''] ?? null;
        $words = array_slice($words, $compress === null ? 0 : 1);
        if ($verb === 'send_many') {
            $messages = array_map(static fn (string $word): string => self::bytes([$word]), $words);
            $sent = $c->sendMany($opcode, $messages, $compress);
            self::check($sent === count($messages), "$sent messages were sent");
            return $sent;
        }
        $bytes = self::bytes($words);
        return match ($verb) {
            'send', 'last' => $c->send($opcode, $bytes, $compress),
            'piece' => $c->send($opcode, $bytes, $compress, more: true),
            'send_message' => $c->sendMessage($opcode === Opcode::TEXT
                ? Message::text($bytes, $this->config, $compress)
                : Message::binary($bytes, $this->config, $compress)),
        };
    }

    /**
     * Takes events down, and returns the last one.
     *
     * @param iterable<Event> $events
     */
    private function collect(iterable $events): ?Event
    {
        $event = null;
        foreach ($events as $event) {
            [$kind, $data] = [$event->kind, self::show($event->data)];
            $isEnd = in_array($kind, [EventKind::CLOSE, EventKind::ERROR, EventKind::GONE], true);
            self::check($isEnd || $event->closeCode === 0, 'closeCode is not 0');
            $isRight = ($event->error !== 0) === ($kind === EventKind::ERROR) || $kind === EventKind::GONE;
            self::check($isRight, 'error is not right');
            $errors = array_flip((new \ReflectionClass(ErrorCode::class))->getConstants());
            $error = $errors[$event->error] ?? '';
            $isGone = $kind === EventKind::GONE && $event->error === 0;
            $hasFailed = $this->connection->state() === State::FAILED && !$isGone;
            self::check(($this->connection->error() !== null) === $hasFailed, 'the sentence is not right');
            if ($kind === EventKind::TEXT || $kind === EventKind::BINARY) {
                $this->addToMessage($event);
                continue;
            }
            self::check($event->flags === 0, 'only messages are first and last');
            $this->seen[] = match ($kind) {
                EventKind::REQUEST => "request $data",
                EventKind::HTTP => "http $data",
                EventKind::OPEN => "open $data",
                EventKind::PING => "ping $data",
                EventKind::PONG => "pong $data",
                EventKind::CLOSE => "close $event->closeCode $data",
                EventKind::ERROR => "error $error $event->closeCode $data",
                EventKind::GONE => rtrim("gone $event->closeCode $error") . " $data",
            };
        }
        return $event;
    }

    private function addToMessage(Event $event): void
    {
        self::check($this->hasPieces || $event->isFirst() && $event->isLast(), 'a message is not whole');
        self::check($event->isFirst() === ($this->begun === null), 'another piece is the first');
        self::check($event->data !== '' || $event->isLast(), 'a piece is empty');
        $begun = $this->begun ?? $event;
        self::check($event->kind === $begun->kind, 'the pieces are of two kinds');
        self::check($event->isCompressed() === $begun->isCompressed(), 'some pieces came compressed');
        $data = $this->begun?->data . $event->data;
        $this->begun = $event->isLast() ? null : event($event->kind, $data, $event->flags);
        if ($event->isLast()) {
            $this->seen[] = ($event->isCompressed() ? 'compressed ' : '')
                . ($event->kind === EventKind::TEXT ? 'text ' : 'binary ') . self::show($data);
        }
    }

    /** @param list<list<string>> $expected */
    private function checkEvents(array $expected): void
    {
        $events = [];
        foreach ($expected as $words) {
            $times = self::times($words);
            $names = ['close' => 2, 'unfinished' => 2, 'compressed' => 2, 'error' => 3, 'gone' => count($words)];
            $names = $names[$words[0]] ?? 1;
            $isAnyHead = count($words) === $names && in_array($words[0], ['open', 'request', 'http', 'error'], true);
            $kind = implode(' ', array_slice($words, 0, $names));
            for (; $times > 0; $times--) {
                $seen = $this->seen[count($events)] ?? '';
                $events[] = $isAnyHead && str_starts_with($seen, "$kind \"")
                    ? $seen
                    : "$kind " . self::show(self::bytes(array_slice($words, $names)));
            }
        }
        self::check($events === $this->seen, "the events are\n    " . substr(implode("\n    ", $this->seen), 0, 2000)
            . "\n  instead of\n    " . substr(implode("\n    ", $events), 0, 2000));
    }

    /** @param list<array{string, list<string>}> $expected */
    private function checkOutput(array $expected, string $grown): void
    {
        [$exact, $frames, $isOpen] = ['', [], false];
        foreach ($expected as [$key, $words]) {
            if (in_array($key, ['out-frame', 'out-inflated', 'out-inflated-alone'], true)) {
                $times = self::times($words);
                $frame = [$key, hexdec($words[0]), self::bytes(array_slice($words, 1))];
                array_push($frames, ...array_fill(0, $times, $frame));
                continue;
            }
            $isOpen = $isOpen || $key !== 'out';
            $bytes = self::bytes($words);
            match ($key) {
                'out' => $exact .= $bytes,
                'out-begins' => self::check(str_starts_with($grown, $bytes), "the output does not begin so: $grown"),
                'out-has' => self::check(str_contains($grown, $bytes), "the output does not have $bytes: $grown"),
                'out-lacks' => self::check(!str_contains($grown, $bytes), "the output has $bytes: $grown"),
            };
        }
        if ($frames !== []) {
            $right = $this->areFrames($this->readFrames($grown), $frames);
            self::check($right, 'the output has other frames: ' . self::show($grown));
        } elseif (!$isOpen || $exact !== '') {
            self::check($grown === $exact, 'the output has grown by ' . self::show($grown));
        }
    }

    /**
     * @param list<array{int, string}> $read First bytes and payloads.
     * @param list<array{string, int, string}> $expected The same behind the key of the line.
     */
    private function areFrames(array $read, array $expected): bool
    {
        foreach ($expected as $i => [$key, $firstByte, $bytes]) {
            if ($key === 'out-inflated-alone') {
                $this->inflater = inflate_init(ZLIB_ENCODING_RAW);
            }
            [$first, $payload] = $read[$i] ?? [-1, ''];
            if ($first !== $firstByte) {
                return false;
            }
            if ($key !== 'out-frame') {
                // What completes a message, and every piece (RFC 7692 section 7.2.2).
                $payload .= ($first & 0x80) !== 0 ? "\0\0\xff\xff" : '';
                $payload = inflate_add($this->inflater, $payload, ZLIB_SYNC_FLUSH);
            }
            if ($payload !== $bytes) {
                return false;
            }
        }
        return count($read) === count($expected);
    }

    /** @param list<string> $words */
    private function checkAlso(string $key, array $words): void
    {
        if ($key === 'state') {
            $state = (new \ReflectionClassConstant(State::class, strtoupper($words[0])))->getValue();
            self::check($this->connection->state() === $state, "the state is {$this->connection->state()}");
            return;
        }
        if ($key === 'deflate') {
            self::check($this->agreed() === self::agreement($words), 'both ends have agreed on something else');
            return;
        }
        $name = $key === 'field' ? array_shift($words) : null;
        $found = $name === null ? $this->connection->$key() : $this->connection->field($name);
        $expected = $words === ['none'] ? null : self::bytes($words);
        self::check($found === $expected, "$key $name is " . var_export($found, true));
    }

    /** @return array{bool, bool, int, int}|null */
    private function agreed(): ?array
    {
        $deflate = $this->connection->deflate();
        return $deflate === null ? null : [
            $deflate->serverNoContextTakeover,
            $deflate->clientNoContextTakeover,
            $deflate->serverMaxWindowBits,
            $deflate->clientMaxWindowBits,
        ];
    }

    /**
     * @param list<string> $words
     *
     * @return array{bool, bool, int, int}|null
     */
    private static function agreement(array $words): ?array
    {
        if ($words === ['none']) {
            return null;
        }
        $found = [];
        foreach ($words as $word) {
            [$name, $value] = explode('=', $word, 2) + [1 => ''];
            $found[$name] = (int) $value;
        }
        return [
            isset($found['server_no_context_takeover']),
            isset($found['client_no_context_takeover']),
            $found['server_max_window_bits'] ?? 15,
            $found['client_max_window_bits'] ?? 15,
        ];
    }

    /** @param list<array{string, list<string>}> $lines */
    private function input(array $lines): string
    {
        $input = '';
        foreach ($lines as [$key, $words]) {
            if ($key !== 'frame') {
                $words = $key === 'head' ? $this->head($words) : $words;
                $input .= self::bytes($words, $this->accept);
                continue;
            }
            $times = self::times($words);
            $input .= str_repeat($this->frame(hexdec($words[0]), self::bytes(array_slice($words, 1))), $times);
        }
        return $input;
    }

    /**
     * The usual head of the peer, changed as the words say.
     *
     * @param list<string> $changes
     *
     * @return list<string> Words that stand for its bytes.
     */
    private function head(array $changes): array
    {
        $name = static fn (string $word): string => strtolower(explode(':', ltrim($word, '"'))[0]);
        $lines = self::USUAL_HEADS[$this->role];
        foreach ($changes as $change) {
            [$sign, $rest] = [$change[0], substr($change, 1)];
            if ($sign === '"') {
                $lines[0] = $change;
            } elseif ($sign === '+') {
                $lines[] = $rest;
            } else {
                $place = array_search($name($rest), array_map($name, $lines), true);
                self::check($place !== false, "the head has no field for $change");
                array_splice($lines, $place, 1, $sign === '=' ? [$rest] : []);
            }
        }
        return self::words(implode(' "\r\n" ', $lines) . ' "\r\n\r\n"');
    }

    /** What the peer sends. */
    private function frame(int $firstByte, string $payload): string
    {
        $mask = $this->role === 'server' ? 0x80 : 0;
        $len = strlen($payload);
        $head = chr($firstByte) . match (true) {
            $len < 126 => chr($mask | $len),
            $len < 65536 => chr($mask | 126) . pack('n', $len),
            default => chr($mask | 127) . pack('J', $len),
        };
        return $mask === 0 ? $head . $payload : $head . self::MASK_KEY . self::mask($payload, self::MASK_KEY);
    }

    /** @return list<array{int, string}> First bytes and payloads of what the connection has sent. */
    private function readFrames(string $output): array
    {
        [$frames, $keys, $at] = [[], [], 0];
        $take = static function (int $len) use ($output, &$at): string {
            self::check($at + $len <= strlen($output), 'the output ends inside a frame');
            $at += $len;
            return substr($output, $at - $len, $len);
        };
        while ($at < strlen($output)) {
            [, $firstByte, $second] = unpack('C2', $take(2));
            $isMasked = ($second & 0x80) !== 0;
            self::check($isMasked === ($this->role === 'client'), 'clients mask, and servers do not');
            [$len, $least] = match ($second & 0x7f) {
                127 => [unpack('J', $take(8))[1], 65536],
                126 => [unpack('n', $take(2))[1], 126],
                default => [$second & 0x7f, 0],
            };
            self::check($len >= $least, 'the length is not the shortest');
            $key = $this->role === 'client' ? $take(4) : "\0\0\0\0";
            $keys[] = $key;
            $frames[] = [$firstByte, self::mask($take($len), $key)];
        }
        for ($i = 1; $this->role === 'client' && $i < count($keys); $i++) {
            self::check($keys[$i] !== $keys[$i - 1], 'two frames have the same masking key');
        }
        return $frames;
    }

    private static function mask(string $payload, string $key): string
    {
        return $payload ^ substr(str_repeat($key, intdiv(strlen($payload), 4) + 1), 0, strlen($payload));
    }

    /** @param list<string> $words */
    private static function config(array $words): Config
    {
        $config = [];
        foreach ($words as $word) {
            [$name, $value] = explode('=', $word, 2) + [1 => null];
            $config[lcfirst(str_replace('_', '', ucwords($name, '_')))] = match (true) {
                $value === null => true,
                in_array($name, ['extensions', 'subprotocol', 'target'], true) => $value,
                ctype_digit($value) => (int) min(PHP_INT_MAX, $value),
                default => explode(',', $value),
            };
        }
        return new Config(...$config);
    }

    private static function code(\Closure $call): int
    {
        try {
            $call();
        } catch (UsageError $error) {
            return $error->getCode();
        }
        return 0;
    }

    /** @return list<array{name: string, line: int, role: string, config: list<string>, steps: list<array>}> */
    private static function read(string $file): array
    {
        $vectors = [];
        foreach (file($file, FILE_IGNORE_NEW_LINES) as $i => $text) {
            if ($text === '' || $text[0] === '#') {
                continue;
            }
            [$key, $value] = preg_split('/ +/', $text, 2) + [1 => ''];
            $words = self::words($value);
            $vector = array_key_last($vectors);
            $step = $vector === null ? null : array_key_last($vectors[$vector]['steps']);
            switch ($key) {
                case 'vector':
                    $vectors[] = ['name' => $value, 'line' => $i + 1, 'role' => '', 'config' => [], 'steps' => []];
                    break;
                case 'rule':
                    break;
                case 'role':
                    $vectors[$vector]['role'] = $value;
                    break;
                case 'config':
                    $vectors[$vector]['config'] = $words;
                    break;
                case 'in':
                case 'head':
                case 'frame':
                    if (!self::isInputOnly($vectors[$vector]['steps'][$step ?? -1] ?? null)) {
                        $vectors[$vector]['steps'][] = self::newStep('in', [], $i + 1);
                        $step = array_key_last($vectors[$vector]['steps']);
                    }
                    $vectors[$vector]['steps'][$step]['input'][] = [$key, $words];
                    break;
                case 'do':
                case 'fails':
                case 'over':
                case 'tick':
                    $vectors[$vector]['steps'][] = self::newStep($key, $words, $i + 1);
                    break;
                case 'event':
                    $vectors[$vector]['steps'][$step]['event'][] = $words;
                    break;
                case 'out':
                case 'out-frame':
                case 'out-inflated':
                case 'out-inflated-alone':
                case 'out-begins':
                case 'out-has':
                case 'out-lacks':
                    $vectors[$vector]['steps'][$step]['out'][] = [$key, $words];
                    break;
                case 'state':
                case 'target':
                case 'field':
                case 'subprotocol':
                case 'deflate':
                    $vectors[$vector]['steps'][$step]['also'][] = [$key, $words];
                    break;
                default:
                    throw new \UnexpectedValueException("$file:" . ($i + 1) . ": unknown key $key");
            }
        }
        return $vectors;
    }

    /** @return list<string> */
    private static function words(string $value): array
    {
        preg_match_all('/[+=]?"(?:[^"\\\\]|\\\\.)*"|[^ ]+/', $value, $words);
        return $words[0];
    }

    /** @param list<string> $words */
    private static function newStep(string $key, array $words, int $line): array
    {
        $lines = ['input' => [], 'event' => [], 'out' => [], 'also' => []];
        return ['key' => $key, 'words' => $words, 'line' => $line] + $lines;
    }

    private static function isInputOnly(?array $step): bool
    {
        return $step !== null && $step['key'] === 'in'
            && [$step['event'], $step['out'], $step['also']] === [[], [], []];
    }

    /**
     * A count at the start, which is taken away.
     *
     * @param list<string> $words
     */
    private static function times(array &$words): int
    {
        return preg_match('/^x\d+$/', $words[0]) ? (int) substr(array_shift($words), 1) : 1;
    }

    /** @param list<string> $words */
    private static function bytes(array $words, string $accept = ''): string
    {
        [$bytes, $times] = ['', 1];
        foreach ($words as $word) {
            if ($word[0] === 'x') {
                $times = (int) substr($word, 1);
                continue;
            }
            $bytes .= str_repeat(match ($word[0]) {
                '"' => self::unescape(substr($word, 1, -1)),
                '{' => $accept,
                default => hex2bin($word),
            }, $times);
            $times = 1;
        }
        return $bytes;
    }

    private static function unescape(string $text): string
    {
        return preg_replace_callback('/\\\\(x..|.)/', static fn (array $found): string => match ($found[1][0]) {
            'r' => "\r",
            'n' => "\n",
            't' => "\t",
            'x' => hex2bin(substr($found[1], 1)),
            default => $found[1],
        }, $text);
    }

    /** Bytes to compare and to show to a person. */
    private static function show(string $bytes): string
    {
        return strlen($bytes) > 400
            ? '"' . strlen($bytes) . ' bytes, SHA-1 ' . sha1($bytes) . '"'
            : '"' . addcslashes($bytes, "\0..\37\177..\377\"") . '"';
    }

    private static function check(bool $isTrue, string $message): void
    {
        if (!$isTrue) {
            self::fail($message);
        }
    }
}

<?php

/*
 * The PHP binding beside what people write by hand.
 *
 * The measuring loop is that of peers/src/measure.rs: the contestants of a case take turns, round by round. Each line
 * that is printed is a JSON object, as run.py describes them.
 */

declare(strict_types=1);

namespace Benches;

require __DIR__ . '/../bindings/php/autoload.php';

use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Frame;

const KEY = "\x37\xfa\x21\x3d";
const SIZES = ['16 B' => 16, '125 B' => 125, '1 KiB' => 1 << 10, '64 KiB' => 64 << 10, '1 MiB' => 1 << 20];
const MESSAGE_SIZES = ['16 B' => 16, '125 B' => 125, '1 KiB' => 1 << 10];
const BATCH_LEN = 64 << 10;

const ROUNDS = 25;
/** How long one contestant's turn in a round takes, about. */
const TURN_NS = 5_000_000;

function say(mixed ...$line): void
{
    echo json_encode($line, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES), "\n";
}

/**
 * Lets contestants that do the same work take turns; the first one is ours. A call does so many units of work, and the
 * time of one unit is reported.
 *
 * @param array<string, \Closure(): mixed> $contestants
 */
function compare(string $section, string $case, int $units, array $contestants): void
{
    $times = array_map(timesATurn(...), $contestants);
    $rounds = array_fill_keys(array_keys($contestants), []);
    for ($round = 0; $round < ROUNDS; $round++) {
        foreach ($contestants as $name => $work) {
            $rounds[$name][] = round(tookNs($work, $times[$name]) / $times[$name] / $units, 1);
        }
    }
    foreach ($rounds as $name => $taken) {
        say(section: $section, case: $case, contestant: $name, unit: 'ns', rounds: $taken);
    }
}

/** How often it works in one turn; finding out also warms it up. */
function timesATurn(\Closure $work): int
{
    $times = 1;
    while (($took = tookNs($work, $times)) < TURN_NS / 4) {
        $times *= 2;
    }
    return max(1, intdiv(TURN_NS * $times, $took));
}

function tookNs(\Closure $work, int $times): int
{
    $start = hrtime(true);
    for ($i = 0; $i < $times; $i++) {
        $work();
    }
    return hrtime(true) - $start;
}

function compareUnmask(): void
{
    say(
        section: 'php-unmask',
        title: 'PHP: unmask',
        about: '`Frame::unmask` beside the `^` of PHP, which works on whole strings and needs the key repeated to the'
            . " payload's length, and the tutorials' loop over bytes.",
        ratios: true,
    );
    $contestants = [
        'libwsframe' => Frame::unmask(...),
        '^ str_repeat' => xorUnmask(...),
        'naive loop' => naiveUnmask(...),
    ];
    foreach (SIZES as $case => $size) {
        $data = str_repeat("\x00\xa7Ng", intdiv($size, 4) + 1);
        $data = substr($data, 0, $size);
        foreach ($contestants as $name => $unmask) {
            expect($unmask($data, KEY) === naiveUnmask($data, KEY), $name);
        }
        $calls = array_map(fn(\Closure $unmask) => static fn() => $unmask($data, KEY), $contestants);
        compare('php-unmask', $case, 1, $calls);
    }
}

function compareReceive(): void
{
    say(
        section: 'php-receive',
        title: 'PHP: receive masked text messages',
        about: 'Time per message of a batch of 64 KiB; `Connection::receive` beside a parser written by hand, which'
            . ' knows no fragments, control frames or limits, with the `^` of PHP and `preg_match("//u")`, and with'
            . " the tutorials' loop over bytes, which does not check the text at all.",
        ratios: true,
    );
    $connection = Connection::server(new Config(startOpen: true));
    $contestants = [
        'libwsframe' => static fn(string $batch) => array_column($connection->receive($batch), 'data'),
        'by hand, ^' => static fn(string $batch) => parse($batch, static function (string $data, string $key): string {
            $text = xorUnmask($data, $key);
            expect(preg_match('//u', $text) === 1, 'UTF-8');
            return $text;
        }),
        'by hand, loop' => static fn(string $batch) => parse($batch, naiveUnmask(...)),
    ];
    foreach (MESSAGE_SIZES as $case => $size) {
        $text = substr(str_repeat('The quick brown fox jumps over the lazy dog. ', 25), 0, $size);
        $frame = maskedFrame($text);
        $count = intdiv(BATCH_LEN, strlen($frame));
        foreach ($contestants as $name => $receive) {
            expect($receive($frame . $frame) === [$text, $text], $name);
        }
        $batch = str_repeat($frame, $count);
        $calls = array_map(fn(\Closure $receive) => static fn() => $receive($batch), $contestants);
        compare('php-receive', $case, $count, $calls);
    }
}

function expect(bool $is, string $what): void
{
    $is || throw new \LogicException("wrong: $what");
}

function xorUnmask(string $data, string $key): string
{
    return $data ^ str_repeat($key, intdiv(strlen($data) + 3, 4));
}

function naiveUnmask(string $data, string $key): string
{
    $unmasked = '';
    for ($i = 0, $len = strlen($data); $i < $len; $i++) {
        $unmasked .= $data[$i] ^ $key[$i % 4];
    }
    return $unmasked;
}

function maskedFrame(string $payload): string
{
    $len = strlen($payload);
    return "\x81" . ($len < 126 ? chr(0x80 | $len) : "\xfe" . pack('n', $len)) . KEY . xorUnmask($payload, KEY);
}

/**
 * @param \Closure(string, string): string $unmask
 * @return list<string>
 */
function parse(string $batch, \Closure $unmask): array
{
    $texts = [];
    for ($at = 0, $end = strlen($batch); $at < $end; $at += $len) {
        $len = ord($batch[$at + 1]) & 127;
        $at += 2;
        if ($len === 126) {
            $len = unpack('n', $batch, $at)[1];
            $at += 2;
        }
        $key = substr($batch, $at, 4);
        $at += 4;
        $texts[] = $unmask(substr($batch, $at, $len), $key);
    }
    return $texts;
}

say(versions: ['PHP' => PHP_VERSION]);
compareUnmask();
compareReceive();

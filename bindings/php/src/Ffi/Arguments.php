<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;

/**
 * What C could not see: FFI takes a negative number for a huge one, and cuts down what is too large without a word.
 *
 * @internal
 */
final class Arguments
{
    public const UINT32_MAX = 0xFFFFFFFF;

    private function __construct()
    {
    }

    public static function number(string $name, int $value, int $max = self::UINT32_MAX): int
    {
        return $value >= 0 && $value <= $max
            ? $value
            : throw Failure::argument("the $name $value is not in 0 to $max");
    }

    /** Who passes the seconds of microtime() would wait a thousand times too long. */
    public static function time(int|float $nowMs): int
    {
        return \is_int($nowMs)
            ? self::number('time', $nowMs, \PHP_INT_MAX)
            : throw new \TypeError(
                'the time has to be an int of milliseconds, for instance intdiv(hrtime(true), 1_000_000); this is the'
                . " float $nowMs"
            );
    }

    /** What an opcode gets beside it for a say in whether the message is compressed. */
    public static function compress(FFI $ffi, ?bool $compress): int
    {
        return match ($compress) {
            null => 0,
            true => $ffi->WSFRAME_OPCODE_COMPRESSED,
            false => $ffi->WSFRAME_OPCODE_PLAIN,
        };
    }

    /** An opcode with what is said beside it. */
    public static function opcode(FFI $ffi, int $kind, ?bool $compress, bool $more): int
    {
        return self::number('kind', $kind) | self::compress($ffi, $compress) | ($more ? $ffi->WSFRAME_OPCODE_MORE : 0);
    }

    /** C would read four bytes wherever they are. */
    public static function key(string $key): string
    {
        return \strlen($key) === 4
            ? $key
            : throw Failure::argument('a masking key has 4 bytes, this one has ' . \strlen($key));
    }

    /**
     * A list with the same strings, in which nothing is a reference any more: a signal handler cannot change it.
     *
     * @param string $what What they are, in the plural.
     * @return list<string>
     */
    public static function strings(string $what, array $strings): array
    {
        $list = [];
        foreach ($strings as $key => $string) {
            $list[] = \is_string($string)
                ? $string
                : throw new \TypeError("$what have to be strings; [$key] is of type " . \get_debug_type($string));
        }
        return $list;
    }

    /** Ids of connections as C takes many. */
    public static function ids(FFI $ffi, array $ids): CData
    {
        $numbers = $ffi->new('uint64_t[' . (\count($ids) ?: 1) . ']');
        $i = 0;
        foreach ($ids as $key => $id) {
            $numbers[$i++] = \is_int($id)
                ? $id
                : throw new \TypeError("ids have to be ints; [$key] is of type " . \get_debug_type($id));
        }
        return $numbers;
    }

    /**
     * Strings as C takes many: one behind the other, their lengths, and how many they are. The loop takes half of the
     * time of pack() and a copy.
     *
     * @param string $what As for strings().
     * @return array{string, CData, int}
     */
    public static function joined(FFI $ffi, string $what, array $strings): array
    {
        $strings = self::strings($what, $strings);
        $count = \count($strings);
        $lens = $ffi->new('size_t[' . ($count ?: 1) . ']');
        foreach ($strings as $i => $string) {
            $lens[$i] = \strlen($string);
        }
        return [\implode('', $strings), $lens, $count];
    }
}

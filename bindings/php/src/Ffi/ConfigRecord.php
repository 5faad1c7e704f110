<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;
use Wsframe\Config;

/**
 * A Config as C takes it. A config does not change, and a server has one for many connections: its record is made once,
 * and lives as long as the config.
 *
 * @internal
 */
final class ConfigRecord
{
    /** Numbers of 64 bits; the others have 32. */
    private const LONG = ['maxMessageLen', 'maxFrameLen', 'maxInflatedLen', 'highWaterLen'];

    /** @var \WeakMap<Config, self>|null */
    private static ?\WeakMap $made = null;

    /** What C takes; it points to the others. */
    private readonly CData $address;
    private readonly CData $record;
    /** @var list<CData> */
    private array $texts = [];

    /** The address of the record, for as long as the config lives. */
    public static function of(FFI $ffi, Config $config): CData
    {
        self::$made ??= new \WeakMap();
        $made = self::$made[$config] ??= new self($ffi, $config);
        return $made->address;
    }

    /** How long the list of subprotocols is. */
    public static function subprotocolsLen(Config $config): int
    {
        return \strlen(\implode(',', $config->subprotocols));
    }

    private function __construct(private readonly FFI $ffi, Config $config)
    {
        $this->record = $ffi->new('wsframe_config');
        $this->address = FFI::addr($this->record);
        $this->record->struct_size = FFI::sizeof($this->record);
        foreach (\get_object_vars($config) as $name => $value) {
            // The names are those of C, written as PHP writes names.
            $field = \strtolower(\preg_replace('/[A-Z]/', '_$0', $name));
            match (true) {
                \is_bool($value) => $this->record->flags |= $value ? $ffi->{'WSFRAME_CONFIG_' . \strtoupper($field)} : 0,
                \is_int($value) => $this->record->$field = Arguments::number(
                    $name,
                    $value,
                    \in_array($name, self::LONG, true) ? \PHP_INT_MAX : Arguments::UINT32_MAX
                ),
                default => $this->point($field, \is_array($value) ? self::listed($name, $value) : $value ?? ''),
            };
        }
    }

    private function point(string $field, string $text): void
    {
        $len = \strlen($text);
        $copy = $this->ffi->new('char[' . ($len ?: 1) . ']');
        FFI::memcpy($copy, $text, $len);
        $this->texts[] = $copy;
        $this->record->$field = $this->ffi->cast('void *', FFI::addr($copy));
        $this->record->{$field . '_len'} = $len;
    }

    /** C takes a list as text with commas. It would see other elements there, and no origins let everybody in. */
    private static function listed(string $name, array $elements): string
    {
        $elements = Arguments::strings($name, $elements);
        foreach ($elements as $element) {
            if ($element === '' || \str_contains($element, ',') || \trim($element) !== $element) {
                $what = \rtrim($name, 's');
                throw Failure::argument("the $what '$element' is empty, or has a comma in it or white space around it");
            }
        }
        return \implode(',', $elements);
    }
}

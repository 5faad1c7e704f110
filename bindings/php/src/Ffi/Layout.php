<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use Wsframe\EventKind;
use Wsframe\Opcode;

/**
 * Whether a library that was loaded fits this binding: one that does not would not fail, it would answer nonsense.
 *
 * @internal
 */
final class Layout
{
    private function __construct()
    {
    }

    /** @throws \RuntimeException If the version or a record is another one. */
    public static function check(FFI $ffi, string $place): void
    {
        [$have, $want] = [$ffi->wsframe_version(), $ffi->WSFRAME_VERSION];
        if ($have >> 16 !== $want >> 16 || $have < $want) {
            throw new \RuntimeException(
                'libwsframe ' . Loader::dotted($have) . " ($place) does not fit this binding, which needs "
                . Loader::dotted($want) . ' or a later version with the same first number.'
            );
        }
        foreach (
            [
                'wsframe_header' => self::header(...),
                'wsframe_config' => self::config(...),
                'wsframe_output' => self::output(...),
                'wsframe_batch' => self::batch(...),
                'wsframe_event' => self::event(...),
            ] as $record => $fits
        ) {
            if (!$fits($ffi)) {
                throw new \RuntimeException("libwsframe ($place) and this binding differ in the layout of $record.");
            }
        }
    }

    /** A masked text frame of 5 bytes (RFC 6455 section 5.7). */
    private static function header(FFI $ffi): bool
    {
        $record = $ffi->new('wsframe_header');
        return [
            $ffi->wsframe_header_parse("\x81\x85\x37\xfa\x21\x3d", 6, FFI::addr($record)),
            $record->payload_len,
            $record->opcode,
            $record->flags,
            $record->header_len,
            FFI::string($record->mask_key, 4),
            FFI::sizeof($record),
        ] === [6, 5, Opcode::TEXT, Opcode::FIN | $ffi->WSFRAME_HEADER_MASK, 6, "\x37\xfa\x21\x3d", 16];
    }

    /** The time that a config has asked for comes back, somewhere in a wsframe_output. */
    private static function config(FFI $ffi): bool
    {
        return self::probe($ffi, static function (FFI\CData $handle) use ($ffi): bool {
            $output = $ffi->new('char[24]');
            $place = $ffi->cast('wsframe_output *', FFI::addr($output));
            $ffi->wsframe_connection_output($handle, 0, 0, $place);
            return \str_contains(FFI::string($output, 24), \pack('L', 6455));
        });
    }

    private static function output(FFI $ffi): bool
    {
        return self::probe($ffi, static function (FFI\CData $handle) use ($ffi): bool {
            $output = $ffi->new('wsframe_output');
            $len = $ffi->wsframe_connection_output($handle, 0, 0, FFI::addr($output));
            return [$len, $output->data, $output->len, $output->wait_ms, $output->flags, FFI::sizeof($output)]
                === [0, null, 0, 6455, 0, 24];
        });
    }

    private static function batch(FFI $ffi): bool
    {
        return self::receive($ffi, static fn (FFI\CData $batch): bool => $batch->data_len < 64
            && \str_contains(FFI::string($batch->data, $batch->data_len), 'bye')
            && [$batch->count, $batch->flags, FFI::sizeof($batch)] === [1, 0, 40]);
    }

    private static function event(FFI $ffi): bool
    {
        return self::receive($ffi, static fn (FFI\CData $batch): bool => [
            \substr(FFI::string($batch->data, $batch->data_len), $batch->events->offset, $batch->events->len),
            $batch->events->close_code,
            $batch->events->kind,
            $batch->events->flags,
            $batch->events->error,
            FFI::sizeof($batch->events[0]),
        ] === ['bye', 1009, EventKind::CLOSE, 0, 0, 32]);
    }

    /** @param \Closure(FFI\CData): bool $fits What is to be true of the batch that a close frame makes. */
    private static function receive(FFI $ffi, \Closure $fits): bool
    {
        return self::probe($ffi, static function (FFI\CData $handle) use ($ffi, $fits): bool {
            $batch = $ffi->new('wsframe_batch');
            $ffi->wsframe_connection_receive($handle, "\x88\x85\0\0\0\0\x03\xf1bye", 11, FFI::addr($batch));
            return $fits($batch);
        });
    }

    /** @param \Closure(FFI\CData): bool $fits What is to be true of a connection that starts open. */
    private static function probe(FFI $ffi, \Closure $fits): bool
    {
        $config = $ffi->new('wsframe_config');
        $config->struct_size = FFI::sizeof($config);
        $config->flags = $ffi->WSFRAME_CONFIG_START_OPEN;
        $config->ping_interval_ms = 6455;
        $handle = $ffi->new('wsframe_connection *');
        $made = $ffi->wsframe_connection_new($ffi->WSFRAME_ROLE_SERVER, FFI::addr($config), FFI::addr($handle));
        try {
            return $made === 0 && $fits($handle);
        } finally {
            $ffi->wsframe_connection_free($handle);
        }
    }
}

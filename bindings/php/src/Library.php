<?php

declare(strict_types=1);

namespace Wsframe;

use FFI;
use FFI\CType;

/**
 * libwsframe, and the only class that touches FFI: it finds the shared library, checks that it fits, and calls it.
 *
 * Programs use Frame and Header; of this class only version() is for them.
 *
 * What a C function writes goes to memory that is allocated for the call. A kept buffer would be up to 50 ns cheaper,
 * and wrong: a signal handler that builds a frame (pcntl_async_signals) may run between a call and the reading of its
 * result. Nor is it ever a PHP string: strings are shared between variables, and FFI ignores const.
 */
final class Library
{
    private const SCOPE = 'WSFRAME';
    private const DEFINITION = __DIR__ . '/wsframe.h';

    /** The longest header and the length of a Sec-WebSocket-Accept, as wsframe.h gives them, in bytes. */
    private const HEADER_MAX = 14;
    private const ACCEPT_LEN = 28;

    /** WSFRAME_HEADER_MASK; the other flags are Frame's constants. */
    private const MASK = 0x01;

    /** Errors from here down are the peer's fault. */
    private const PEER_ERRORS = -32;

    private static ?FFI $ffi = null;

    /** Types of the outputs, kept because FFI would read their names anew for each call. */
    private static CType $record;
    private static CType $headerBytes;
    private static CType $acceptBytes;
    private static CType $byte;

    private function __construct()
    {
    }

    /**
     * Returns the version of the loaded library, for instance "0.1.0".
     *
     * @throws \RuntimeException If the library cannot be loaded.
     */
    public static function version(): string
    {
        return self::dotted(self::ffi()->wsframe_version());
    }

    /** @internal Frame::acceptKey() */
    public static function acceptKey(string $key): string
    {
        $ffi = self::$ffi ?? self::ffi();
        $out = $ffi->new(self::$acceptBytes);
        return FFI::string($out, self::count($ffi->wsframe_accept_key($key, \strlen($key), $out, self::ACCEPT_LEN)));
    }

    /** @internal Frame::parse() */
    public static function parseHeader(string $data, int $offset): ?Header
    {
        $ffi = self::$ffi ?? self::ffi();
        if ($offset !== 0) {
            if ($offset < 0 || $offset > \strlen($data)) {
                throw self::usageError('the offset ' . $offset . ' is not in the ' . \strlen($data) . ' bytes of data');
            }
            // C would take a pointer into the middle; PHP has to copy, so no more than a header can need.
            $data = \substr($data, $offset, self::HEADER_MAX);
        }
        $record = $ffi->new(self::$record);
        $headerLen = $ffi->wsframe_header_parse($data, \strlen($data), FFI::addr($record));
        if ($headerLen <= 0) {
            return $headerLen === 0 ? null : throw self::error($headerLen);
        }
        $flags = $record->flags;
        return new Header(
            $record->opcode,
            $record->payload_len,
            ($flags & Frame::FIN) !== 0,
            ($flags & Frame::RSV1) !== 0,
            ($flags & Frame::RSV2) !== 0,
            ($flags & Frame::RSV3) !== 0,
            ($flags & self::MASK) !== 0 ? FFI::string($record->mask_key, 4) : null,
            $headerLen,
        );
    }

    /** @internal Header::build() */
    public static function buildHeader(Header $header): string
    {
        $flags = ($header->fin ? Frame::FIN : 0)
            | ($header->rsv1 ? Frame::RSV1 : 0)
            | ($header->rsv2 ? Frame::RSV2 : 0)
            | ($header->rsv3 ? Frame::RSV3 : 0)
            | ($header->masked ? self::MASK : 0);
        return self::encode(self::byte('opcode', $header->opcode), $flags, $header->payloadLen, $header->maskKey);
    }

    /**
     * Joins header and payload here and not with wsframe_frame_build(), from whose output the frame would have to be
     * copied once more: as fast for short payloads, twice as fast from 64 KiB up.
     *
     * @internal Frame::build()
     */
    public static function buildFrame(int $firstByte, string $payload): string
    {
        self::byte('first byte', $firstByte);
        return self::encode($firstByte & 0x0F, $firstByte & 0xF0, \strlen($payload), null) . $payload;
    }

    /** @internal Frame::unmask() */
    public static function unmask(string $data, string $key, int $offset): string
    {
        $ffi = self::$ffi ?? self::ffi();
        self::key($key);
        if ($offset < 0) {
            throw self::usageError('the offset ' . $offset . ' is negative');
        }
        $len = \strlen($data);
        // There is no type of 0 bytes.
        $out = $ffi->new(FFI::arrayType(self::$byte, [$len ?: 1]));
        return FFI::string($out, self::count($ffi->wsframe_unmask_copy($data, $len, $key, $offset, $out)));
    }

    /** @internal Frame::utf8Check() */
    public static function utf8Check(string $data): int
    {
        return self::count((self::$ffi ?? self::ffi())->wsframe_utf8_check($data, \strlen($data)));
    }

    /**
     * Makes FFI::scope() serve all requests. To be called while PHP starts up, by preload.php.
     *
     * @internal
     */
    public static function preload(): void
    {
        self::open(self::loadIntoScope(...));
    }

    private static function encode(int $opcode, int $flags, int $payloadLen, ?string $maskKey): string
    {
        $ffi = self::$ffi ?? self::ffi();
        $record = $ffi->new(self::$record);
        $record->opcode = $opcode;
        $record->flags = $flags;
        $record->payload_len = $payloadLen;
        if ($maskKey !== null) {
            FFI::memcpy($record->mask_key, self::key($maskKey), 4);
        }
        $out = $ffi->new(self::$headerBytes);
        return FFI::string($out, self::count($ffi->wsframe_header_build(FFI::addr($record), $out, self::HEADER_MAX)));
    }

    /** FFI would cut a larger number down to its lowest byte without a word. */
    private static function byte(string $name, int $value): int
    {
        return $value === ($value & 0xFF) ? $value : throw self::usageError("the $name $value is not in 0 to 255");
    }

    /** The library would read four bytes wherever they are. */
    private static function key(string $key): string
    {
        return \strlen($key) === 4
            ? $key
            : throw self::usageError('a masking key has 4 bytes, this one has ' . \strlen($key));
    }

    private static function count(int $returned): int
    {
        return $returned >= 0 ? $returned : throw self::error($returned);
    }

    private static function error(int $code): ProtocolError|UsageError
    {
        $message = self::ffi()->wsframe_strerror($code);
        return $code <= self::PEER_ERRORS
            ? new ProtocolError($message, $code, self::ffi()->wsframe_close_code($code))
            : new UsageError($message, $code);
    }

    private static function usageError(string $message): UsageError
    {
        return new UsageError($message, self::ffi()->WSFRAME_ERROR_ARGUMENT);
    }

    private static function dotted(int $version): string
    {
        return ($version >> 16) . '.' . ($version >> 8 & 0xFF) . '.' . ($version & 0xFF);
    }

    private static function ffi(): FFI
    {
        if (self::$ffi === null) {
            $ffi = self::open(static fn (string $place): FFI => FFI::cdef(self::definition(), $place));
            self::$record = $ffi->type('wsframe_header');
            self::$headerBytes = $ffi->type('char[' . self::HEADER_MAX . ']');
            self::$acceptBytes = $ffi->type('char[' . self::ACCEPT_LEN . ']');
            self::$byte = $ffi->type('char');
            self::$ffi = $ffi;
        }
        return self::$ffi;
    }

    /**
     * @param \Closure(string): FFI $load Loads the library from one place, unless PHP's start-up has loaded it.
     */
    private static function open(\Closure $load): FFI
    {
        if (\PHP_INT_SIZE < 8) {
            throw new \RuntimeException('libwsframe needs a 64-bit PHP: lengths do not fit the integers of this one.');
        }
        if (!\extension_loaded('ffi')) {
            throw new \RuntimeException('libwsframe needs the PHP extension ffi: enable it with extension=ffi.');
        }
        try {
            [$ffi, $place] = [FFI::scope(self::SCOPE), 'the FFI scope ' . self::SCOPE];
        } catch (FFI\Exception) {
            [$ffi, $place] = self::search($load);
        }
        self::check($ffi, $place);
        return $ffi;
    }

    /**
     * @param \Closure(string): FFI $load
     * @return array{FFI, string} The library and the place where it was.
     */
    private static function search(\Closure $load): array
    {
        try {
            FFI::cdef();
        } catch (FFI\Exception $exception) {
            throw new \RuntimeException(
                'libwsframe needs FFI, and this PHP forbids it: ' . $exception->getMessage()
                . '. Set ffi.enable=true in php.ini, or preload libwsframe with opcache.preload=preload.php.'
            );
        }
        $tried = [];
        foreach (self::places() as $why => $place) {
            try {
                return [$load($place), $place];
            } catch (FFI\Exception $exception) {
                $absent = \str_contains($place, '/') && !\file_exists($place);
                $tried[] = "\n  $place ($why): " . ($absent ? 'there is no such file' : $exception->getMessage());
            }
        }
        throw new \RuntimeException(
            'libwsframe could not be loaded. Tried:' . \implode('', $tried)
            . "\nSet the environment variable WSFRAME_LIBRARY to the path of a libwsframe built for this system."
        );
    }

    /** @return array<string, string> Why the library may be there => its path, or its name for the dynamic linker. */
    private static function places(): array
    {
        // From the process's environment only, never from what a web server passes on with a request.
        $named = \getenv('WSFRAME_LIBRARY', true);
        if ($named !== false && $named !== '') {
            return ['named by WSFRAME_LIBRARY' => $named];
        }
        [$file, $name] = \PHP_OS_FAMILY === 'Darwin'
            ? ['libwsframe.dylib', 'libwsframe.0.dylib']
            : ['libwsframe.so', 'libwsframe.so.0'];
        return ['beside the binding' => \dirname(__DIR__) . "/lib/$file", 'installed in the system' => $name];
    }

    private static function definition(): string
    {
        return \file_get_contents(self::DEFINITION);
    }

    /** Loads the library for all requests of this PHP; works during preloading only. */
    private static function loadIntoScope(string $place): FFI
    {
        // FFI::load() reads nothing but files, and wants two lines more than cdef().
        $file = \tempnam(\sys_get_temp_dir(), 'wsframe');
        try {
            $lines = '#define FFI_SCOPE "' . self::SCOPE . "\"\n#define FFI_LIB \"$place\"\n";
            \file_put_contents($file, $lines . self::definition());
            // While PHP preloads, a failure is a warning and null instead of an exception.
            return @FFI::load($file) ?? throw new FFI\Exception(\error_get_last()['message']);
        } finally {
            \unlink($file);
        }
    }

    /** A library that does not fit would not fail, it would answer nonsense. */
    private static function check(FFI $ffi, string $place): void
    {
        [$have, $want] = [$ffi->wsframe_version(), $ffi->WSFRAME_VERSION];
        if ($have >> 16 !== $want >> 16 || $have < $want) {
            throw new \RuntimeException(
                'libwsframe ' . self::dotted($have) . " ($place) does not fit this binding, which needs "
                . self::dotted($want) . ' or a later version with the same first number.'
            );
        }
        // A masked text frame of 5 bytes (RFC 6455 section 5.7).
        $frame = "\x81\x85\x37\xfa\x21\x3d";
        $record = $ffi->new('wsframe_header');
        $read = [
            $ffi->wsframe_header_parse($frame, 6, FFI::addr($record)),
            $record->payload_len,
            $record->opcode,
            $record->flags,
            $record->header_len,
            FFI::string($record->mask_key, 4),
            FFI::sizeof($record),
        ];
        if ($read !== [6, 5, Opcode::TEXT, Frame::FIN | self::MASK, 6, "\x37\xfa\x21\x3d", 16]) {
            throw new \RuntimeException("libwsframe ($place) and this binding differ in the layout of wsframe_header.");
        }
    }
}

<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;

/**
 * Finds the shared library, and loads it once for this PHP.
 *
 * The classes of this folder are the only ones that touch FFI.
 *
 * @internal
 */
final class Loader
{
    private const SCOPE = 'WSFRAME';
    private const DEFINITION = __DIR__ . '/../wsframe.h';

    private static ?FFI $ffi = null;

    private function __construct()
    {
    }

    public static function ffi(): FFI
    {
        return self::$ffi ??= self::open(
            static fn (string $place): FFI => FFI::cdef(self::definition(), $place)
        );
    }

    /** Makes FFI::scope() serve all requests. To be called while PHP starts up, by preload.php. */
    public static function preload(): void
    {
        self::open(self::loadIntoScope(...));
    }

    /** A version as people write it. */
    public static function dotted(int $version): string
    {
        return ($version >> 16) . '.' . ($version >> 8 & 0xFF) . '.' . ($version & 0xFF);
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
        Layout::check($ffi, $place);
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
                . '. Set ffi.enable=true in php.ini, or preload libwsframe: with opcache.preload=preload.php, and, '
                . 'where PHP starts as root, as PHP-FPM does, with ffi.preload as well; README.md says how.'
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
        $tried = \implode('', $tried);
        throw new \RuntimeException(
            "libwsframe could not be loaded. Tried:$tried\n" . (\str_contains($tried, 'opcache.preload_user')
                ? 'This PHP starts as root: name a file with FFI_SCOPE and FFI_LIB in ffi.preload; README.md says how.'
                : 'Set the environment variable WSFRAME_LIBRARY to the path of a libwsframe built for this system; '
                    . '`make build` in a checkout of libwsframe makes target/release/libwsframe.so.')
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
        return ['beside the binding' => \dirname(__DIR__, 2) . "/lib/$file", 'installed in the system' => $name];
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
}

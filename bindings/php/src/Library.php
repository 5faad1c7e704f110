<?php

declare(strict_types=1);

namespace Wsframe;

/** The shared library, which is loaded by the first call that needs it. */
final class Library
{
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
        return Ffi\Loader::dotted(Ffi\Loader::ffi()->wsframe_version());
    }
}

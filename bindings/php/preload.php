<?php

/*
 * Makes libwsframe part of PHP's start-up, so that no request reads the definition or opens the library again, and so
 * that a web server may keep ffi.enable=preload, PHP's default, which forbids FFI to all code but this:
 *
 *     opcache.preload=.../bindings/php/preload.php
 *
 * Where PHP demands opcache.preload_user because it starts as root, ffi.preload is needed too: see README.md.
 */

declare(strict_types=1);

require_once __DIR__ . '/autoload.php';

foreach ([...glob(__DIR__ . '/src/*.php'), ...glob(__DIR__ . '/src/Ffi/*.php')] as $file) {
    require_once $file;
}

Wsframe\Ffi\Loader::preload();

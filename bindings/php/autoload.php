<?php

/*
 * Loads the classes of this directory on demand, for programs that do without Composer:
 *
 *     require '.../bindings/php/autoload.php';
 *
 * A program that installs wsframe/wsframe with Composer requires vendor/autoload.php instead and never this file.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Wsframe\\')) {
        $file = __DIR__ . '/src/' . strtr(substr($class, strlen('Wsframe\\')), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});

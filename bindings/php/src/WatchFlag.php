<?php

declare(strict_types=1);

namespace Wsframe;

/** What Hub::watch() waits for, and what can be done as an EventKind::READY tells. */
final class WatchFlag
{
    /** It can be read from, or has ended. */
    public const READ = 1;

    /** It can be written to. */
    public const WRITE = 2;

    private function __construct()
    {
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * A process of Workers.
 *
 * @internal
 */
final class Worker
{
    public readonly int $startedNs;

    /** Whether it was told to end. */
    public bool $isEnding = false;

    /** @param int $place Which of the workers it is; while they are replaced there are two in one place. */
    public function __construct(public readonly int $place)
    {
        $this->startedNs = \hrtime(true);
    }
}

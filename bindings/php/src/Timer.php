<?php

declare(strict_types=1);

namespace Wsframe;

/** What after() and every() of a Server or Client return. */
final class Timer
{
    /** @internal Made by a Loop only. */
    public function __construct(private readonly Loop $loop, private readonly int $number)
    {
    }

    /** Does not call the function any more. A second time does nothing. */
    public function cancel(): void
    {
        $this->loop->cancel($this->number);
    }
}

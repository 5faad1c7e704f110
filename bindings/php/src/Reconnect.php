<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * How a Client tries again: before the n-th attempt it waits a random part of firstMs * 2 ** n. So many clients that have
 * lost the same server do not come back in the same moment.
 */
final class Reconnect
{
    /**
     * @param int $firstMs In milliseconds, as the others.
     * @param int $mostMs It never waits for longer.
     * @param int $heldMs After a connection that held for so long it begins anew with firstMs.
     */
    public function __construct(
        public readonly int $firstMs = 1000,
        public readonly int $mostMs = 60_000,
        public readonly int $heldMs = 60_000,
    ) {
    }

    /** How long to wait after so many attempts that have failed. */
    public function waitMs(int $attempts): int
    {
        return \random_int(0, \min($this->firstMs * 2 ** \min($attempts, 20), $this->mostMs));
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

/** Bits of an Event's flags. */
final class DataFlag
{
    /** The message came compressed; the data are what it was before. */
    public const COMPRESSED = 4;

    /** A message begins with these data. */
    public const FIRST = 32;

    /** A message ends with these data. */
    public const LAST = 64;

    private function __construct()
    {
    }
}

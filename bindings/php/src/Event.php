<?php

declare(strict_types=1);

namespace Wsframe;

/** One thing that happened on a Connection. */
final class Event
{
    /** Bit of flags: a message begins with these data. */
    public const FIRST = 1;

    /** Bit of flags: a message ends with these data. */
    public const LAST = 2;

    /** Bit of flags: the message came compressed. */
    public const COMPRESSED = 8;

    /**
     * @internal Made by this package only.
     *
     * @param int $kind One of EventKind's constants.
     * @param int $flags FIRST and LAST, both for a message that is whole, and COMPRESSED.
     * @param int $closeCode A close code or HTTP status, for EventKind::CLOSE and EventKind::ERROR; else 0.
     * @param int $error One of libwsframe's WSFRAME_ERROR_*, for EventKind::ERROR; else 0.
     * @param string $data The message, the piece of it, the payload, the head or the reason: EventKind says which.
     */
    public function __construct(
        public readonly int $kind,
        public readonly int $flags,
        public readonly int $closeCode,
        public readonly int $error,
        public readonly string $data,
    ) {
    }

    /** Whether a message begins with these data. */
    public function isFirst(): bool
    {
        return ($this->flags & self::FIRST) !== 0;
    }

    /** Whether a message ends with these data. */
    public function isLast(): bool
    {
        return ($this->flags & self::LAST) !== 0;
    }

    /** Whether the message came compressed; the data are what it was before. */
    public function isCompressed(): bool
    {
        return ($this->flags & self::COMPRESSED) !== 0;
    }
}

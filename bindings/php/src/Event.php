<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * One thing that happened on a connection. Its data are its own.
 *
 * The properties are there to be read. They are not readonly, and there is no constructor: that would be half of the time
 * that it takes to receive a short message.
 */
final class Event
{
    /** On which connection of a Hub: its id. 0 for a connection of your own. */
    public int $connection = 0;

    /** One of EventKind's constants. */
    public int $kind = 0;

    /** Any of DataFlag's constants: FIRST and LAST for a message that is whole, and COMPRESSED. */
    public int $flags = DataFlag::FIRST | DataFlag::LAST;

    /** A close code or HTTP status, for EventKind::CLOSE, ERROR and GONE; else 0. */
    public int $closeCode = 0;

    /** One of ErrorCode's constants, for EventKind::ERROR and GONE; else 0. */
    public int $error = 0;

    /** The message, the piece of it, the payload, the head or the reason: EventKind says which. */
    public string $data = '';

    /** Whether a message begins with these data. */
    public function isFirst(): bool
    {
        return ($this->flags & DataFlag::FIRST) !== 0;
    }

    /** Whether a message ends with these data. */
    public function isLast(): bool
    {
        return ($this->flags & DataFlag::LAST) !== 0;
    }

    /** Whether the message came compressed; the data are what it was before. */
    public function isCompressed(): bool
    {
        return ($this->flags & DataFlag::COMPRESSED) !== 0;
    }
}

<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;
use Wsframe\DataFlag;
use Wsframe\Event;

/**
 * A wsframe_event, and an Event of it.
 *
 * @internal
 */
final class EventRecord
{
    /** Data that are longer, on the average, are copied from where C has them; others are cut out of one copy of all. */
    public const SHORT = 512;

    /** Flags of a whole message that was not compressed: such an event has no close code and no error. */
    public const WHOLE = DataFlag::FIRST | DataFlag::LAST;

    private function __construct()
    {
    }

    /** @param CData|null $data Those of the batch. */
    public static function read(CData $record, ?CData $data): Event
    {
        $event = new Event();
        $event->connection = $record->connection;
        $event->kind = $record->kind;
        $event->flags = $record->flags;
        $event->closeCode = $record->close_code;
        $event->error = $record->error;
        if ($record->len > 0) {
            $event->data = FFI::string($data + $record->offset, $record->len);
        }
        return $event;
    }
}

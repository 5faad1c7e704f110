<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use Wsframe\DataFlag;
use Wsframe\Event;
use Wsframe\EventKind;

/** An event as it is expected: a message is whole, and others have no flags, unless it is said. */
function event(int $kind, string $data = '', ?int $flags = null, int $closeCode = 0, int $error = 0): Event
{
    $event = new Event();
    $isMessage = $kind === EventKind::TEXT || $kind === EventKind::BINARY;
    [$event->kind, $event->data] = [$kind, $data];
    $event->flags = $flags ?? ($isMessage ? DataFlag::FIRST | DataFlag::LAST : 0);
    [$event->closeCode, $event->error] = [$closeCode, $error];
    return $event;
}

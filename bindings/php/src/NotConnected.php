<?php

declare(strict_types=1);

namespace Wsframe;

/** A client did not get to its server, or was refused there; the message says why. */
final class NotConnected extends \RuntimeException
{
    /**
     * @internal Made by this package only.
     *
     * @param int $status The HTTP status with which the server refused; 0 if it did not.
     * @param string $answer What it has answered, head and the start of the content; '' if there was none.
     */
    public function __construct(string $message, public readonly int $status = 0, public readonly string $answer = '')
    {
        parent::__construct($message);
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

/** How far a Connection has come. */
final class State
{
    /** The opening handshake is not done. */
    public const CONNECTING = 0;

    /** A request waits for the application's answer. */
    public const ASKED = 1;

    /** Messages go both ways. */
    public const OPEN = 2;

    /** A close frame was sent; the peer's is awaited. */
    public const CLOSING = 3;

    /**
     * Both close frames were exchanged, or a request was answered with something else than 101. Nothing that still comes
     * is looked at. A server closes TCP when the output is written, a client waits for the server to do so, but not
     * forever.
     */
    public const CLOSED = 4;

    /**
     * The peer broke the rules, refused or was refused, had its time, or is gone. Close TCP when the output is written.
     */
    public const FAILED = 5;

    private function __construct()
    {
    }
}

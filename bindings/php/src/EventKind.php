<?php

declare(strict_types=1);

namespace Wsframe;

/** What an Event is. */
final class EventKind
{
    /** A client asks to be let in, and the application is to answer; the data are the request's head. */
    public const REQUEST = 1;

    /** A plain HTTP request, and the application is to answer; the data are the request's head. */
    public const HTTP = 2;

    /** The opening handshake is done; the data are the head of the request, or of the response for a client. */
    public const OPEN = 3;

    /** A text message, or a piece of one. */
    public const TEXT = 4;

    /** A binary message, or a piece of one. */
    public const BINARY = 5;

    /** A ping; it has been answered, unless the config says manualPong. */
    public const PING = 6;

    /** A pong. */
    public const PONG = 7;

    /** The peer's close frame, with closeCode (1005 if it had none); the data are the reason. No event follows. */
    public const CLOSE = 8;

    /**
     * The peer broke the rules: error is the WSFRAME_ERROR_* of the failure, closeCode what was sent in answer, or the
     * HTTP status if the handshake was refused. Connection::error() has a sentence for the log. The data are the head
     * of the response if a client was refused, else none. No event follows.
     */
    public const ERROR = 9;

    private function __construct()
    {
    }
}

<?php

declare(strict_types=1);

namespace Wsframe;

/** What an Event is. Those that are a frame of the peer have the number of its opcode: an echo sends $event->kind. */
final class EventKind
{
    /** A text message, or a piece of one. */
    public const TEXT = Opcode::TEXT;

    /** A binary message, or a piece of one. */
    public const BINARY = Opcode::BINARY;

    /**
     * The peer's close frame, with closeCode (1005 if it had none); the data are the reason. Nothing is received after
     * it: only GONE may follow.
     */
    public const CLOSE = Opcode::CLOSE;

    /** A ping; it has been answered, unless the config says manualPong. */
    public const PING = Opcode::PING;

    /** A pong. */
    public const PONG = Opcode::PONG;

    /**
     * A client asks to be let in, and the application is to answer with accept() or respond(); the data are the
     * request's head. It is the last event of its receive().
     */
    public const REQUEST = 16;

    /**
     * A plain HTTP request, and the application is to answer with respond(); the data are the request's head. It is the
     * last event of its receive().
     */
    public const HTTP = 17;

    /** The opening handshake is done; the data are the head of the request, or of the response for a client. */
    public const OPEN = 18;

    /**
     * The peer broke the rules or refused, or memory or randomness ran out: error says which, closeCode is what the peer
     * is told, or the HTTP status if the opening handshake was refused. Connection::error() has a sentence for the log.
     * The data are what a client was answered instead, head and the start of the content, else none. Nothing is received
     * after it: only GONE may follow.
     */
    public const ERROR = 19;

    /**
     * TCP has ended, as a hub has seen or Connection::gone() was told: closeCode is that of the peer's close frame if the
     * closing handshake was done, else 1006; error is that of the failure if there was one.
     */
    public const GONE = 20;

    /** Of a hub: there was no room for a message, as too much output waited, and now there is. */
    public const DRAIN = 21;

    /** Of a hub: the time of Hub::timer() is over; connection is the timer's number. */
    public const TIMER = 22;

    /**
     * Of a hub: a descriptor of Hub::watch() can be read from or written to; connection is the descriptor, and flags has
     * any of WatchFlag's constants.
     */
    public const READY = 23;

    private function __construct()
    {
    }
}

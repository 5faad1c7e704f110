<?php

declare(strict_types=1);

namespace Wsframe;

/** What getCode() of an exception is, and the error of an Event. Each stands for a different thing to do next. */
final class ErrorCode
{
    /** An argument cannot be right: mend the program. */
    public const ARGUMENT = -1;

    /** The connection cannot do this now, for instance send before it is open. */
    public const STATE = -2;

    /** More output waits than the config's highWaterLen: send again when the peer has taken some, or do without. */
    public const SPACE = -3;

    /** There is no memory. */
    public const MEMORY = -4;

    /** A defect in the library, kept from harming the process. Please report it. */
    public const INTERNAL = -5;

    /** The operating system refused, for instance to give a random masking key. */
    public const IO = -6;

    /** The peer's opening handshake is not one (RFC 6455 section 4). */
    public const HANDSHAKE = -32;

    /** The peer broke a framing rule (RFC 6455 section 5): 1002. */
    public const PROTOCOL = -33;

    /** The peer sent text that is not UTF-8 (RFC 6455 section 8.1): 1007. */
    public const UTF8 = -34;

    /** The peer sent more than the limits allow: 1009. */
    public const TOO_BIG = -35;

    /** The peer did what this endpoint does not want: 1008. */
    public const POLICY = -36;

    /** The peer had its time: for the opening handshake, to answer a ping, or to answer a close frame. */
    public const TIMEOUT = -37;

    private function __construct()
    {
    }
}

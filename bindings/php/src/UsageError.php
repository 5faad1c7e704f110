<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * The call was wrong, not the peer: mend the program.
 *
 * getMessage() says what is wrong. getCode() is one of libwsframe's WSFRAME_ERROR_*, mostly -1 for an argument that
 * cannot be right, or -2 for a connection that cannot do this now.
 */
final class UsageError extends \LogicException
{
}

<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * The call was wrong, not the peer: mend the program.
 *
 * getMessage() says what is wrong. getCode() is an ErrorCode: ARGUMENT for an argument that cannot be right, STATE for a
 * connection that cannot do this now, SPACE where more output waits than the config's highWaterLen.
 */
final class UsageError extends \LogicException
{
}

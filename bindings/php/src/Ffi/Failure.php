<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use Wsframe\ErrorCode;
use Wsframe\ProtocolError;
use Wsframe\UsageError;

/**
 * What is thrown when a call has failed.
 *
 * @internal
 */
final class Failure
{
    private function __construct()
    {
    }

    /** Why the last call of C failed, which returned $code. */
    public static function last(int $code): ProtocolError|UsageError
    {
        $ffi = Loader::ffi();
        $why = $ffi->wsframe_why() ?? $ffi->wsframe_strerror($code);
        return $code <= ErrorCode::HANDSHAKE
            ? new ProtocolError($why, $code, $ffi->wsframe_close_code($code))
            : new UsageError($why, $code);
    }

    /** What C has returned, if it is no error. */
    public static function none(int $returned): int
    {
        return $returned >= 0 ? $returned : throw self::last($returned);
    }

    public static function argument(string $message): UsageError
    {
        return new UsageError($message, ErrorCode::ARGUMENT);
    }

    /** @param string $why Why there is no handle, if it is not because a call is running that a signal has interrupted. */
    public static function noHandle(string $why): UsageError
    {
        return new UsageError("$why, or a signal handler interrupted another call on it", ErrorCode::STATE);
    }
}

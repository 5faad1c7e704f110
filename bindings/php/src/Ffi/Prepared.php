<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;
use Wsframe\Config;

/**
 * The handle of a Message, which is freed with it.
 *
 * @internal
 */
final class Prepared
{
    /** Null once it was freed, which C refuses. */
    public ?CData $handle = null;

    public function __construct(int $opcode, string $data, ?Config $config, ?bool $compress)
    {
        $ffi = Loader::ffi();
        $opcode |= Arguments::compress($ffi, $compress);
        $record = $config === null ? null : ConfigRecord::of($ffi, $config);
        $handle = $ffi->new('wsframe_message *');
        Failure::none($ffi->wsframe_message_new($opcode, $data, \strlen($data), $record, FFI::addr($handle)));
        $this->handle = $handle;
    }

    public function __destruct()
    {
        $handle = $this->handle;
        $this->handle = null;
        Loader::ffi()->wsframe_message_free($handle);
    }

    /** Two objects would free one message. */
    private function __clone()
    {
    }
}

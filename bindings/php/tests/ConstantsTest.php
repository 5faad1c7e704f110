<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Frame;
use Wsframe\Library;
use Wsframe\Opcode;

/** The constants that PHP repeats are all those of the header, with the same values. */
final class ConstantsTest extends TestCase
{
    public function testOpcodes(): void
    {
        self::assertEquals(self::inHeader('OPCODE'), (new \ReflectionClass(Opcode::class))->getConstants());
    }

    public function testFlags(): void
    {
        $mask = (new \ReflectionClassConstant(Library::class, 'MASK'))->getValue();

        self::assertEquals(
            self::inHeader('HEADER'),
            (new \ReflectionClass(Frame::class))->getConstants() + ['MASK' => $mask]
        );
    }

    public function testErrorsOfThePeerBeginWhereTheBindingThinks(): void
    {
        self::assertSame(
            self::inHeader('ERROR')['HANDSHAKE'],
            (new \ReflectionClassConstant(Library::class, 'PEER_ERRORS'))->getValue()
        );
    }

    public function testVersionIsThatOfTheHeaderOrLater(): void
    {
        $header = self::inHeader('VERSION')[''];
        $written = ($header >> 16) . '.' . ($header >> 8 & 255) . '.' . ($header & 255);

        self::assertTrue(version_compare(Library::version(), $written, '>='));
    }

    /** @return array<string, int> The constants WSFRAME_<$enum>_<name> of the header, without that prefix. */
    private static function inHeader(string $enum): array
    {
        // Enums alone: functions would have to be found in a library.
        preg_match_all('/^(typedef )?enum [^;]+;/m', file_get_contents(__DIR__ . '/../src/wsframe.h'), $enums);
        $ffi = \FFI::cdef(implode("\n", $enums[0]));
        preg_match_all("/\\bWSFRAME_{$enum}_?(\\w*) =/", implode("\n", $enums[0]), $names);
        $constants = [];
        foreach ($names[1] as $name) {
            $constants[$name] = $ffi->{rtrim("WSFRAME_{$enum}_$name", '_')};
        }
        return $constants;
    }
}

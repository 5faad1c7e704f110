<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Deflate;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Frame;
use Wsframe\Library;
use Wsframe\Opcode;
use Wsframe\State;

/** The constants that PHP repeats are all those of the header, with the same values. */
final class ConstantsTest extends TestCase
{
    private const HEADER = __DIR__ . '/../src/wsframe.h';

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

    public function testSendFlags(): void
    {
        foreach (self::inHeader('SEND') as $name => $value) {
            self::assertSame($value, (new \ReflectionClassConstant(Library::class, "SEND_$name"))->getValue());
        }
    }

    public function testDeflateHasAllFieldsOfTheHeader(): void
    {
        preg_match('/typedef struct wsframe_deflate \{(.*?)\}/s', file_get_contents(self::HEADER), $record);
        preg_match_all('/(\w+);/', $record[1], $fields);

        self::assertSame(
            array_map(self::camelCase(...), $fields[1]),
            array_keys(get_object_vars(new Deflate(false, false, 15, 15)))
        );
    }

    public function testStates(): void
    {
        self::assertEquals(self::inHeader('STATE'), (new \ReflectionClass(State::class))->getConstants());
    }

    /** But for WSFRAME_EVENT_IN_PLACE: PHP's strings are not written to. */
    public function testEvents(): void
    {
        self::assertEquals(
            self::inHeader('EVENT'),
            (new \ReflectionClass(EventKind::class))->getConstants()
                + (new \ReflectionClass(Event::class))->getConstants() + ['IN_PLACE' => 4]
        );
    }

    public function testTheConfigHasAllFlagsAndFieldsOfTheHeader(): void
    {
        preg_match('/typedef struct wsframe_config \{(.*?)\}/s', file_get_contents(self::HEADER), $record);
        preg_match_all('/(\w+);/', $record[1], $fields);
        preg_match_all('/\*(\w+);/', $record[1], $pointers);
        $lengths = array_map(static fn (string $pointer): string => $pointer . '_len', $pointers[1]);
        $fields = array_filter(
            array_diff($fields[1], ['struct_size', 'flags']),
            static fn (string $field): bool => !in_array($field, $lengths, true)
        );
        $names = [...array_map(strtolower(...), array_keys(self::inHeader('CONFIG'))), ...$fields];

        self::assertEqualsCanonicalizing(
            array_map(self::camelCase(...), $names),
            array_keys(get_object_vars(new Config()))
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

    private static function camelCase(string $name): string
    {
        return lcfirst(str_replace('_', '', ucwords($name, '_')));
    }

    /** @return array<string, int> The constants WSFRAME_<$enum>_<name> of the header, without that prefix. */
    private static function inHeader(string $enum): array
    {
        // Enums alone: functions would have to be found in a library.
        preg_match_all('/^(typedef )?enum [^;]+;/m', file_get_contents(self::HEADER), $enums);
        $ffi = \FFI::cdef(implode("\n", $enums[0]));
        preg_match_all("/\\bWSFRAME_{$enum}_?(\\w*) =/", implode("\n", $enums[0]), $names);
        $constants = [];
        foreach ($names[1] as $name) {
            $constants[$name] = $ffi->{rtrim("WSFRAME_{$enum}_$name", '_')};
        }
        return $constants;
    }
}

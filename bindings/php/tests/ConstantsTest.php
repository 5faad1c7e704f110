<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\DataFlag;
use Wsframe\Deflate;
use Wsframe\ErrorCode;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\Ffi\FrameCalls;
use Wsframe\Ffi\HubCalls;
use Wsframe\Header;
use Wsframe\Hub;
use Wsframe\HubStats;
use Wsframe\Library;
use Wsframe\Opcode;
use Wsframe\State;
use Wsframe\WatchFlag;

/** The constants that PHP repeats are all those of the header, with the same values. */
final class ConstantsTest extends TestCase
{
    private const HEADER = __DIR__ . '/../src/wsframe.h';
    private const DOCUMENTED = __DIR__ . '/../../../include/wsframe.h';

    /** But for those that are arguments in PHP: $more and $compress of Connection::send(). */
    public function testOpcodes(): void
    {
        $arguments = ['MORE' => 256, 'PLAIN' => 512, 'COMPRESSED' => 1024];

        self::assertEquals(self::inHeader('OPCODE'), self::constants(Opcode::class) + $arguments);
    }

    public function testFlagsOfAHeader(): void
    {
        $mask = (new \ReflectionClassConstant(FrameCalls::class, 'MASK'))->getValue();

        self::assertSame(self::inHeader('HEADER'), ['MASK' => $mask]);
    }

    public function testRolesAndFlagsOfCalls(): void
    {
        $private = (new \ReflectionClass(Connection::class))->getConstants(\ReflectionClassConstant::IS_PRIVATE);

        self::assertEquals(self::inHeader('ROLE') + self::inHeader('ACCEPT'), $private);
    }

    public function testFlagsAndRolesOfTheHub(): void
    {
        $private = static fn (string $class): array => (new \ReflectionClass($class))->getConstants();

        $ofHub = $private(Hub::class);
        self::assertSame(self::inHeader('LISTEN'), array_intersect_key($ofHub, self::inHeader('LISTEN')));
        self::assertSame(self::inHeader('ROLE'), array_intersect_key($ofHub, self::inHeader('ROLE')));
        self::assertSame(Config::NEVER, $ofHub['NEVER']);
        self::assertEquals(self::inHeader('WATCH'), self::constants(WatchFlag::class));
        self::assertSame(self::inHeader('BATCH')['STOPPED'], $private(HubCalls::class)['STOPPED']);
        self::assertSame(self::inHeader('ROLE')['SERVER'], HubCalls::ROLE);
    }

    /** In their order, as they are passed to the constructor by it. */
    public function testStatsHaveAllFieldsOfTheHeader(): void
    {
        $fields = self::fields('stats');
        $source = file_get_contents((new \ReflectionClass(HubCalls::class))->getFileName());
        preg_match('/new HubStats\((.*?)\);/s', $source, $arguments);
        preg_match_all('/->(\w+),/', $arguments[1], $passed);
        $parameters = (new \ReflectionMethod(HubStats::class, '__construct'))->getParameters();

        self::assertSame($fields, $passed[1]);
        self::assertSame(array_map(self::camelCase(...), $fields), array_column($parameters, 'name'));
    }

    public function testDeflateHasAllFieldsOfTheHeader(): void
    {
        self::assertSame(
            array_map(self::camelCase(...), self::fields('deflate')),
            array_keys(get_object_vars(new Deflate(false, false, 15, 15)))
        );
    }

    public function testStates(): void
    {
        self::assertEquals(self::inHeader('STATE'), self::constants(State::class));
    }

    public function testEventKinds(): void
    {
        self::assertEquals(self::inHeader('EVENT'), self::constants(EventKind::class));
    }

    /** But for WSFRAME_DATA_IN_PLACE: PHP's strings are not written to. */
    public function testDataFlags(): void
    {
        self::assertEquals(self::inHeader('DATA'), self::constants(DataFlag::class) + ['IN_PLACE' => 128]);
    }

    public function testErrorCodes(): void
    {
        self::assertEquals(self::inHeader('ERROR'), self::constants(ErrorCode::class));
    }

    /** But for offset, which is where data is. */
    public function testAnEventHasAllFieldsOfTheHeader(): void
    {
        $fields = array_diff(self::fields('event'), ['offset', 'len']);

        self::assertEqualsCanonicalizing(
            [...array_map(self::camelCase(...), $fields), 'data'],
            array_keys(get_object_vars(new Event()))
        );
    }

    public function testAHeaderHasAllFieldsOfTheHeader(): void
    {
        $fields = array_diff(self::fields('header'), ['flags', 'reserved']);

        self::assertEqualsCanonicalizing(
            [...array_map(self::camelCase(...), $fields), 'fin', 'rsv1', 'rsv2', 'rsv3', 'masked'],
            array_keys(get_object_vars(new Header(Opcode::TEXT, 0)))
        );
    }

    /** What FFI is told of, and what the binding reads: all of the records that C writes. */
    public function testTheRecordsThatAreWrittenForTheBindingAreRead(): void
    {
        $folder = __DIR__ . '/../src/Ffi';
        foreach (
            [
                'Endpoint' => ['event' => ['connection'], 'batch' => ['reserved', 'count'], 'output' => ['len', 'flags']],
                'HubCalls' => ['batch' => ['reserved', 'count'], 'stats' => [], 'hub_config' => ['reserved']],
                'EventRecord' => ['event' => []],
            ] as $file => $records
        ) {
            $source = file_get_contents("$folder/$file.php");
            foreach ($records as $record => $not) {
                foreach (array_diff(self::fields($record), $not) as $field) {
                    self::assertStringContainsString("->$field", $source, "the $field of wsframe_$record in $file");
                }
            }
        }
    }

    /** But for what C keeps with a connection, for which PHP has arrays, and what other threads call, which PHP has none of. */
    public function testTheHubCallsAllFunctionsOfTheHeader(): void
    {
        preg_match_all('/\bwsframe_hub_(\w+)\(/', file_get_contents(self::HEADER), $functions);
        $source = '';
        foreach ([Hub::class, HubCalls::class] as $class) {
            $source .= file_get_contents((new \ReflectionClass($class))->getFileName());
        }
        $called = array_filter(
            array_unique($functions[1]),
            static fn (string $name): bool => preg_match("/wsframe_hub_$name\(|(call|making)\('$name'/", $source) === 1
        );

        self::assertEqualsCanonicalizing([...$called, 'set_user', 'user', 'wake'], array_unique($functions[1]));
    }

    public function testNever(): void
    {
        preg_match('/#define WSFRAME_NEVER (\w+)/', file_get_contents(self::DOCUMENTED), $never);

        self::assertSame(['UINT32_MAX', 2 ** 32 - 1], [$never[1], Config::NEVER]);
    }

    public function testTheConfigHasAllFlagsAndFieldsOfTheHeader(): void
    {
        $fields = self::fields('config');
        preg_match_all('/\*(\w+);/', self::record('config'), $pointers);
        $lengths = array_map(static fn (string $pointer): string => $pointer . '_len', $pointers[1]);
        $fields = array_filter(
            array_diff($fields, ['struct_size', 'flags']),
            static fn (string $field): bool => !in_array($field, $lengths, true)
        );
        $names = [...array_map(strtolower(...), array_keys(self::inHeader('CONFIG'))), ...$fields];

        self::assertEqualsCanonicalizing(
            array_map(self::camelCase(...), $names),
            array_keys(get_object_vars(new Config()))
        );
    }

    /**
     * What 0 stands for in wsframe.h, it stands for in the comment of Config as well.
     *
     * @dataProvider defaults
     */
    public function testTheDocumentedDefaultsAreThoseOfTheHeader(string $field, array $numbers): void
    {
        $constructor = (new \ReflectionMethod(Config::class, '__construct'))->getDocComment();
        $comment = preg_replace('/\s*\n\s*\* */', ' ', $constructor);
        $name = self::camelCase($field);
        self::assertSame(1, preg_match("/@param int \\$$name (.*?)(?= @param|$)/", $comment, $found), $name);

        self::assertSame($numbers, self::numbersFor0($found[1]), $name);
    }

    public static function defaults(): array
    {
        preg_match('/typedef struct wsframe_config \{(.*?)\} wsframe_config;/s', file_get_contents(self::DOCUMENTED), $record);
        preg_match_all('~/\*\*((?:(?!\*/).)*)\*/\s*\w+ (\w+);~s', $record[1], $fields, PREG_SET_ORDER);
        $defaults = [];
        foreach ($fields as [, $comment, $field]) {
            $comment = trim(preg_replace('/\s*\n\s*\* */', ' ', $comment));
            if (str_contains($comment, '0 stands for')) {
                $defaults[$field] = [$field, self::numbersFor0($comment)];
            }
        }
        return $defaults;
    }

    public function testAllNumbersOfTheConfigHaveADefault(): void
    {
        $numbers = array_filter(get_object_vars(new Config()), is_int(...));

        self::assertEqualsCanonicalizing(
            array_keys($numbers),
            array_map(self::camelCase(...), array_keys(self::defaults()))
        );
    }

    /** @return list<string> The numbers, with their units, of the sentence that says what 0 stands for. */
    private static function numbersFor0(string $comment): array
    {
        preg_match('/0 stands for (.*?)(?:\.(?: |$)|$)/', $comment, $sentence);
        preg_match_all('/\d+(?:,\d{3})*(?: [KM]iB| seconds)?/', $sentence[1] ?? '', $numbers);
        return $numbers[0];
    }

    public function testVersionIsThatOfTheHeaderOrLater(): void
    {
        $header = self::inHeader('VERSION')[''];
        $written = ($header >> 16) . '.' . ($header >> 8 & 255) . '.' . ($header & 255);

        self::assertTrue(version_compare(Library::version(), $written, '>='));
    }

    /** @return array<string, int> */
    private static function constants(string $class): array
    {
        return (new \ReflectionClass($class))->getConstants();
    }

    private static function record(string $name): string
    {
        preg_match("/typedef struct wsframe_$name \\{(.*?)\\}/s", file_get_contents(self::HEADER), $record);
        return $record[1];
    }

    /** @return list<string> */
    private static function fields(string $record): array
    {
        preg_match_all('/(\w+)(?:\[\d+\])?;/', self::record($record), $fields);
        return $fields[1];
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

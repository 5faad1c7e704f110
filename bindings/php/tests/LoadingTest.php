<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;

/** How the library is found, and what is said when it is not: each case in a PHP of its own. */
final class LoadingTest extends TestCase
{
    /** Prints the version of the loaded library, or why there is none. */
    private const PRINT_VERSION = 'try { echo Wsframe\Library::version(); }'
        . ' catch (RuntimeException $error) { echo $error->getMessage(); }';

    private string $library;
    private string $version;

    /** A copy of the binding that every user may read. */
    private string $binding;

    protected function setUp(): void
    {
        $library = realpath((string) getenv('WSFRAME_LIBRARY'));
        self::assertNotFalse($library, 'these tests need WSFRAME_LIBRARY, the path of the built library');
        $this->library = $library;
        $this->version = \Wsframe\Library::version();

        $this->binding = sys_get_temp_dir() . '/wsframe-' . bin2hex(random_bytes(8));
        foreach (['' => 0755, '/src' => 0755, '/src/Ffi' => 0755, '/lib' => 0755, '/tmp' => 0777] as $directory => $mode) {
            mkdir($this->binding . $directory);
            chmod($this->binding . $directory, $mode);
        }
        $from = dirname(__DIR__);
        foreach ([...glob("$from/*.php"), ...glob("$from/src/*.*"), ...glob("$from/src/Ffi/*")] as $file) {
            $this->write(substr($file, strlen($from)), file_get_contents($file));
        }
    }

    protected function tearDown(): void
    {
        foreach (['/src/Ffi', '/src', '/lib', '/tmp', ''] as $directory) {
            array_map('unlink', array_filter(glob("$this->binding$directory/*"), 'is_file'));
            rmdir($this->binding . $directory);
        }
    }

    public function testTheEnvironmentNamesTheLibrary(): void
    {
        $this->write('/lib/libwsframe.so', 'not asked');

        self::assertSame($this->version, $this->printVersion([], ['WSFRAME_LIBRARY' => $this->library]));
    }

    public function testThenTheLibraryBesideTheBindingServes(): void
    {
        $this->write('/lib/libwsframe.so', file_get_contents($this->library));
        $this->compile(self::stub(0), '/libwsframe.so.0');

        $environment = ['LD_LIBRARY_PATH' => $this->binding];
        self::assertSame($this->version, $this->printVersion([], $environment));
        self::assertSame(
            $this->version,
            $this->php([], "putenv('WSFRAME_LIBRARY='); " . self::PRINT_VERSION, $environment),
            'an empty WSFRAME_LIBRARY is none'
        );
    }

    public function testThenTheInstalledLibraryServes(): void
    {
        $this->write('/libwsframe.so.0', file_get_contents($this->library));

        self::assertSame($this->version, $this->printVersion([], ['LD_LIBRARY_PATH' => $this->binding]));
    }

    public function testThenTheErrorNamesEveryPlace(): void
    {
        $this->write('/libwsframe.so.0', 'not a library');

        $printed = $this->printVersion([], ['LD_LIBRARY_PATH' => $this->binding]);
        self::assertStringContainsString(
            "\n  $this->binding/lib/libwsframe.so (beside the binding): there is no such file",
            $printed
        );
        self::assertStringContainsString("\n  libwsframe.so.0 (installed in the system): Failed loading", $printed);
        self::assertStringContainsString('Set the environment variable WSFRAME_LIBRARY', $printed);
        self::assertStringContainsString('`make build`', $printed);
    }

    /** @dataProvider unusableLibraries */
    public function testWhatTheEnvironmentNamesIsNotReplacedSilently(?string $content, string $reason): void
    {
        $this->write('/lib/libwsframe.so', file_get_contents($this->library));
        $path = "$this->binding/named.so";
        if ($content !== null) {
            $this->write('/named.so', $content);
        }

        $printed = $this->printVersion([], ['WSFRAME_LIBRARY' => $path]);
        self::assertStringContainsString("\n  $path (named by WSFRAME_LIBRARY): $reason", $printed);
        self::assertStringNotContainsString('beside the binding', $printed);
    }

    public static function unusableLibraries(): array
    {
        return ['missing' => [null, 'there is no such file'], 'not a library' => ['text', 'Failed loading']];
    }

    public function testALibraryWithoutTheFunctionsIsRefused(): void
    {
        $this->compile('int other;', '/other.so');

        $printed = $this->printVersion([], ['WSFRAME_LIBRARY' => "$this->binding/other.so"]);
        self::assertStringContainsString("Failed resolving C function 'wsframe_", $printed);
    }

    /** @dataProvider versions */
    public function testTheVersionMustFit(int $major, int $patch, bool $fits): void
    {
        $header = \FFI::cdef('enum { ' . self::found('/WSFRAME_VERSION = \w+/')[0] . ' };')->WSFRAME_VERSION;
        $version = $header + ($major << 16) + $patch;
        $this->compile(self::stub($version), '/stub.so');

        $printed = $this->printVersion([], ['WSFRAME_LIBRARY' => "$this->binding/stub.so"]);
        $dotted = ($version >> 16) . '.' . ($version >> 8 & 255) . '.' . ($version & 255);
        self::assertSame(
            $fits ? $dotted : "libwsframe $dotted ($this->binding/stub.so) does not fit this binding, which needs "
                . "$this->version or a later version with the same first number.",
            $printed
        );
    }

    public static function versions(): array
    {
        return [
            'the same' => [0, 0, true],
            'later' => [0, 1, true],
            'older' => [0, -1, false],
            'later with another first number' => [1, 0, false],
        ];
    }

    /** @dataProvider records */
    public function testTheLayoutOfTheRecordsMustFit(string $record): void
    {
        $this->compile(self::stub(0x7fff, $record), '/stub.so');

        self::assertSame(
            "libwsframe ($this->binding/stub.so) and this binding differ in the layout of $record.",
            $this->printVersion([], ['WSFRAME_LIBRARY' => "$this->binding/stub.so"])
        );
    }

    public static function records(): array
    {
        return [['wsframe_header'], ['wsframe_config'], ['wsframe_output'], ['wsframe_batch'], ['wsframe_event']];
    }

    public function testFfiThatIsSwitchedOffIsNamed(): void
    {
        $printed = $this->printVersion(['-d', 'ffi.enable=0'], ['WSFRAME_LIBRARY' => $this->library]);

        self::assertStringContainsString('this PHP forbids it: FFI API is restricted by "ffi.enable"', $printed);
        self::assertStringContainsString('opcache.preload', $printed);
        self::assertStringContainsString('ffi.preload', $printed);
    }

    public function testTheMissingExtensionIsNamed(): void
    {
        $printed = $this->printVersion(['-n'], ['WSFRAME_LIBRARY' => $this->library]);

        self::assertStringContainsString('needs the PHP extension ffi', $printed);
    }

    public function testPreloadingServesTheScope(): void
    {
        $this->write('/lib/libwsframe.so', file_get_contents($this->library));
        $code = "putenv('WSFRAME_LIBRARY=/nowhere'); " . self::PRINT_VERSION;

        $environment = ['TMPDIR' => "$this->binding/tmp"];
        self::assertSame($this->version, $this->php($this->preloading(), $code, $environment, self::asUser()));
        self::assertSame([], glob("$this->binding/tmp/*"), 'the temporary file is removed');
        self::assertStringContainsString('/nowhere', $this->printVersion([], ['WSFRAME_LIBRARY' => '/nowhere']));
    }

    public function testPreloadingWithoutTheLibrarySaysSo(): void
    {
        $environment = ['WSFRAME_LIBRARY' => '/nowhere'];
        $printed = $this->php([...$this->preloading(), '-d', 'display_errors=1'], '', $environment, self::asUser());

        self::assertStringContainsString('/nowhere (named by WSFRAME_LIBRARY): there is no such file', $printed);
    }

    /** PHP that starts as root is told what it needs, and not what it has. */
    public function testPreloadingAsRootNamesFfiPreload(): void
    {
        $this->write('/lib/libwsframe.so', file_get_contents($this->library));
        $options = [...$this->preloading(), '-d', 'opcache.preload_user=nobody', '-d', 'display_errors=1'];
        $printed = $this->php($options, self::PRINT_VERSION, ['TMPDIR' => "$this->binding/tmp"]);

        if (posix_geteuid() !== 0) {
            self::assertSame($this->version, $printed, 'only root is refused');
            return;
        }
        self::assertStringContainsString('name a file with FFI_SCOPE and FFI_LIB in ffi.preload', $printed);
        self::assertStringNotContainsString('WSFRAME_LIBRARY', $printed);
    }

    /** PHP that starts as root preloads as another user, and can then load libraries for ffi.preload only. */
    public function testFfiPreloadServesTheScope(): void
    {
        $scope = "#define FFI_SCOPE \"WSFRAME\"\n#define FFI_LIB \"$this->library\"\n";
        $this->write('/scope.h', $scope . file_get_contents("$this->binding/src/wsframe.h"));
        $options = [...$this->preloading(), '-d', "ffi.preload=$this->binding/scope.h"];
        if (posix_geteuid() === 0) {
            array_push($options, '-d', 'opcache.preload_user=nobody');
        }

        $printed = $this->php($options, self::PRINT_VERSION, ['WSFRAME_LIBRARY' => '/nowhere']);
        self::assertSame($this->version, $printed);
    }

    /** Only a web server shows what ffi.enable=preload forbids: the command line may always use FFI. */
    public function testAWebServerThatPreloadsMayUseTheLibraryAndNothingElseOfFfi(): void
    {
        $this->write('/lib/libwsframe.so', file_get_contents($this->library));
        $this->write(
            '/page.php',
            '<?php echo count(preg_grep("/^Wsframe/", get_declared_classes())), " classes, ";'
            . ' require __DIR__ . "/autoload.php"; ' . self::PRINT_VERSION
            . ' try { FFI::cdef(); } catch (FFI\Exception) { echo " and no other"; }'
        );

        $from = dirname(__DIR__);
        $classes = count([...glob("$from/src/*.php"), ...glob("$from/src/Ffi/*.php")]);
        self::assertSame("$classes classes, $this->version and no other", $this->page($this->preloading()));
        self::assertStringContainsString('this PHP forbids it', $this->page(['-d', 'ffi.enable=preload']));
    }

    private function preloading(): array
    {
        self::assertTrue(extension_loaded('Zend OPcache'), 'this test needs the PHP extension opcache');
        $options = ['opcache.enable_cli=1', "opcache.preload=$this->binding/preload.php", 'ffi.enable=preload'];
        return array_merge(...array_map(static fn (string $option): array => ['-d', $option], $options));
    }

    private function printVersion(array $options, array $environment): string
    {
        return $this->php($options, self::PRINT_VERSION, $environment);
    }

    /** Runs $code after the copy's autoload.php and returns all that it prints. */
    private function php(array $options, string $code, array $environment, array $as = []): string
    {
        $this->write('/main.php', "<?php require __DIR__ . '/autoload.php'; $code");
        $command = [...$as, PHP_BINARY, ...$options, "$this->binding/main.php"];
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes, '/', $environment);
        $printed = stream_get_contents($pipes[1]);
        proc_close($process);
        return $printed;
    }

    /** Serves page.php with PHP's own web server and returns what a request for it gets. */
    private function page(array $options): string
    {
        $command = [...self::asUser(), PHP_BINARY, ...$options, '-S', '127.0.0.1:0', "$this->binding/page.php"];
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes, '/', []);
        try {
            for ($log = ''; !preg_match('~\((http://.*)\) started~', $log, $found);) {
                self::assertIsString($line = fgets($pipes[1]), "the web server did not start: $log");
                $log .= $line;
            }
            return file_get_contents($found[1]);
        } finally {
            proc_terminate($process);
            proc_close($process);
        }
    }

    /** FFI::load() does not work where root preloads, so that root has to be somebody else. */
    private static function asUser(): array
    {
        return posix_geteuid() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    }

    /**
     * A library with all functions of the header that answers what the binding asks when it loads one, and has the
     * record $shifted 1 byte beside its place.
     */
    private static function stub(int $version, string $shifted = ''): string
    {
        $functions = self::found('/\bwsframe_\w+(?=\()/');
        $shift = static fn (string $record): int => $record === $shifted ? 1 : 0;
        $answers = [
            'wsframe_version' => "uint32_t wsframe_version(void) { return $version; }",
            'wsframe_header_parse' => 'int64_t wsframe_header_parse(const void *in, size_t in_len, char *header) {'
                . ' struct { uint64_t payload_len; uint8_t rest[8]; } r ='
                . ' { 5, { 1, 0x81, 6, 0, 0x37, 0xfa, 0x21, 0x3d } };'
                . " memcpy(header + {$shift('wsframe_header')}, &r, 15); header[15] = 0x3d; return 6; }",
            'wsframe_connection_new' => 'int64_t wsframe_connection_new(uint32_t role, char *config, char **connection)'
                . " { *connection = config + 60 + {$shift('wsframe_config')}; return 0; }",
            'wsframe_connection_output' => 'int64_t wsframe_connection_output(uint32_t *c, size_t sent, uint64_t now,'
                . ' char *output) { memset(output, 0, 24);'
                . " memcpy(output + 16 + {$shift('wsframe_output')}, c, 4); return 0; }",
            'wsframe_connection_receive' => 'int64_t wsframe_connection_receive(void *c, void *in, size_t len,'
                . ' char *batch) { static struct { uint64_t connection, offset, len; uint16_t code; uint8_t rest[30]; } e ='
                . ' { 0, 0, 3, 1009, { 8 } };'
                . ' struct { void *events; uint64_t count; char *data; uint64_t len, flags; } b ='
                . " { (char *)&e + {$shift('wsframe_event')}, 1, \"bye\", 3, 0 }; memcpy(batch + {$shift('wsframe_batch')}, &b, 39); return 1; }",
        ];
        foreach (array_diff($functions, array_keys($answers)) as $other) {
            $answers[] = "void $other(void) {}";
        }
        return "#include <stdint.h>\n#include <string.h>\n" . implode("\n", $answers) . "\n";
    }

    private function compile(string $source, string $path): void
    {
        $this->write('/stub.c', $source);
        $command = ['cc', '-shared', '-fPIC', '-o', $this->binding . $path, "$this->binding/stub.c"];
        self::assertSame(0, proc_close(proc_open($command, [], $pipes)), 'these tests need a C compiler named cc');
    }

    /** @return list<string> What $pattern finds in the header. */
    private static function found(string $pattern): array
    {
        preg_match_all($pattern, file_get_contents(__DIR__ . '/../src/wsframe.h'), $found);
        return $found[0];
    }

    private function write(string $path, string $content): void
    {
        file_put_contents($this->binding . $path, $content);
        chmod($this->binding . $path, 0644);
    }
}

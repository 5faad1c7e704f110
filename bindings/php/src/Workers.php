<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Arguments;
use Wsframe\Ffi\Failure;

/**
 * The processes of a server, and their parent: starts them, replaces who dies, and passes on what is published.
 *
 * The parent has a hub that only they connect to, by a Unix socket in a folder that nobody else may enter.
 *
 * @internal
 */
final class Workers
{
    private const SIGNALS = [\SIGTERM, \SIGINT, \SIGUSR1, \SIGCHLD];

    /** Who has lived for so long did not die of how it was started: the next one comes at once. */
    private const HELD_NS = 1_000_000_000;
    /** Else it comes after a pause, which doubles. */
    private const FIRST_PAUSE_MS = 100;
    private const LONGEST_PAUSE_MS = 10_000;
    /** So much longer than they have time to end the parent waits before it ends them. */
    private const PATIENCE_MS = 2000;

    private readonly Hub $hub;
    private readonly string $folder;

    /** @var array<int, Worker> By their process id. */
    private array $workers = [];
    /** @var array<int, int> When another one is to be started in a place, by hrtime(). */
    private array $due;
    /** @var array<int, int> How many have died early, one after the other, in a place. */
    private array $failures;
    private bool $isReloading = false;
    private ?int $graceMs = null;
    private ?int $killNs = null;
    /** @var array<int, callable|int> The former handlers, by signal. */
    private array $former = [];

    /**
     * @param \Closure(string, \Closure(): void): void $work What each does. It gets the address of its parent, and
     *     what lets signals come.
     */
    public function __construct(int $count, private readonly \Closure $work)
    {
        if (!\function_exists('pcntl_fork') || !\function_exists('posix_kill')) {
            throw new UsageError('workers need the extensions pcntl and posix', ErrorCode::STATE);
        }
        $this->due = \array_fill(0, Arguments::number('number of workers', $count), 0);
        $this->failures = \array_fill(0, $count, 0);
        $this->hub = new Hub();
        $this->folder = \sys_get_temp_dir() . '/wsframe-' . \bin2hex(\random_bytes(8));
    }

    /** Until stop(), and until all of them have ended. */
    public function run(): void
    {
        if (!@\mkdir($this->folder, 0700)) {
            throw new UsageError("the folder $this->folder cannot be made", ErrorCode::IO);
        }
        $this->catchSignals();
        try {
            $this->hub->listen($this->address(), Siblings::config());
            while ($this->graceMs === null || $this->workers !== []) {
                $this->startWhoIsDue();
                foreach ($this->hub->poll($this->waitMs()) as $event) {
                    $this->happened($event);
                }
                \pcntl_signal_dispatch();
                $this->doWhatSignalsSaid();
                $this->bury();
            }
        } finally {
            $this->releaseSignals();
            $this->hub->free();
            $this->removeFolder();
        }
    }

    /** Ends them in good order. May be called by a signal handler. */
    public function stop(int $graceMs): void
    {
        $this->graceMs = $graceMs;
    }

    private function address(): string
    {
        return "unix:$this->folder/parent";
    }

    private function removeFolder(): void
    {
        @\unlink("$this->folder/parent");
        @\rmdir($this->folder);
    }

    private function catchSignals(): void
    {
        foreach (self::SIGNALS as $signal) {
            $this->former[$signal] = \pcntl_signal_get_handler($signal);
        }
        \pcntl_signal(\SIGTERM, fn () => $this->stop(Loop::GRACE_MS));
        \pcntl_signal(\SIGINT, fn () => $this->stop(Loop::GRACE_MS));
        \pcntl_signal(\SIGUSR1, fn () => $this->isReloading = true);
        // It only ends the waiting.
        \pcntl_signal(\SIGCHLD, static fn () => null);
    }

    private function releaseSignals(): void
    {
        foreach ($this->former as $signal => $handler) {
            \pcntl_signal($signal, $handler);
        }
    }

    private function startWhoIsDue(): void
    {
        foreach ($this->due as $place => $ns) {
            if ($this->graceMs === null && $ns <= \hrtime(true)) {
                $this->start($place);
            }
        }
    }

    /** No signal is lost between the handlers of the parent and those of the worker. */
    private function start(int $place): void
    {
        unset($this->due[$place]);
        \pcntl_sigprocmask(\SIG_BLOCK, self::SIGNALS, $mask);
        \pcntl_signal_dispatch();
        $parent = \getmypid();
        $process = $this->graceMs === null ? @\pcntl_fork() : null;
        if ($process === 0) {
            $this->become($mask, $parent);
        }
        \pcntl_sigprocmask(\SIG_SETMASK, $mask);
        if ($process === -1) {
            $this->startLater($place);
        } elseif ($process !== null) {
            $this->workers[$process] = new Worker($place);
        }
    }

    /** @param int[] $mask The signals that were blocked before. */
    private function become(array $mask, int $parent): never
    {
        $status = 1;
        try {
            $this->releaseSignals();
            $this->hub->free();
            ($this->work)($this->address(), static fn () => \pcntl_sigprocmask(\SIG_SETMASK, $mask));
            $status = 0;
        } catch (\Throwable $failure) {
            \error_log((string) $failure);
        } finally {
            if (\posix_getppid() !== $parent) {
                $this->removeFolder();
            }
            exit($status);
        }
    }

    private function happened(Event $event): void
    {
        if ($event->kind === EventKind::BINARY) {
            $this->hub->publish('', $event->data, Opcode::BINARY, $event->connection);
        } elseif ($event->kind === EventKind::TEXT) {
            $this->hasBegun((int) $event->data);
        }
    }

    /** A worker listens: those before it in its place end. */
    private function hasBegun(int $process): void
    {
        $place = ($this->workers[$process] ?? null)?->place;
        foreach ($this->workers as $other => $worker) {
            if ($other === $process) {
                break;
            }
            if ($worker->place === $place) {
                $this->end($other, $worker);
            }
        }
    }

    private function end(int $process, Worker $worker): void
    {
        if (!$worker->isEnding) {
            $worker->isEnding = true;
            \posix_kill($process, \SIGTERM);
        }
    }

    private function doWhatSignalsSaid(): void
    {
        if ($this->graceMs !== null) {
            $this->killNs ??= \hrtime(true) + ($this->graceMs + self::PATIENCE_MS) * 1_000_000;
            foreach ($this->workers as $process => $worker) {
                $this->end($process, $worker);
                if (\hrtime(true) >= $this->killNs) {
                    \posix_kill($process, \SIGKILL);
                }
            }
        } elseif ($this->isReloading) {
            $this->isReloading = false;
            foreach ($this->failures as $place => $count) {
                $this->due[$place] = 0;
            }
        }
    }

    /** Takes note of who has died, and has others come in their place. */
    private function bury(): void
    {
        foreach ($this->workers as $process => $worker) {
            if (\pcntl_waitpid($process, $status, \WNOHANG) === 0) {
                continue;
            }
            unset($this->workers[$process]);
            if ($worker->isEnding) {
                continue;
            }
            if (\hrtime(true) - $worker->startedNs >= self::HELD_NS) {
                $this->failures[$worker->place] = 0;
                $this->due[$worker->place] ??= 0;
            } else {
                $this->startLater($worker->place);
            }
        }
    }

    private function startLater(int $place): void
    {
        $pauseMs = \min(self::FIRST_PAUSE_MS * 2 ** \min($this->failures[$place]++, 20), self::LONGEST_PAUSE_MS);
        $this->due[$place] ??= \hrtime(true) + $pauseMs * 1_000_000;
    }

    private function waitMs(): ?int
    {
        $ends = $this->killNs === null ? $this->due : [$this->killNs];
        return $ends === [] ? null : \intdiv(\max(0, \min($ends) - \hrtime(true)), 1_000_000) + 1;
    }
}

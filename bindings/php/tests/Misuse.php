<?php

declare(strict_types=1);

namespace Wsframe\Tests;

/** Signals at any moment, and what a program has left of its memory. */
trait Misuse
{
    /** Runs $work while signals come, until they are many and it says that it is enough, and returns how many came. */
    private static function underSignals(\Closure $handler, \Closure $work): int
    {
        $signals = 0;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, static function () use ($handler, &$signals): void {
            $signals++;
            $handler();
        });
        $sender = proc_open(['sh', '-c', 'while kill -USR1 ' . getmypid() . '; do :; done'], [], $pipes);
        try {
            $deadline = time() + 30;
            do {
                $isEnough = $work();
            } while (($signals < 300 || !$isEnough) && time() < $deadline);
        } finally {
            pcntl_signal(SIGUSR1, SIG_IGN);
            proc_terminate($sender);
            proc_close($sender);
            pcntl_signal(SIGUSR1, SIG_DFL);
            pcntl_async_signals(false);
        }
        return $signals;
    }

    private static function residentBytes(): int
    {
        gc_collect_cycles();
        $statm = @file_get_contents('/proc/self/statm');
        return $statm === false ? getrusage()['ru_maxrss'] * 1024 : (int) explode(' ', $statm)[1] * 4096;
    }
}

//! Puts a load on a WebSocket server that sends each message back, or to all, and checks every byte that it sends.
//!
//! Each connection has so many messages in flight: it sends the next ones when the echoes of others have come, those of
//! one read joined in one write. When messages are published, one connection sends the next one when all have got another.
//! `HELP` says what is printed.

mod connection;
mod cpu;
mod deflate;
mod echoes;
mod latencies;
mod memory;
mod messages;
mod opening;
mod options;
mod publications;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> ExitCode {
    match options::from(std::env::args().skip(1)).and_then(|options| options.map_or(Ok(options::HELP.into()), load)) {
        Ok(printed) => {
            println!("{printed}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("load: {why}");
            ExitCode::FAILURE
        }
    }
}

fn load(options: options::Options) -> Result<String, String> {
    raise_limit()?;
    let memory_without = options.server.map(memory::of).transpose()?;
    let opening::Opened { streams, extensions } = opening::open(&options)?;
    let window_bits = extensions.as_deref().map(deflate::window_bits).transpose()?;
    let messages = messages::Messages::new(options.content, options.size, window_bits);
    let streams = (0..).zip(streams);
    let mut connections: Vec<_> =
        streams.map(|(number, stream)| connection::Connection::new(number, stream, &messages)).collect();
    let outcome = run::run(&options, &messages, &mut connections)?;
    close(connections)?;

    let count = outcome.latencies.count();
    let seconds = outcome.took.as_secs_f64();
    if count == 0 || outcome.server_cpu.is_some_and(|cpu| cpu.is_zero()) {
        return Err(format!("{count} echoes in {seconds} s are too few to tell anything"));
    }
    let micros = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e6);
    let each = |time: Duration| micros(time / count as u32);
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| micros(outcome.latencies.percentile(part)));
    let last = |part| or_null(outcome.last.as_ref().map(|last| micros(last.percentile(part))));
    let [memory_idle, memory_after] = outcome.memory.map(or_null);
    let fields = [
        ("messages", count.to_string()),
        ("seconds", format!("{seconds:.3}")),
        ("messages_per_second", format!("{:.0}", count as f64 / seconds)),
        ("p50_us", p50),
        ("p99_us", p99),
        ("p999_us", p999),
        ("last_p50_us", last(0.5)),
        ("last_p99_us", last(0.99)),
        ("last_p999_us", last(0.999)),
        ("server_cpu_us", or_null(outcome.server_cpu.map(each))),
        ("own_cpu_us", each(outcome.own_cpu)),
        ("memory_without", or_null(memory_without)),
        ("memory_idle", memory_idle),
        ("memory_after", memory_after),
        ("deflate", messages.are_compressed().to_string()),
    ];
    Ok(format!("{{{}}}", fields.map(|(name, value)| format!("{name:?}: {value}")).join(", ")))
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or("null".into(), |value| value.to_string())
}

/// Each connection takes a descriptor.
fn raise_limit() -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).map_err(|error| error.to_string())
}

fn close(mut connections: Vec<connection::Connection>) -> Result<(), String> {
    while !connections.is_empty() {
        let mut burst = connections.split_off(connections.len().saturating_sub(opening::BURST.into()));
        burst.iter_mut().try_for_each(connection::Connection::begin_close)?;
        burst.into_iter().try_for_each(connection::Connection::close)?;
    }
    Ok(())
}

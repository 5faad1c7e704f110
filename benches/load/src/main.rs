//! Puts a load on a WebSocket server that sends each message back, and checks every byte that it sends.
//!
//! Each connection has so many messages in flight: it sends the next ones when the echoes of others have come, those of
//! one read joined in one write. The last line of `HELP` says what is printed.

mod connection;
mod cpu;
mod echoes;
mod latencies;
mod messages;
mod opening;
mod options;
mod run;

use std::process::ExitCode;
use std::time::Duration;

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
    let messages = messages::Messages::new(options.content, options.size);
    let mut connections = (0..options.connections)
        .map(|number| Ok(connection::Connection::new(number, opening::open(&options, number)?)))
        .collect::<Result<Vec<_>, String>>()?;
    let outcome = run::run(&options, &messages, &mut connections)?;
    connections.into_iter().try_for_each(connection::Connection::close)?;

    let count = outcome.latencies.count();
    let seconds = outcome.took.as_secs_f64();
    if count == 0 || outcome.server_cpu.is_some_and(|cpu| cpu.is_zero()) {
        return Err(format!("{count} echoes in {seconds} s are too few to tell anything"));
    }
    let latency_us = |part| format!("{:.1}", outcome.latencies.percentile(part).as_secs_f64() * 1e6);
    let each_us = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e6 / count as f64);
    let fields = [
        ("messages", count.to_string()),
        ("seconds", format!("{seconds:.3}")),
        ("messages_per_second", format!("{:.0}", count as f64 / seconds)),
        ("p50_us", latency_us(0.5)),
        ("p99_us", latency_us(0.99)),
        ("p999_us", latency_us(0.999)),
        ("server_cpu_us", outcome.server_cpu.map_or("null".into(), each_us)),
        ("own_cpu_us", each_us(outcome.own_cpu)),
    ];
    Ok(format!("{{{}}}", fields.map(|(name, value)| format!("{name:?}: {value}")).join(", ")))
}

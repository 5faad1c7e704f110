//! What the program is told.

use std::str::FromStr;
use std::time::Duration;

use crate::messages::Content;

pub const HELP: &str = "\
usage: wsframe-load PORT [option value]...

Loads the WebSocket echo server at 127.0.0.1:PORT, and fails if it sends anything but the echoes.

  --path PATH         what is asked for in the opening handshake (/)
  --connections N     1 to 10000 (50); each thousand has a source address of its own
  --in-flight N       messages on each connection that wait for their echoes (1)
  --size BYTES        of a message (20)
  --content WHAT      ascii, mixed (text with characters of one to four bytes) or binary (ascii)
  --seconds S         how long is measured (2)
  --warm-up S         how long the same is done before (0.3)
  --pid PID           the server, whose CPU time is measured

Prints a line of JSON: the messages and the seconds that were measured, messages in a second; from the sending of a
message to its echo, in microseconds, the median and two percentiles; the CPU time of the server for each message; and
the share of the time in which this program was busy, which has to stay well below 1.";

pub struct Options {
    pub port: u16,
    pub path: String,
    pub connections: u16,
    pub in_flight: u16,
    pub size: usize,
    pub content: Content,
    pub measured: Duration,
    pub warm_up: Duration,
    pub server: Option<u32>,
}

/// Nothing if help is asked for.
pub fn from(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let first = args.next().ok_or("which PORT? --help says more")?;
    if first == "--help" {
        return Ok(None);
    }
    let mut options = Options {
        port: number("PORT", &first, 1, u16::MAX)?,
        path: "/".into(),
        connections: 50,
        in_flight: 1,
        size: 20,
        content: Content::Ascii,
        measured: Duration::from_secs(2),
        warm_up: Duration::from_millis(300),
        server: None,
    };
    while let Some(name) = args.next() {
        let value = args.next().ok_or(format!("{name} needs a value"))?;
        match name.as_str() {
            "--path" => options.path = value,
            "--connections" => options.connections = number(&name, &value, 1, 10_000)?,
            "--in-flight" => options.in_flight = number(&name, &value, 1, 10_000)?,
            "--size" => options.size = number(&name, &value, 1, 64 << 20)?,
            "--content" => options.content = value.parse()?,
            "--seconds" => options.measured = Duration::from_secs_f64(number(&name, &value, 0.01, 1e6)?),
            "--warm-up" => options.warm_up = Duration::from_secs_f64(number(&name, &value, 0.0, 1e6)?),
            "--pid" => options.server = Some(number(&name, &value, 1, u32::MAX)?),
            _ => return Err(format!("what is {name}? --help says what there is")),
        }
    }
    Ok(Some(options))
}

fn number<N: FromStr + PartialOrd + std::fmt::Display>(name: &str, value: &str, min: N, max: N) -> Result<N, String> {
    let number = value.parse().ok().filter(|number| (&min..=&max).contains(&number));
    number.ok_or(format!("{name} is a number from {min} to {max}, not {value}"))
}

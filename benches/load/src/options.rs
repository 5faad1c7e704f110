//! What the program is told.

use std::str::FromStr;
use std::time::Duration;

use crate::messages::Content;

pub const HELP: &str = "\
usage: wsframe-load PORT [option value]...

Loads the WebSocket server at 127.0.0.1:PORT, and fails if it sends anything but what it is to send: with the mode echo
each message back, with the mode publish those of one connection to all.

  --mode MODE         echo or publish (echo)
  --path PATH         what is asked for in the opening handshake (/)
  --connections N     1 to 10000 (50); each thousand has a source address of its own
  --in-flight N       messages on each connection that wait for their echoes, or that are published but not to all (1)
  --size BYTES        of a message (20)
  --content WHAT      ascii, mixed (text with characters of one to four bytes), binary, or compressed: words, with
                      permessage-deflate if the server agrees; each message is compressed on its own (ascii)
  --seconds S         how long is measured at least (2): it goes on until as many messages have come as are in flight
  --warm-up S         how long the same is done before (0.3)
  --pid PID           the server, whose CPU time and memory are measured

Prints a line of JSON: the messages that came and the seconds that were measured, messages in a second; from the sending
of a message to its echo, in microseconds, the median and two percentiles, and when messages are published the same up to
the last one who gets it; the CPU time of the server and of this program for each message that came, in microseconds; the
server's memory in bytes without connections, with all of them before and after the messages; and whether deflate was
agreed on. The CPU time of this program has to stay below that of the server, for else it is the one that is measured.";

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Echo,
    Publish,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "echo" => Ok(Self::Echo),
            "publish" => Ok(Self::Publish),
            _ => Err(format!("--mode is echo or publish, not {name}")),
        }
    }
}

pub struct Options {
    pub mode: Mode,
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
        mode: Mode::Echo,
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
            "--mode" => options.mode = value.parse()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Result<Option<Options>, String> {
        from(line.split_whitespace().map(String::from))
    }

    #[test]
    fn what_is_told_replaces_the_usual() {
        let options =
            told("80 --mode publish --connections 10000 --content compressed --seconds 0.5").unwrap().unwrap();
        assert!(options.mode == Mode::Publish && matches!(options.content, Content::Compressed));
        assert_eq!((options.port, options.connections, options.in_flight, options.size), (80, 10_000, 1, 20));
        assert_eq!(options.measured, Duration::from_millis(500));
        assert!(told("--help").unwrap().is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in
            ["", "0", "80 --mode", "80 --mode shout", "80 --connections 10001", "80 --content 7", "80 --loud 1"]
        {
            assert!(told(wrong).is_err(), "{wrong}");
        }
    }
}

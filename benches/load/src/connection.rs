//! One connection and its messages.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::time::Instant;

use crate::echoes::{Echoes, Sent};
use crate::latencies::Latencies;
use crate::messages::Messages;

/// A client's close frame with the code 1000, and how a server's begins.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
const CLOSE_BEGIN: u8 = 0x88;
/// As much is read at once.
const READ: usize = 256 << 10;

/// What the connections have in common.
pub struct Common<'a> {
    messages: &'a Messages,
    pub latencies: Latencies,
    /// Whether a connection sends the next message when an echo has come.
    pub answers: bool,
    read: Vec<u8>,
    /// An empty buffer for frames, so that the memory for them is the same as long as the system takes all.
    frames: Vec<u8>,
}

impl<'a> Common<'a> {
    pub fn new(messages: &'a Messages) -> Self {
        Self { messages, latencies: Latencies::new(), answers: false, read: vec![0; READ], frames: Vec::new() }
    }
}

pub struct Connection {
    number: u16,
    pub stream: TcpStream,
    next_message: u16,
    sent: VecDeque<Sent>,
    echoes: Echoes,
    /// Frames that the system did not take yet.
    unsent: Vec<u8>,
}

impl Connection {
    pub fn new(number: u16, stream: TcpStream, messages: &Messages) -> Self {
        let (sent, unsent) = Default::default();
        Self { number, stream, next_message: number, sent, echoes: Echoes::of(messages), unsent }
    }

    /// Which message is sent next.
    pub fn next_message(&self) -> u16 {
        self.next_message
    }

    /// Waits for a message that another connection has sent, as for the echo of one of its own.
    pub fn expect(&mut self, sent: Sent) {
        self.sent.push_back(sent);
    }

    /// How many echoes are to come.
    pub fn waits_for(&self) -> usize {
        self.sent.len()
    }

    /// Whether the system takes no more for now.
    pub fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends so many messages in one write, and what was not taken before.
    pub fn send(&mut self, count: u16, now: Instant, common: &mut Common) -> Result<(), String> {
        if self.unsent.is_empty() {
            mem::swap(&mut self.unsent, &mut common.frames);
        }
        for _ in 0..count {
            common.messages.append_frame(self.next_message, &mut self.unsent);
            self.sent.push_back(Sent { number: self.next_message, at: now });
            // Odd, so that it goes through them all; and each connection has an order of its own.
            self.next_message = self.next_message.wrapping_add(self.number.wrapping_mul(2).wrapping_add(1));
        }
        if !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        if self.unsent.is_empty() {
            mem::swap(&mut self.unsent, &mut common.frames);
        }
        Ok(())
    }

    /// Reads once, and sends as many messages as echoes have come, or nothing new. Returns how many have come.
    pub fn take_turn(&mut self, common: &mut Common) -> Result<u16, String> {
        let len = match self.stream.read(&mut common.read) {
            Ok(0) => return Err("the server hangs up".into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.to_string()),
        };
        let now = Instant::now();
        let mut count = 0;
        let echoed = |sent: Sent| {
            common.latencies.add(now - sent.at);
            count += 1;
        };
        self.echoes.take(&common.read[..len], common.messages, &mut self.sent, echoed)?;
        self.send(if common.answers { count } else { 0 }, now, common)?;
        Ok(count)
    }

    /// Begins the closing handshake.
    pub fn begin_close(&mut self) -> Result<(), String> {
        let done = self.stream.set_nonblocking(false).and_then(|()| self.stream.write_all(&CLOSE));
        done.map_err(|error| format!("connection {}: cannot close: {error}", self.number))
    }

    /// Ends it: the server answers and hangs up.
    pub fn close(mut self) -> Result<(), String> {
        let mut answer = Vec::new();
        match self.stream.read_to_end(&mut answer) {
            Err(error) => Err(format!("connection {}: no end after a close frame: {error}", self.number)),
            Ok(_) if answer.first() == Some(&CLOSE_BEGIN) => Ok(()),
            Ok(_) => Err(format!("connection {}: a close frame is answered by {answer:02x?}", self.number)),
        }
    }
}

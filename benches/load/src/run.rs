//! All connections, and the time.

use std::mem;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::connection::{Common, Connection};
use crate::cpu;
use crate::echoes::Sent;
use crate::latencies::Latencies;
use crate::memory;
use crate::messages::Messages;
use crate::opening::PATIENCE;
use crate::options::{Mode, Options};
use crate::publications::Publications;

pub struct Outcome {
    pub latencies: Latencies,
    /// Up to the last one who got a message that was published.
    pub last: Option<Latencies>,
    pub took: Duration,
    pub server_cpu: Option<Duration>,
    /// This program's own, without the waiting.
    pub own_cpu: Duration,
    /// Of the server, before and after the messages.
    pub memory: [Option<u64>; 2],
}

pub fn run(options: &Options, messages: &Messages, connections: &mut [Connection]) -> Result<Outcome, String> {
    let memory = || options.server.map(memory::of).transpose();
    let server_cpu = || options.server.map(cpu::time_of).transpose();
    let memory_before = memory()?;
    let mut load = Load::new(messages, connections)?;
    match options.mode {
        Mode::Echo => load.begin_echoes(options.in_flight)?,
        Mode::Publish => load.begin_publishing(options.in_flight)?,
    }
    load.go_on_for(options.warm_up, 0)?;

    load.forget_latencies();
    let (server_before, own_before, start) = (server_cpu()?, load.own_cpu(), Instant::now());
    load.go_on_for(options.measured, options.in_flight.into())?;
    let (took, own_cpu) = (start.elapsed(), load.own_cpu() - own_before);
    let server_cpu = server_cpu()?.zip(server_before).map(|(after, before)| after.saturating_sub(before));
    let (latencies, last) = load.forget_latencies();

    load.come_to_rest()?;
    Ok(Outcome { latencies, last, took, server_cpu, own_cpu, memory: [memory_before, memory()?] })
}

struct Load<'a> {
    connections: &'a mut [Connection],
    common: Common<'a>,
    /// If what one connection sends is published.
    publications: Option<Publications>,
    /// Whether the next message is published when all have got one.
    publishes: bool,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    now: Instant,
    /// When there was something to do.
    last_work: Instant,
    /// Since when there is something to do, in CPU time; nothing while there is not.
    busy_since: Option<Duration>,
    /// The CPU time of all that was done before.
    busy: Duration,
}

impl<'a> Load<'a> {
    fn new(messages: &'a Messages, connections: &'a mut [Connection]) -> Result<Self, String> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(complain)?;
        for (number, connection) in connections.iter().enumerate() {
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &connection.stream, data, epoll::EventFlags::IN).map_err(complain)?;
        }
        let (common, events, now) = (Common::new(messages), Vec::with_capacity(1024), Instant::now());
        let (publications, publishes, last_work, busy_since, busy) = (None, false, now, None, Duration::ZERO);
        Ok(Self { connections, common, publications, publishes, epoll, events, now, last_work, busy_since, busy })
    }

    fn begin_echoes(&mut self, in_flight: u16) -> Result<(), String> {
        self.common.answers = true;
        for number in 0..self.connections.len() {
            self.let_act(number, |connection, common| connection.send(in_flight, Instant::now(), common))?;
        }
        Ok(())
    }

    fn begin_publishing(&mut self, in_flight: u16) -> Result<(), String> {
        self.publications = Some(Publications::new(self.connections.len()));
        self.publishes = true;
        self.publish(in_flight.into())
    }

    /// Lets the first connection send messages, which all are to get.
    fn publish(&mut self, count: usize) -> Result<(), String> {
        for _ in 0..count {
            let (number, at) = (self.connections[0].next_message(), Instant::now());
            self.publications.iter_mut().for_each(|publications| publications.begin(at));
            self.let_act(0, |connection, common| connection.send(1, at, common))?;
            for connection in &mut self.connections[1..] {
                connection.expect(Sent { number, at });
            }
        }
        Ok(())
    }

    /// Returns how long messages took since the last call, and until the last one had them if they are published.
    fn forget_latencies(&mut self) -> (Latencies, Option<Latencies>) {
        let last = self.publications.as_mut().map(|publications| &mut publications.latencies);
        let forget = |latencies: &mut Latencies| mem::replace(latencies, Latencies::new());
        (forget(&mut self.common.latencies), last.map(forget))
    }

    /// Sends nothing new, and waits for all that is missing.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.common.answers = false;
        self.publishes = false;
        while self.missing() > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// For this time, and until each connection has got so many messages, on average.
    fn go_on_for(&mut self, time: Duration, messages: u64) -> Result<(), String> {
        let (end, messages) = (Instant::now() + time, messages * self.connections.len() as u64);
        while self.now < end || self.common.latencies.count() < messages {
            self.turn()?;
        }
        Ok(())
    }

    /// Does what there is to do. It does not sleep: to wake it up would be the server's work, and be measured as such.
    fn turn(&mut self) -> Result<(), String> {
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&Timespec::default())).map_err(complain)?;
        self.now = Instant::now();
        if self.events.is_empty() {
            self.busy = self.own_cpu();
            self.busy_since = None;
            return match self.now - self.last_work {
                silence if silence < PATIENCE => Ok(()),
                _ => Err(format!("the server is silent, and {} echoes are missing", self.missing())),
            };
        }
        self.last_work = self.now;
        self.busy_since.get_or_insert_with(cpu::own_time);
        let mut events = mem::take(&mut self.events);
        for event in events.drain(..) {
            self.read(event.data.u64() as usize)?;
        }
        self.events = events;
        Ok(())
    }

    /// Lets a connection read, and answer or publish.
    fn read(&mut self, number: usize) -> Result<(), String> {
        let count = self.let_act(number, Connection::take_turn)?;
        let waits_for = self.connections[number].waits_for();
        let now = self.now;
        let done = self.publications.as_mut().map(|publications| publications.received(count.into(), waits_for, now));
        match done {
            Some(done) if self.publishes => self.publish(done),
            _ => Ok(()),
        }
    }

    /// Lets a connection do something, and sees to it that epoll reports what it waits for.
    fn let_act<R>(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Connection, &mut Common<'a>) -> Result<R, String>,
    ) -> Result<R, String> {
        let connection = &mut self.connections[number];
        let was_blocked = connection.is_blocked();
        let done = act(connection, &mut self.common).map_err(|why| format!("connection {number}: {why}"))?;
        if connection.is_blocked() == was_blocked {
            return Ok(done);
        }
        let writable = if was_blocked { epoll::EventFlags::empty() } else { epoll::EventFlags::OUT };
        let data = epoll::EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, &connection.stream, data, epoll::EventFlags::IN | writable).map_err(complain)?;
        Ok(done)
    }

    fn own_cpu(&self) -> Duration {
        self.busy + self.busy_since.map_or(Duration::ZERO, |since| cpu::own_time() - since)
    }

    fn missing(&self) -> usize {
        self.connections.iter().map(Connection::waits_for).sum()
    }
}

fn complain(error: rustix::io::Errno) -> String {
    format!("epoll: {error}")
}

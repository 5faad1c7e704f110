//! All connections, and the time.

use std::mem;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::connection::{Common, Connection};
use crate::cpu;
use crate::latencies::Latencies;
use crate::messages::Messages;
use crate::opening::PATIENCE;
use crate::options::Options;

pub struct Outcome {
    pub latencies: Latencies,
    pub took: Duration,
    pub server_cpu: Option<Duration>,
    /// This program's own, without the waiting.
    pub own_cpu: Duration,
}

pub fn run(options: &Options, messages: &Messages, connections: &mut [Connection]) -> Result<Outcome, String> {
    let mut load = Load::new(messages, connections)?;
    for number in 0..load.connections.len() {
        load.let_act(number, |connection, common| connection.send(options.in_flight, Instant::now(), common))?;
    }
    load.go_on_for(options.warm_up)?;

    load.common.latencies = Latencies::new();
    let server_cpu = || options.server.map(cpu::time_of).transpose();
    let (server_before, own_before, start) = (server_cpu()?, load.own_cpu(), Instant::now());
    load.go_on_for(options.measured)?;
    let (took, own_cpu) = (start.elapsed(), load.own_cpu() - own_before);
    let server_cpu = server_cpu()?.zip(server_before).map(|(after, before)| after - before);
    let latencies = mem::replace(&mut load.common.latencies, Latencies::new());

    load.common.goes_on = false;
    while load.missing() > 0 {
        load.turn()?;
    }
    Ok(Outcome { latencies, took, server_cpu, own_cpu })
}

struct Load<'a> {
    connections: &'a mut [Connection],
    common: Common<'a>,
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
        Ok(Self { connections, common, epoll, events, now, last_work: now, busy_since: None, busy: Duration::ZERO })
    }

    fn go_on_for(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        while self.now < end {
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
            self.let_act(event.data.u64() as usize, Connection::take_turn)?;
        }
        self.events = events;
        Ok(())
    }

    /// Lets a connection do something, and sees to it that epoll reports what it waits for.
    fn let_act(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Connection, &mut Common<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        let connection = &mut self.connections[number];
        let was_blocked = connection.is_blocked();
        act(connection, &mut self.common).map_err(|why| format!("connection {number}: {why}"))?;
        if connection.is_blocked() == was_blocked {
            return Ok(());
        }
        let writable = if was_blocked { epoll::EventFlags::empty() } else { epoll::EventFlags::OUT };
        let data = epoll::EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, &connection.stream, data, epoll::EventFlags::IN | writable).map_err(complain)
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

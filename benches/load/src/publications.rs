//! Messages that are on the way to many connections.

use std::collections::VecDeque;
use std::time::Instant;

use crate::latencies::Latencies;

struct Publication {
    at: Instant,
    /// How many have not got it yet.
    left: usize,
}

pub struct Publications {
    connections: usize,
    /// Those that somebody has not got yet. Everybody gets them in this order.
    open: VecDeque<Publication>,
    /// When the last one had them.
    pub latencies: Latencies,
}

impl Publications {
    pub fn new(connections: usize) -> Self {
        Self { connections, open: VecDeque::new(), latencies: Latencies::new() }
    }

    pub fn begin(&mut self, at: Instant) {
        self.open.push_back(Publication { at, left: self.connections });
    }

    /// A connection has got `count` more, and `waits_for` so many that are on the way. Returns how many all have now.
    pub fn received(&mut self, count: usize, waits_for: usize, now: Instant) -> usize {
        let end = self.open.len() - waits_for;
        self.open.range_mut(end - count..end).for_each(|publication| publication.left -= 1);
        let done = self.open.iter().take_while(|publication| publication.left == 0).count();
        self.open.drain(..done).for_each(|publication| self.latencies.add(now - publication.at));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_done_when_all_have_it() {
        let mut publications = Publications::new(2);
        let now = Instant::now();
        (0..3).for_each(|_| publications.begin(now));
        assert_eq!(publications.received(2, 1, now), 0);
        assert_eq!(publications.received(1, 2, now), 1);
        assert_eq!(publications.received(0, 2, now), 0);
        assert_eq!(publications.received(1, 0, now), 0);
        assert_eq!(publications.received(2, 0, now), 2);
        assert_eq!(publications.latencies.count(), 3);
    }
}

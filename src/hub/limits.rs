//! How much a hub takes upon itself.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::IpAddr;

use super::Hub;
use super::slots::Flags;
use crate::error::Error;

/// How much a hub takes upon itself. By default it is as much as the system lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections there are when nobody is let in any more; others wait until one leaves.
    pub max_connections: usize,
    /// How many clients are let in from one address at a time, of IPv6 from one network of 64 bits; others are turned away.
    pub max_per_address: usize,
    /// How many bytes the connections may hold together: what was received of messages that are not complete, and what waits
    /// to be written. Beyond it those are ended that hold the most.
    pub max_memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_connections: usize::MAX, max_per_address: usize::MAX, max_memory: usize::MAX }
    }
}

/// How many clients each address has. Only if there is a limit for it.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    counts: HashMap<u64, usize>,
    /// From where the client in each slot is; 0 if it is not counted.
    of_slots: Vec<u64>,
}

impl Hosts {
    /// Counts a client, if its address does not have too many. Returns whether it is let in.
    pub(super) fn admit(&mut self, index: u32, address: IpAddr, max: usize) -> bool {
        if max == usize::MAX {
            return true;
        }
        let host = host(address);
        let len = (index as usize).saturating_add(1);
        let has_room = self.counts.try_reserve(1).is_ok()
            && self.of_slots.try_reserve(len.saturating_sub(self.of_slots.len())).is_ok();
        let count = self.counts.get(&host).copied().unwrap_or_default();
        if !has_room || count >= max {
            return false;
        }
        self.of_slots.resize(len.max(self.of_slots.len()), 0);
        if let Some(place) = self.of_slots.get_mut(index as usize) {
            *place = host;
        }
        self.counts.insert(host, count.saturating_add(1));
        true
    }

    /// Counts the client in a slot no more.
    pub(super) fn forget(&mut self, index: u32) {
        let Some(host) = self.of_slots.get_mut(index as usize).map(std::mem::take).filter(|&host| host != 0) else {
            return;
        };
        match self.counts.get_mut(&host) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => drop(self.counts.remove(&host)),
        }
    }
}

/// An address as one number, never 0. One with IPv6 has a network of its own, in which it has as many as it likes.
fn host(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // Nobody's address begins like this.
        IpAddr::V4(address) => 0xffff_0000_0000_0000 | u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or_default().max(1),
    }
}

impl Hub {
    /// Takes down how much memory a connection holds.
    pub(super) fn note_held(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let held = slot.connection.as_ref().filter(|_| !slot.flags.has(Flags::ENDED)).map_or(0, |c| c.held_len());
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        let before = std::mem::replace(&mut slot.held, held);
        self.held_len = self.held_len.saturating_sub(before as usize).saturating_add(held as usize);
    }

    /// Ends those who hold the most, until all hold no more than they may.
    pub(super) fn keep_to_memory(&mut self) {
        while self.held_len > self.limits.max_memory {
            let all = 0..u32::try_from(self.slots.capacity()).unwrap_or(u32::MAX);
            let held = |index: &u32| self.slots.get(*index).map_or(0, |slot| slot.held);
            let Some(most) = all.max_by_key(held).filter(|index| held(index) > 0) else { return };
            self.give_up(most, Error::HoldsTheMost);
        }
    }

    /// Ends a connection for a reason of the hub's.
    pub(super) fn give_up(&mut self, index: u32, error: Error) {
        if let Some(connection) = self.slots.get_mut(index).and_then(|slot| slot.connection.as_mut()) {
            connection.give_up(error);
        }
        self.end(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_more_than_it_may() {
        let mut hosts = Hosts::default();
        let [one, same, other] = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        assert!(hosts.admit(0, one, 2) && hosts.admit(7, same, 2) && hosts.admit(3, other, 2));
        assert!(!hosts.admit(4, one, 2));
        hosts.forget(4);
        assert!(!hosts.admit(4, one, 2));
        hosts.forget(7);
        hosts.forget(7);
        assert!(hosts.admit(4, one, 2) && !hosts.admit(7, one, 2));
        for index in [0, 3, 4] {
            hosts.forget(index);
        }
        assert!(hosts.counts.is_empty());
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::2:0:0:3", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        assert_eq!(host(one), host(same));
        assert_ne!(host(one), host(other));
        assert_ne!(host("::1".parse().unwrap()), 0);
    }
}

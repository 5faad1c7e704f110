//! Who wants to hear of what.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::slots::{Slots, Subscription};
use crate::error::Error;
use crate::memory::{copied, push};

/// The members of a topic, as slots.
#[derive(Debug, Default)]
struct Topic {
    name: Vec<u8>,
    members: Vec<u32>,
}

/// All topics that have members.
#[derive(Debug, Default)]
pub(super) struct Topics {
    numbers: HashMap<Vec<u8>, u32>,
    topics: Vec<Topic>,
    /// Topics that have no name any more.
    unused: Vec<u32>,
}

impl Topics {
    /// The members of a topic, in no order.
    pub(super) fn members(&self, name: &[u8]) -> &[u32] {
        self.numbers.get(name).and_then(|&topic| self.get(topic)).map_or(&[], |topic| &topic.members)
    }

    /// Adds a member, unless it is one.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn subscribe(&mut self, slots: &mut Slots, index: u32, name: &[u8]) -> Result<(), Error> {
        let Some(slot) = slots.get_mut(index) else { return Ok(()) };
        let known = self.numbers.get(name).copied();
        let subscriptions = &mut slot.rare()?.subscriptions;
        if subscriptions.iter().any(|subscription| Some(subscription.topic) == known) {
            return Ok(());
        }
        subscriptions.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        let topic = match known {
            Some(topic) => topic,
            None => self.begin(name)?,
        };
        let place = self.get_mut(topic).and_then(|topic| {
            topic.members.try_reserve(1).ok()?;
            topic.members.push(index);
            u32::try_from(topic.members.len().saturating_sub(1)).ok()
        });
        let Some(place) = place else {
            self.end_if_empty(topic);
            return Err(Error::OutOfMemory);
        };
        subscriptions.push(Subscription { topic, place });
        Ok(())
    }

    /// Takes a member away, if it is one.
    pub(super) fn unsubscribe(&mut self, slots: &mut Slots, index: u32, name: &[u8]) {
        let Some(&topic) = self.numbers.get(name) else { return };
        let Some(subscriptions) = subscriptions_of(slots, index) else { return };
        let Some(at) = subscriptions.iter().position(|subscription| subscription.topic == topic) else { return };
        let subscription = subscriptions.swap_remove(at);
        self.leave(slots, subscription);
    }

    /// Takes a member away from all topics.
    pub(super) fn unsubscribe_all(&mut self, slots: &mut Slots, index: u32) {
        let Some(subscriptions) = subscriptions_of(slots, index).map(std::mem::take) else { return };
        for subscription in subscriptions {
            self.leave(slots, subscription);
        }
    }

    /// Takes a member from a topic; the last one takes its place.
    fn leave(&mut self, slots: &mut Slots, Subscription { topic, place }: Subscription) {
        let Some(found) = self.get_mut(topic).filter(|found| (place as usize) < found.members.len()) else { return };
        found.members.swap_remove(place as usize);
        if let Some(&moved) = found.members.get(place as usize)
            && let Some(subscriptions) = subscriptions_of(slots, moved)
            && let Some(its) = subscriptions.iter_mut().find(|its| its.topic == topic)
        {
            its.place = place;
        }
        self.end_if_empty(topic);
    }

    fn begin(&mut self, name: &[u8]) -> Result<u32, Error> {
        self.numbers.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        let (key, name) = (copied(name)?, copied(name)?);
        let number = match self.unused.pop() {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.topics.len()).map_err(|_| Error::OutOfMemory)?;
                // So that it can be given back.
                self.unused.try_reserve(self.topics.len().saturating_add(1)).map_err(|_| Error::OutOfMemory)?;
                push(&mut self.topics, Topic::default())?;
                number
            }
        };
        if let Some(topic) = self.get_mut(number) {
            topic.name = name;
        }
        self.numbers.insert(key, number);
        Ok(number)
    }

    fn end_if_empty(&mut self, number: u32) {
        let Some(topic) = self.get_mut(number).filter(|topic| topic.members.is_empty()) else { return };
        let name = std::mem::take(topic).name;
        self.numbers.remove(&name);
        // There is room: see begin().
        self.unused.push(number);
    }

    fn get(&self, topic: u32) -> Option<&Topic> {
        self.topics.get(topic as usize)
    }

    fn get_mut(&mut self, topic: u32) -> Option<&mut Topic> {
        self.topics.get_mut(topic as usize)
    }
}

fn subscriptions_of(slots: &mut Slots, index: u32) -> Option<&mut Vec<Subscription>> {
    Some(&mut slots.get_mut(index)?.rare.as_mut()?.subscriptions)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::connection::{Config, Connection, Role};
    use proptest::prelude::*;
    use socket2::{Domain, Socket, Type};
    use std::collections::BTreeSet;

    fn slots(count: usize) -> Slots {
        let mut slots = Slots::new();
        slots.grow().unwrap();
        for _ in 0..count {
            let (socket, _) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
            slots.insert(Connection::new(Role::Server, &Config::default()).unwrap(), Some(socket), 0).unwrap();
        }
        slots
    }

    proptest! {
        #[test]
        fn the_members_are_those_that_came_and_did_not_leave(
            steps in prop::collection::vec((0_u32..8, 0_u8..4, 0_u8..5), 1..100)
        ) {
            let (mut topics, mut slots) = (Topics::default(), slots(8));
            let mut expected = BTreeSet::new();
            for (index, name, step) in steps {
                match step {
                    0..=2 => {
                        topics.subscribe(&mut slots, index, &[name]).unwrap();
                        expected.insert((name, index));
                    }
                    3 => {
                        topics.unsubscribe(&mut slots, index, &[name]);
                        expected.remove(&(name, index));
                    }
                    _ => {
                        topics.unsubscribe_all(&mut slots, index);
                        expected.retain(|(_, member)| *member != index);
                    }
                }
                let members: BTreeSet<(u8, u32)> =
                    (0..4).flat_map(|name| topics.members(&[name]).iter().map(move |&member| (name, member))).collect();
                prop_assert_eq!(&members, &expected);
                let names: BTreeSet<u8> = expected.iter().map(|(name, _)| *name).collect();
                prop_assert_eq!(topics.numbers.len(), names.len(), "a topic without members takes no memory");
            }
        }
    }
}

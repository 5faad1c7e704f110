//! What there is to know of a connection beside the connection.

#![forbid(unsafe_code)]

use std::fmt::Write;

use socket2::SockAddr;

use super::Hub;
use super::slots::Slot;
use crate::error::Error;

/// An address is no longer: of Unix sockets the system allows less than half of it.
const MAX_ADDRESS_LEN: usize = 256;

impl Hub {
    /// Where the peer of a connection is, as [`Hub::listen`] writes it: `192.0.2.1:50000`, `[2001:db8::1]:50000`, or `unix:` with
    /// the path of its socket, if that has one; if a proxy was to say where it is, that. `None` if it is not connected, or the
    /// connection is gone.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn address(&mut self, id: u64) -> Result<Option<&str>, Error> {
        self.owner.check()?;
        let slot = self.slots.find(id).and_then(|index| self.slots.get(index)).filter(|slot| slot.is_alive());
        let known = slot.and_then(|slot| slot.rare.as_ref()?.address).map(SockAddr::from);
        let peer = || slot.and_then(|slot| slot.socket.as_ref()).and_then(|socket| socket.peer_addr().ok());
        let Some(address) = known.or_else(peer) else { return Ok(None) };
        self.text.clear();
        self.text.try_reserve(MAX_ADDRESS_LEN).map_err(|_| Error::OutOfMemory)?;
        write_address(&address, &mut self.text);
        Ok(Some(&self.text))
    }

    /// Keeps a number with a connection, for as long as [`Hub::connection`] finds it: whatever the application needs to find
    /// what it knows of it. Returns whether the connection is there.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn set_user(&mut self, id: u64, user: usize) -> Result<bool, Error> {
        self.owner.check()?;
        let Some(slot) = self.slots.find(id).and_then(|index| self.slots.get_mut(index)) else { return Ok(false) };
        slot.rare()?.user = user;
        Ok(true)
    }

    /// The number that is kept with a connection; 0 if there is none, or the connection is gone.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    #[inline]
    pub fn user(&self, id: u64) -> Result<usize, Error> {
        self.owner.check()?;
        let slot = self.slots.find(id).and_then(|index| self.slots.get(index));
        Ok(slot.and_then(|slot| slot.rare.as_ref()).map_or(0, |rare| rare.user))
    }

    /// Ends TCP at once, without a word to the peer. Returns whether the connection was still there.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn terminate(&mut self, id: u64) -> Result<bool, Error> {
        self.owner.check()?;
        let found = self.slots.find(id);
        let Some(index) = found.filter(|&index| self.slots.get(index).is_some_and(Slot::is_alive)) else {
            return Ok(false);
        };
        self.end(index);
        self.ring();
        Ok(true)
    }
}

fn write_address(address: &SockAddr, text: &mut String) {
    // Into a string that has room for all of them nothing fails to be written.
    let _ = match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => write!(text, "{address}"),
        (None, Some(path)) => write!(text, "unix:{}", path.display()),
        (None, None) => text.write_str("unix:"),
    };
}

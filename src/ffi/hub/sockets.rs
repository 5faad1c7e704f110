//! Hub: how connections come about.

use std::os::fd::BorrowedFd;

use libc::{c_int, c_void, ptrdiff_t, size_t};

use super::super::boundary::{bytes, place, returned};
use super::super::handles::{on_hub, wsframe_hub};
use super::super::records::{ListenFlag, role_of, wsframe_config};
use crate::error::Error;
use crate::hub::{Adopted, Hub};

/// Listens at an address: "127.0.0.1:8080", "[::1]:8080", "[::]:8080", which takes IPv4 as well, or "unix:/run/chat.socket". Names
/// are not looked up. Port 0 lets the system choose. The file of a Unix socket that a server has left over is replaced, one at
/// which somebody listens is not; it stays when the hub ends.
///
/// The clients that come by it are served with this config, which may be NULL for the defaults. flags is 0 or any
/// of WSFRAME_LISTEN_*. Nobody is let in before the next wsframe_hub_poll(). A hub may listen at several addresses.
///
/// Returns the port, 0 for a Unix socket.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if the address is none, flags has an unknown bit, or the config is wrong, of which wsframe_why()
/// says how; WSFRAME_ERROR_IO if the system refuses, of which errno says why, for instance EADDRINUSE; WSFRAME_ERROR_STATE if the
/// hub was stopped, or is not of this thread or process; WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, address has its length, config is NULL or points to a config.
#[allow(rustdoc::broken_intra_doc_links, reason = "[::] is no link")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_listen(
    hub: *mut wsframe_hub,
    address: *const c_void,
    address_len: size_t,
    flags: u32,
    config: *const wsframe_config,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        // SAFETY: the caller guarantees address_len readable bytes.
        let address = unsafe { bytes(address, address_len) }?;
        let address = std::str::from_utf8(address).map_err(|_| Error::InvalidAddress)?;
        let listening = ListenFlag::read(flags)?;
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        hub.listen(address, listening, config).map(usize::from)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Serves a socket that somebody else has opened: one that listens, as a service manager passes it on, or one that is connected.
/// role is WSFRAME_ROLE_SERVER, or WSFRAME_ROLE_CLIENT if this end has connected. For one that listens, flags are as for
/// wsframe_hub_listen(). The hub makes a descriptor of its own for it: close yours whenever you like. Connections have this
/// config, which may be NULL for the defaults.
///
/// *id is written: the id of the connection, or 0 if the socket listens. A client whose config does not have
/// WSFRAME_CONFIG_START_OPEN is to send its request by wsframe_hub_connection() and wsframe_connection_request().
///
/// Returns the port at which the socket listens; 0 for a Unix socket or a connection.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if role is another number, flags has an unknown bit, the config is wrong, fd is less than 0 or a pointer is NULL;
/// WSFRAME_ERROR_IO if it is no socket of a stream, or listens for a client; WSFRAME_ERROR_STATE as wsframe_hub_listen();
/// WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, config is NULL or points to a config, id to a number that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_adopt(
    hub: *mut wsframe_hub,
    fd: c_int,
    role: u32,
    flags: u32,
    config: *const wsframe_config,
    id: *mut u64,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        let out = place(id)?;
        if fd < 0 {
            return Err(Error::NoDescriptor);
        }
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        // SAFETY: not -1. That it is open shows when it is looked at, which is all that is done with it.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let (id, port) = match hub.adopt(fd, role_of(role)?, ListenFlag::read(flags)?, config)? {
            Adopted::Listener(port) => (0, port),
            Adopted::Connection(id) => (id, 0),
        };
        // SAFETY: not NULL, and the caller guarantees that a number can be written there.
        unsafe { out.write(id) };
        Ok(port.into())
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Makes a client's connection to a URL, "wss://example.com/chat?room=1" or "ws://127.0.0.1:8080/", and writes its id to *id. It does
/// not wait: the connection has its events like all others. WSFRAME_EVENT_OPEN tells that the server has accepted,
/// WSFRAME_EVENT_ERROR that it has not. WSFRAME_EVENT_GONE comes in any case in the end, with WSFRAME_ERROR_IO if nobody could be
/// reached, of which wsframe_connection_error() says why, or WSFRAME_ERROR_HANDSHAKE if TLS did not come about: with wss:// the
/// server has to show a certificate for the name in the URL, of somebody whom the system trusts.
///
/// A name is looked up by threads of the hub's; its addresses are tried one after the other, each for its part of
/// handshake_timeout_ms. If address_len is not 0 the connection goes to that address instead, "127.0.0.1:8080" or
/// "unix:/run/chat.socket", and the URL says only what is asked for there.
///
/// Until the next wsframe_hub_poll() fields can be added to the request: wsframe_hub_connection(), wsframe_connection_add_field().
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if the URL or the address is none, the config is wrong, of which wsframe_why() says how, or a
/// pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_listen(), and for wss:// if the library was built without TLS;
/// WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, url and address have their lengths, config is NULL or points to a config, id to a number that can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_connect(
    hub: *mut wsframe_hub,
    url: *const c_void,
    url_len: size_t,
    address: *const c_void,
    address_len: size_t,
    config: *const wsframe_config,
    id: *mut u64,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        let out = place(id)?;
        // SAFETY: the caller guarantees url_len readable bytes.
        let url = unsafe { bytes(url, url_len) }?;
        let url = std::str::from_utf8(url).map_err(|_| Error::InvalidUrl)?;
        // SAFETY: the caller guarantees address_len readable bytes.
        let address = unsafe { bytes(address, address_len) }?;
        let address = std::str::from_utf8(address).map_err(|_| Error::InvalidAddress)?;
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        let id = hub.connect(url, Some(address).filter(|address| !address.is_empty()), &config)?;
        // SAFETY: not NULL, and the caller guarantees that a number can be written there.
        unsafe { out.write(id) };
        Ok(0)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// From now on TLS is spoken by those who listen at this port, with these certificates, the server's own first and then those that
/// lead to somebody who is trusted, and the private key of the first, in PEM. A second call changes them for clients that are
/// let in from then on: nobody is dropped. What it takes for TLS, some kilobytes for each connection, is allocated by a library
/// that ends the process where memory ends.
///
/// A client that does not speak TLS is answered in plain HTTP that it should.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if the certificates or the key are none or do not belong together, nobody listens at the port, or
/// a pointer is NULL; WSFRAME_ERROR_STATE if the library was built without TLS, and as wsframe_hub_connection().
///
/// # Safety
///
/// hub is a live handle, chain and key have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_set_certificate(
    hub: *mut wsframe_hub,
    port: u16,
    chain: *const c_void,
    chain_len: size_t,
    key: *const c_void,
    key_len: size_t,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        // SAFETY: the caller guarantees chain_len readable bytes.
        let chain = unsafe { bytes(chain, chain_len) }?;
        // SAFETY: the caller guarantees key_len readable bytes.
        let key = unsafe { bytes(key, key_len) }?;
        hub.set_certificate(port, chain, key).map(|()| 0)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Trusts these certificates, in PEM, to say who a server is when wsframe_hub_connect() goes to wss://, beside those that the system
/// trusts: for a server with a certificate of your own.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if there is none, or a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_set_certificate().
///
/// # Safety
///
/// hub is a live handle, certificates has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_trust(
    hub: *mut wsframe_hub,
    certificates: *const c_void,
    certificates_len: size_t,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees certificates_len readable bytes.
    let call = |hub: &mut Hub| hub.trust(unsafe { bytes(certificates, certificates_len) }?).map(|()| 0);
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

//! TLS, of which the connections do not know: bytes are deciphered when they are read, and enciphered when they are written.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, InvalidMessage, RootCertStore, ServerConfig, ServerConnection};
use socket2::Socket;

use super::socket::send;
use crate::error::Error;

/// What a server proves with who it is.
#[derive(Clone, Debug)]
pub(super) struct Identity(Arc<ServerConfig>);

impl Identity {
    /// Reads certificates, the server's own first, and its private key, in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCertificate`].
    pub(super) fn read(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Error::InvalidCertificate)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|versions| versions.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|_| Error::InvalidCertificate)?;
        Ok(Self(Arc::new(config)))
    }

    /// Begins with a client.
    pub(super) fn begin(&self) -> Result<Tls, Error> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).map_err(|_| Error::TlsBroken)?;
        Ok(Tls { connection: connection.into(), failure: None })
    }
}

/// Whom clients trust to say who a server is: whoever the system trusts, and who was added.
#[derive(Debug, Default)]
pub(super) struct Trust {
    added: Vec<CertificateDer<'static>>,
    /// Made when it is needed: to read what the system has takes some milliseconds.
    config: Option<Arc<ClientConfig>>,
}

impl Trust {
    /// Trusts these, in PEM, as well.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCertificate`].
    pub(super) fn add(&mut self, pem: &[u8]) -> Result<(), Error> {
        let added = certificates(pem)?;
        self.added.extend(added);
        self.config = None;
        Ok(())
    }

    /// Begins with the server that has this name or address.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`] if no certificate can have it; [`Error::TlsBroken`].
    pub(super) fn begin(&mut self, name: &str) -> Result<Tls, Error> {
        let name = ServerName::try_from(name).map_err(|_| Error::InvalidUrl)?.to_owned();
        let config = match &self.config {
            Some(config) => Arc::clone(config),
            None => Arc::clone(self.config.insert(Arc::new(self.make()?))),
        };
        let connection = ClientConnection::new(config, name).map_err(|_| Error::TlsBroken)?;
        Ok(Tls { connection: connection.into(), failure: None })
    }

    fn make(&self) -> Result<ClientConfig, Error> {
        let mut roots = RootCertStore::empty();
        // A system without any, or with some that are broken, trusts the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.added.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(|_| Error::TlsBroken)?;
        Ok(versions.with_root_certificates(roots).with_no_client_auth())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|all| !all.is_empty()).ok_or(Error::InvalidCertificate)
}

/// What is between a connection and its socket.
#[derive(Debug)]
pub(super) struct Tls {
    connection: rustls::Connection,
    /// Why it cannot go on.
    pub(super) failure: Option<Error>,
}

impl Tls {
    /// Reads what the peer has said, as [`Read::read`] does.
    ///
    /// # Errors
    ///
    /// As there; [`Tls::failure`] says why it was not the socket's fault.
    pub(super) fn read(&mut self, mut socket: &Socket, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Whoever closes TCP without a word of TLS may have been cut off; that his messages are whole is seen
                // from their frames.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if self.connection.read_tls(&mut socket)? == 0 {
                return Ok(0);
            }
            if let Err(error) = self.connection.process_new_packets() {
                let cause = self.cause(&error);
                self.failure = Some(cause);
                // The peer is told, if it speaks TLS and takes that.
                if cause != Error::PlainToTls {
                    let _ = self.flush(socket);
                }
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }

    /// Takes what is to be written, as much as there is room for, and returns how much. [`Tls::flush`] writes it.
    ///
    /// # Errors
    ///
    /// That there is no connection any more.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(parts)
    }

    /// Writes what waits, and returns whether that is all of it.
    ///
    /// # Errors
    ///
    /// That the peer is gone.
    pub(super) fn flush(&mut self, socket: &Socket) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Sink(socket)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                written => written.map(drop)?,
            }
        }
        Ok(true)
    }

    /// Whether all that was said is written.
    pub(super) fn is_flushed(&self) -> bool {
        !self.connection.wants_write()
    }

    /// Says that nothing more will be written.
    pub(super) fn close(&mut self, socket: &Socket) {
        self.connection.send_close_notify();
        let _ = self.flush(socket);
    }

    fn cause(&self, error: &rustls::Error) -> Error {
        let is_server = matches!(self.connection, rustls::Connection::Server(_));
        match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) if self.connection.is_handshaking() => {
                if is_server {
                    Error::PlainToTls
                } else {
                    Error::TlsToPlain
                }
            }
            rustls::Error::InvalidCertificate(_) => Error::UntrustedCertificate,
            rustls::Error::AlertReceived(_) => Error::TlsRefused,
            _ => Error::TlsBroken,
        }
    }
}

/// A socket that is written to without a signal if the peer is gone.
struct Sink<'a>(&'a Socket);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match send(self.0, parts)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            sent => Ok(sent),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Sockets of the wire protocol.

use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, UnixListener};

use super::Stream;
use crate::config::WireAddress;
use crate::server::{bind, prepare};

/// A socket to listen on. Its file, if it has one, goes with it.
#[derive(Debug)]
pub enum WireListener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// The file of a Unix socket, removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl WireListener {
    /// Opens the socket. A file that an earlier server has left is taken over, one that a
    /// server listens on is not.
    pub fn bind(address: &WireAddress) -> io::Result<Self> {
        match address {
            WireAddress::Tcp(address) => bind(*address).map(Self::Tcp),
            WireAddress::Unix(path) => {
                let is_socket =
                    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
                if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
                    std::fs::remove_file(path)?;
                }
                let listener = std::os::unix::net::UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    /// The address as clients are to be told.
    pub fn address(&self) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(|address| address.to_string()),
            Self::Unix(_, file) => Ok(format!("unix:{}", file.0.display())),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// All sockets of the wire protocol.
pub(in crate::server) struct Accepting(Vec<Listener>);

enum Listener {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removes the file")] SocketFile,
    ),
}

impl Accepting {
    pub(in crate::server) fn new(listeners: Vec<WireListener>) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(|listener| {
            Ok(match listener {
                WireListener::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?),
                WireListener::Unix(listener, file) => {
                    Listener::Unix(UnixListener::from_std(listener)?, file)
                }
            })
        });
        listeners.collect::<io::Result<_>>().map(Self)
    }

    /// The next connection. Never returns if there is no socket.
    pub(in crate::server) async fn accept(&self) -> io::Result<Stream> {
        poll_fn(|cx| {
            for listener in &self.0 {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map(|accepted| {
                let (stream, _) = accepted?;
                prepare(&stream)?;
                Ok(Stream::Tcp(stream))
            }),
            Self::Unix(listener, _) => listener
                .poll_accept(cx)
                .map(|accepted| Ok(Stream::Unix(accepted?.0))),
        }
    }
}

//! A WebSocket as a stream of bytes, for a client that knows what a message must hold.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Bytes, Error, Message};

/// Each write is a message. Reading tells neither where one ends nor what the close says.
#[derive(Debug)]
pub struct WebSocket {
    socket: tungstenite::WebSocket<TcpStream>,
    message: Bytes,
    /// What the server said when it closed.
    pub closed: Option<CloseFrame>,
}

impl WebSocket {
    /// Asks a server for one.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .max_frame_size(None)
            .max_message_size(None);
        let url = format!("ws://{server}/wire");
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            socket,
            message: Bytes::new(),
            closed: None,
        })
    }

    /// The socket beneath.
    pub fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    /// Sends a message of any kind.
    pub fn send(&mut self, message: Message) -> io::Result<()> {
        self.socket.send(message).map_err(io_error)
    }

    /// The next binary message; `None` at the end.
    pub fn message(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(message)) => return Ok(Some(message)),
                Ok(Message::Close(frame)) => self.closed = frame,
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(None),
                Err(error) => return Err(io_error(error)),
            }
        }
    }
}

impl Read for WebSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.message.is_empty() {
            match self.message()? {
                Some(message) => self.message = message,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.message.len());
        buffer[..length].copy_from_slice(&self.message.split_to(length));
        Ok(length)
    }
}

impl Write for WebSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Message::Binary(Bytes::copy_from_slice(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().map_err(io_error)
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}

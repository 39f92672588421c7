//! A WebSocket as a stream of bytes. Its messages hold whole frames, in both directions.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use burrow_core::wire::WELCOME_BYTES;
use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::stream::Carrier;
use crate::server::stream::PeerStream;

/// Bytes that are read at once. Every connection has room for so many.
const READ_BYTES: usize = 8 << 10;
/// Further frames go into another message.
const MESSAGE_BYTES: usize = 64 << 10;
/// A message makes progress if so much of it arrives in time.
const PROGRESS_BYTES: usize = 64 << 10;
/// What stands before each frame.
const LENGTH_BYTES: usize = size_of::<u32>();

pub(in crate::server) struct WebSocket {
    socket: WebSocketStream<PeerStream>,
    /// What was not read yet of the last message.
    message: Bytes,
    /// Bytes of the message that is arriving.
    arriving: usize,
    /// Bytes of it that were counted as progress.
    progress: usize,
    /// A pong is on its way. Whoever takes none is not read.
    is_ponging: bool,
    has_welcomed: bool,
}

impl WebSocket {
    /// A WebSocket on a stream of which some was read already. `longest` bounds its messages.
    pub(in crate::server) async fn new(stream: PeerStream, read: Vec<u8>, longest: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest));
        let socket = WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config));
        Self {
            socket: socket.await,
            message: Bytes::new(),
            arriving: 0,
            progress: 0,
            is_ponging: false,
            has_welcomed: false,
        }
    }

    /// The next message; `None` when the client has closed its side.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            if self.is_ponging {
                ready!(self.poll_flush_all(cx))?;
                self.is_ponging = false;
            }
            let next = self.poll_next(cx);
            if next.is_pending() {
                self.note_progress();
            }
            match ready!(next) {
                Some(Ok(Message::Binary(message))) => {
                    self.arriving = 0;
                    self.progress = 0;
                    return Poll::Ready(Ok(Some(message)));
                }
                Some(Ok(Message::Ping(_))) => {
                    self.count_request();
                    self.is_ponging = true;
                }
                Some(Ok(Message::Text(_)) | Err(Error::Utf8(_))) => {
                    let reason = "The wire protocol is in binary messages";
                    return Poll::Ready(Err(self.refuse(CloseCode::Unsupported, reason)));
                }
                // What is next is the end.
                Some(Ok(Message::Close(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(Error::Capacity(error))) => {
                    let error = self.refuse(CloseCode::Size, &error.to_string());
                    return Poll::Ready(Err(error));
                }
                None | Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                    return Poll::Ready(Ok(None));
                }
                Some(Err(Error::Io(error))) => return Poll::Ready(Err(error)),
                Some(Err(error)) => {
                    let error = self.refuse(CloseCode::Protocol, &error.to_string());
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        let activity = &self.socket.get_ref().peer().activity;
        let before = activity.bytes_in.load(Relaxed);
        let next = Pin::new(&mut self.socket).poll_next(cx);
        let activity = &self.socket.get_ref().peer().activity;
        let received = activity.bytes_in.load(Relaxed).saturating_sub(before);
        self.arriving += usize::try_from(received).unwrap_or(usize::MAX);
        next
    }

    /// Lets [`watch`](crate::server::watch) see that a long message comes along.
    fn note_progress(&mut self) {
        if self.arriving - self.progress >= PROGRESS_BYTES {
            self.progress = self.arriving;
            self.count_request();
        }
    }

    fn count_request(&self) {
        let activity = &self.socket.get_ref().peer().activity;
        activity.requests.fetch_add(1, Relaxed);
    }

    /// Says why the connection is closed; it goes out when it is shut down.
    fn refuse(&mut self, code: CloseCode, reason: &str) -> io::Error {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(reason),
        };
        match Pin::new(&mut self.socket).start_send(Message::Close(Some(frame))) {
            Ok(()) => io::Error::new(io::ErrorKind::InvalidData, reason.to_owned()),
            Err(error) => io::Error::other(error),
        }
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(io::Error::other)?;
        self.socket.get_ref().peer().poll_send(cx)
    }
}

impl Carrier for WebSocket {
    fn arriving(&self) -> usize {
        self.arriving
    }

    fn must_be_whole(&self) -> bool {
        self.message.is_empty()
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        while own.message.is_empty() {
            match ready!(own.poll_message(cx))? {
                Some(message) => own.message = message,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = buf.remaining().min(own.message.len());
        buf.put_slice(&own.message.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    /// Sends one message. What is to be written must begin with a frame, and the first time
    /// with the welcome.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        ready!(Pin::new(&mut own.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let start = if own.has_welcomed { 0 } else { WELCOME_BYTES };
        let message = whole_frames(buf, start);
        own.has_welcomed = true;
        Pin::new(&mut own.socket)
            .start_send(Message::Binary(Bytes::copy_from_slice(message)))
            .map_err(io::Error::other)?;
        Poll::Ready(Ok(message.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_all(cx)
    }

    /// Says that nothing more comes, unless that was said already.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        ready!(Pin::new(&mut own.socket).poll_close(cx)).map_err(io::Error::other)?;
        own.socket.get_ref().peer().poll_send(cx)
    }
}

/// The frames behind `start` that one message holds: at least one, and no more than fit into
/// [`MESSAGE_BYTES`].
fn whole_frames(bytes: &[u8], start: usize) -> &[u8] {
    let mut end = start;
    while let Some(next) = frame_end(bytes, end)
        && (end == 0 || next <= MESSAGE_BYTES)
    {
        end = next;
    }
    // The refusal of a version is no frame.
    let is_frame = end > start;
    bytes.get(..end).filter(|_| is_frame).unwrap_or(bytes)
}

fn frame_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (length, _) = bytes.get(start..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let end = start.checked_add(LENGTH_BYTES)?.checked_add(length)?;
    (end <= bytes.len()).then_some(end)
}

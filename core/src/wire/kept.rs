//! A session that sleeps: what its host keeps of it while there is nothing to do.

use alloc::vec::Vec;

use super::Session;
use super::frame::Decoder;
use super::handshake::Offer;
use super::session::State;
use crate::codec::{Reader, put_bytes, put_varint};

/// What is kept is read by another version of the program, if a new one is deployed meanwhile.
const FORM: u8 = 1;

impl Session {
    /// All that makes the session, in some twenty bytes and what is [unread](Self::unread), for a
    /// host that [wakes](Self::wake) it later, elsewhere.
    pub fn keep(&self) -> Vec<u8> {
        let mut kept = Vec::from([FORM, state_code(self.state)]);
        put_varint(&mut kept, self.offer.max_frame_bytes.into());
        put_varint(&mut kept, self.offer.max_in_flight.into());
        put_varint(&mut kept, self.offer.max_batch_messages);
        put_varint(&mut kept, self.in_flight.into());
        kept.push(self.last_id.is_some().into());
        put_varint(&mut kept, self.last_id.unwrap_or_default());
        // Of what comes behind the end nothing is read.
        let is_over = self.state == State::Ended;
        let unread = if is_over { &[] } else { self.decoder.peek() };
        put_bytes(&mut kept, unread);
        kept
    }

    /// The session that was kept; `None` if these bytes are none.
    pub fn wake(kept: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(kept);
        if reader.byte()? != FORM {
            return None;
        }
        let state = state_of(reader.byte()?)?;
        let offer = Offer {
            max_frame_bytes: u32::try_from(reader.varint()?).ok()?,
            max_in_flight: u32::try_from(reader.varint()?).ok()?,
            max_batch_messages: reader.varint()?,
        };
        let in_flight = u32::try_from(reader.varint()?).ok()?;
        let has_id = reader.byte()? == 1;
        let last_id = reader.varint()?;
        let mut decoder = Decoder::new(offer.max_frame_bytes);
        decoder.received().extend_from_slice(reader.bytes()?);
        reader.is_empty().then_some(Self {
            offer,
            decoder,
            state,
            last_id: has_id.then_some(last_id),
            in_flight,
        })
    }
}

fn state_code(state: State) -> u8 {
    match state {
        State::Greeting => 0,
        State::Serving => 1,
        State::Stopping => 2,
        State::Ended => 3,
    }
}

fn state_of(code: u8) -> Option<State> {
    [
        State::Greeting,
        State::Serving,
        State::Stopping,
        State::Ended,
    ]
    .into_iter()
    .find(|state| state_code(*state) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Event, Failure, encode_hello, encode_ping};

    #[test]
    fn a_session_goes_on_where_it_fell_asleep() {
        let offer = Offer {
            max_in_flight: 7,
            ..Offer::default()
        };
        let mut session = Session::new(offer);
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        encode_hello(&mut sent);
        encode_ping(&mut sent, 300);
        // Within the ping.
        let (first, second) = sent.split_at(sent.len() - 1);
        session.received().extend_from_slice(first);
        assert_eq!(session.next(&mut out), Some(Event::Answered));
        assert_eq!(session.next(&mut out), None);
        let mut woken = Session::wake(&session.keep()).expect("it was kept");
        assert_eq!(woken.unread(), session.unread());
        woken.received().extend_from_slice(second);
        assert_eq!(woken.next(&mut out), Some(Event::Answered));
        assert_eq!(woken.unread(), 0);
        assert_eq!(woken.keep().len(), 13);
        woken.received().resize(1_000, 0);
        assert!(woken.keep().len() > 1_000);
        woken.end(&Failure::Busy, &mut out);
        assert_eq!(woken.keep().len(), 13);
    }

    #[test]
    fn a_frame_can_be_passed_on() {
        let mut session = Session::new(Offer::default());
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        encode_hello(&mut sent);
        session.received().extend_from_slice(&sent);
        assert_eq!(session.next(&mut out), Some(Event::Answered));
        let mut pings = Vec::new();
        encode_ping(&mut pings, 1);
        let first = pings.len();
        encode_ping(&mut pings, 300);
        session.received().extend_from_slice(&pings);
        for frame in [&pings[..first], &pings[first..]] {
            assert_eq!(session.next(&mut out), Some(Event::Answered));
            assert_eq!(session.last_frame(), frame);
        }
    }

    #[test]
    fn what_was_not_kept_wakes_nobody() {
        let kept = Session::new(Offer::default()).keep();
        assert!(Session::wake(&kept).is_some());
        for length in 0..kept.len() {
            assert!(Session::wake(&kept[..length]).is_none(), "{length}");
        }
        let longer = [kept.as_slice(), &[0]].concat();
        assert!(Session::wake(&longer).is_none());
        let mut other = kept.clone();
        other[0] = 2;
        assert!(Session::wake(&other).is_none());
        other[..2].copy_from_slice(&[FORM, 4]);
        assert!(Session::wake(&other).is_none());
    }
}

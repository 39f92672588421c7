use super::*;
use crate::state::place_of;
use crate::state::record::{Base, NEVER, Record};

/// Markers of messages that are nowhere.
struct Bed {
    markers: Markers,
    ids: Ids,
    blocks: Shelf<Block>,
}

impl Bed {
    fn new(maximum: u64) -> Self {
        Self {
            markers: Markers::new(maximum),
            ids: Ids::new(),
            blocks: Shelf::new(),
        }
    }

    /// With one message, that no id leads to: its key, and its place.
    fn with_message() -> (Self, u64, Place) {
        let mut bed = Self::new(1_000_000);
        let record = Record {
            id: b"again",
            position: 90,
            expires_at: NEVER,
            content_type: None,
            body: b"",
        };
        let mut block = Block::new(0, 1, Base::of(&record), false);
        let slot = block.push(&record);
        let key = block.key(slot);
        let place = place_of(bed.blocks.insert(block), slot);
        (bed, key, place)
    }

    /// The id leads to the message from now on.
    fn use_again(&mut self, key: u64, place: Place) {
        let named = Named {
            blocks: &self.blocks,
            markers: &self.markers,
        };
        self.ids.insert(key, place, named);
    }

    fn parts(&mut self) -> (&mut Markers, Names<'_>) {
        let names = Names {
            ids: &mut self.ids,
            blocks: &self.blocks,
        };
        (&mut self.markers, names)
    }

    fn insert(&mut self, marker: Marker, now: u64) {
        let (markers, mut names) = self.parts();
        markers.insert(marker, now, &mut names);
    }

    fn find(&self, key: u64) -> Option<u64> {
        self.markers.find(key, &self.ids)
    }

    fn len(&self) -> u64 {
        self.markers.len()
    }
}

fn marker(queue: u64, id: u64, position: u64, keep_until: u64) -> Marker {
    Marker {
        queue,
        key: queue << 32 | id,
        position,
        keep_until,
    }
}

#[test]
fn the_last_of_each_queue_outlive_their_time_and_the_rest_do_not() {
    let mut markers = Bed::new(1_000_000);
    markers.insert(marker(1, 7, 70, 10), 0);
    for id in 0..30_000 {
        markers.insert(marker(2, id, id, 10), 0);
    }
    for id in 30_000..60_000 {
        markers.insert(marker(2, id, id, 10), 20);
    }
    assert_eq!(
        markers.find(1 << 32 | 7),
        Some(70),
        "the quiet queue's only one"
    );
    assert_eq!(markers.find(2 << 32 | 59_999), Some(59_999));
    assert_eq!(markers.find(2 << 32 | 50_001), Some(50_001));
    assert_eq!(
        markers.find(2 << 32),
        None,
        "old, and not among the last 10,000"
    );
    assert!(markers.len() < 12_000);
}

/// A blob that an extent needs tells its markers although a later one tells them as well.
#[test]
fn what_is_told_twice_is_there_once_also_if_its_id_was_used_twice() {
    let mut markers = Bed::new(1_000_000);
    for told in [
        marker(1, 7, 70, 10),
        marker(1, 7, 80, 10),
        marker(1, 8, 90, 10),
    ]
    .repeat(3)
    {
        let (those, mut names) = markers.parts();
        those.insert_saved(told, 0, &mut names);
    }
    assert_eq!(markers.len(), 3);
    assert_eq!(markers.find(1 << 32 | 7), Some(80));
    assert_eq!(markers.find(1 << 32 | 8), Some(90));
}

#[test]
fn a_quiet_one_is_found_however_many_come_after_it() {
    let mut markers = Bed::new(1_000_000);
    markers.insert(marker(1, 7, 70, 10), 0);
    markers.insert(marker(2, 0, 1, 1_000), 20);
    // As after many millions of others.
    for near in [
        MOST - 2,
        MOST,
        2 * MOST - 2,
        2 * MOST,
        3 * MOST - 2,
        3 * MOST,
    ] {
        let ahead = near - markers.markers.first;
        while markers.markers.recent.pop_front().is_some() {}
        markers.markers.first += ahead;
        markers.insert(marker(2, near, near, 1_000), 20);
        markers.insert(marker(2, near + 1, near, 1_000), 20);
        assert_eq!(markers.find(1 << 32 | 7), Some(70));
    }
}

#[test]
fn at_the_limit_those_go_first_whose_time_is_over() {
    let mut markers = Bed::new(4);
    markers.insert(marker(1, 1, 1, 10), 0);
    for id in 2..=5 {
        markers.insert(marker(2, id, id, 1_000), 20);
    }
    assert_eq!(markers.find(1 << 32 | 1), None);
    assert_eq!(markers.find(2 << 32 | 2), Some(2));
}

/// Else the message's own marker would be beside it, once it goes.
#[test]
fn what_is_told_of_an_id_that_is_in_use_again_leads_nowhere() {
    let (mut markers, key, place) = Bed::with_message();
    markers.use_again(key, place);
    let told = Marker {
        key,
        ..marker(1, 0, 80, 1_000)
    };
    let (those, mut names) = markers.parts();
    those.insert_saved(told, 0, &mut names);
    assert_eq!(markers.find(key), None);
    assert_eq!(markers.ids.find(key, |_| true), Some(place));
}

#[test]
fn a_quiet_one_whose_id_is_in_use_again_is_not_renewed() {
    let (mut markers, key, place) = Bed::with_message();
    let quiet = Marker {
        key,
        ..marker(1, 0, 80, 10)
    };
    markers.insert(quiet, 0);
    markers.insert(marker(2, 0, 1, 1_000), 20);
    markers.use_again(key, place);
    while markers.markers.recent.pop_front().is_some() {}
    markers.markers.first += MOST;
    markers.insert(marker(2, 1, 2, 1_000), 20);
    assert_eq!(markers.find(key), None);
    assert_eq!(markers.ids.find(key, |_| true), Some(place));
}

#[test]
fn a_message_that_comes_takes_the_place_of_its_ids_marker() {
    let (mut markers, key, place) = Bed::with_message();
    let former = Marker {
        key,
        ..marker(1, 0, 80, 1_000)
    };
    markers.insert(former, 0);
    markers.use_again(key, place);
    assert_eq!(markers.find(key), None);
    let latter = Marker {
        position: 90,
        ..former
    };
    let (those, mut names) = markers.parts();
    those.bury(latter, place, 0, &mut names);
    assert_eq!(markers.find(key), Some(90));
    let (those, mut names) = markers.parts();
    those.drop_oldest(&mut names);
    assert_eq!(markers.find(key), Some(90));
    assert_eq!(markers.len(), 1);
}

#[test]
fn the_limit_holds_and_the_latest_place_of_an_id_counts() {
    let mut markers = Bed::new(100);
    for round in 0..5 {
        for id in 0..60 {
            markers.insert(marker(1, id, round * 100 + id, 1_000), 0);
            assert!(markers.len() <= 100);
            assert_eq!(markers.find(1 << 32 | id), Some(round * 100 + id));
        }
    }
    assert_eq!(markers.find(1 << 32 | 3), Some(403));
}

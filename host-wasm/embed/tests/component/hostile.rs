//! Calls that nobody in his right mind would make: each is refused, and no instance ends.

use burrow_embed::{
    CallError, Detail, Handled, MemoryStorage, NewMessage, Page, Queue, QueueName, Refusal,
    Request, Selection, SettleAction, Settlement, Times,
};

use crate::support::{first, jobs, manual, message, plugin};

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refusal {
    match result {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn is_invalid<T: std::fmt::Debug>(result: Result<T, CallError>) {
    let refusal = refused(result);
    assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
}

fn named(account: &str, queue: &str) -> QueueName {
    QueueName {
        account: account.into(),
        queue: queue.into(),
    }
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn names_and_numbers_out_of_range_are_refused() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    let long = "n".repeat(256);
    for name in [
        named("", "q"),
        named("a", ""),
        named(&long, "q"),
        named("a", &long),
    ] {
        is_invalid(queue.put(&name, &message(1, "x")));
    }
    for id in ["", &long] {
        is_invalid(queue.put(&jobs(), &message(id, "x")));
        is_invalid(queue.put_batch(&jobs(), &[message(id, "x")]));
    }
    is_invalid(queue.put(&jobs(), &NewMessage::default()));
    let endless = NewMessage {
        ttl_ms: Some(u64::MAX),
        ..message(1, "x")
    };
    is_invalid(queue.put(&jobs(), &endless));
    queue.put(&jobs(), &message(1, "x")).unwrap();
    is_invalid(queue.claim(&jobs(), &first(0), 1, 0, Detail::All));
    is_invalid(queue.claim(&jobs(), &first(1), 0, 0, Detail::All));
    is_invalid(queue.claim(&jobs(), &first(1), u64::MAX, 0, Detail::All));
    is_invalid(queue.list(&jobs(), &first(1), u64::MAX, Detail::All));
    for claim in [0, 1, u64::MAX] {
        assert_eq!(
            refused(queue.ack(&jobs(), "1", Some(claim))),
            Refusal::ClaimLost
        );
        assert_eq!(
            refused(queue.extend(&jobs(), "1", claim, 1)),
            Refusal::ClaimLost
        );
    }
    let times = Times {
        ttl_ms: Some(u64::MAX),
        hide_ms: None,
    };
    is_invalid(queue.update(&jobs(), "1", None, times));
    is_invalid(queue.list_accounts(&Page {
        limit: Some(0),
        ..Page::default()
    }));
    is_invalid(queue.import_piece(&jobs(), b"not a piece"));
    is_invalid(queue.import_piece(&jobs(), b""));
    still_works(&mut queue);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn giant_calls_are_refused() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    let too_large = |result: Result<(), CallError>| {
        let refusal = refused(result);
        assert!(matches!(refusal, Refusal::TooLarge(_)), "{refusal:?}");
    };
    // More than a batch takes, more than a body takes, and more than a call takes.
    let many: Vec<_> = (0..10_001).map(|id| message(id, "")).collect();
    too_large(queue.put_batch(&jobs(), &many).map(drop));
    too_large(
        queue
            .put(&jobs(), &message(1, vec![0; (1 << 20) + 1]))
            .map(drop),
    );
    too_large(queue.put(&jobs(), &message(1, vec![0; 64 << 20])).map(drop));
    let endless = vec![NewMessage::default(); 200_000];
    too_large(queue.put_batch(&jobs(), &endless).map(drop));
    let settlement = Settlement {
        id: String::new(),
        claim: Some(0),
        action: SettleAction::Ack,
    };
    too_large(queue.settle(&jobs(), &vec![settlement; 200_000]).map(drop));
    too_large(queue.import_piece(&jobs(), &vec![0; 64 << 20]).map(drop));
    let giant_name = "n".repeat(40 << 20);
    too_large(
        queue
            .put(&named(&giant_name, "q"), &message(1, ""))
            .map(drop),
    );
    too_large(queue.ack(&jobs(), &giant_name, None));
    let marker = Selection {
        marker: Some(giant_name.clone()),
        ..Selection::default()
    };
    too_large(queue.list(&jobs(), &marker, 0, Detail::All).map(drop));
    let request = Request {
        method: "GET".into(),
        target: "/v1.0".into(),
        headers: vec![("X-Padding".into(), giant_name)],
        body: Vec::new(),
    };
    too_large(queue.handle(&request).map(drop));
    still_works(&mut queue);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn requests_that_are_noise_are_answered() {
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let noise = |random: &mut fastrand::Rng| -> String {
        let length = random.usize(0..40);
        std::iter::repeat_with(|| random.char(..))
            .take(length)
            .collect()
    };
    for _ in 0..2_000 {
        let method = *random
            .choice(&["GET", "PUT", "POST", "DELETE", "HEAD", ""])
            .unwrap();
        let target = match random.u8(0..3) {
            0 => noise(&mut random),
            1 => format!("/v1.0/a/q?{}", noise(&mut random)),
            _ => format!("/v1.0/{}/{}", noise(&mut random), noise(&mut random)),
        };
        let request = Request {
            method: method.into(),
            target,
            headers: vec![(noise(&mut random), noise(&mut random))],
            body: noise(&mut random).into_bytes(),
        };
        match queue.handle(&request).unwrap() {
            Handled::Response(response) => assert!(response.status < 500, "{request:?}"),
            Handled::Pending(ticket) => queue.cancel(ticket).unwrap(),
        }
    }
    still_works(&mut queue);
}

fn still_works(queue: &mut Queue) {
    queue.put(&jobs(), &message("last", "x")).unwrap();
    assert_eq!(
        queue.get(&jobs(), "last", Detail::All).unwrap().entries[0].body,
        b"x"
    );
    assert_eq!(queue.lives(), 1);
}

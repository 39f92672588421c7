//! What the model says that a reply must be, and the comparison.

use std::collections::HashSet;
use std::rc::Rc;

use burrow_core::{ClaimToken, Detail, IdList, MessageList, MessageRef, Refusal, Reply, Settings};

use super::state::{Claim, Id, Message, Name};

#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Names(Vec<Rc<str>>, bool),
    Messages {
        name: Name,
        detail: Detail,
        shown: Vec<Shown>,
        has_more: bool,
    },
    Put {
        created: bool,
    },
    PutBatch(Vec<Id>),
    /// For each settlement that is refused, one of these.
    Settled(Vec<Result<(), Vec<Refusal>>>),
    /// The bytes are not known while the length of an id is not.
    Stats {
        messages: u64,
        hidden: u64,
        bytes: Option<u64>,
    },
    Settings(Settings),
    Done,
    /// One of these: where a command is wrong in several ways, any may be named.
    Refused(Vec<Refusal>),
}

/// A message as a reply shows it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) id: Id,
    pub(crate) body: Rc<[u8]>,
    pub(crate) content_type: Option<Rc<str>>,
    pub(crate) ttl_ms: u64,
    pub(crate) hide_ms: u64,
    pub(crate) attempts: u32,
    /// The claim that the command itself made.
    pub(crate) claim: Option<Claim>,
}

impl Shown {
    pub(crate) fn of(message: &Message, now: u64, claim: Option<Claim>) -> Self {
        Self {
            id: message.id.clone(),
            body: message.body.clone(),
            content_type: message.content_type.clone(),
            ttl_ms: message.expires_at.map_or(0, |at| at.saturating_sub(now)),
            hide_ms: message.visible_at.saturating_sub(now),
            attempts: message.attempts,
            claim,
        }
    }
}

/// What a client has seen: the tokens it may send, also when they are stale.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(crate) tokens: Vec<(Name, Id, ClaimToken)>,
    /// Ids that the machine gave.
    pub(crate) given: Vec<String>,
    ever: HashSet<ClaimToken>,
}

impl Expected {
    /// Compares, and learns what only the machine can know.
    pub(crate) fn check(
        &self,
        actual: &Result<Reply, Refusal>,
        learned: &mut Learned,
    ) -> Result<(), String> {
        let same = match (self, actual) {
            (Self::Refused(any), Err(refusal)) => any.contains(refusal),
            (Self::Names(names, has_more), Ok(Reply::Names(actual))) => {
                let names = names.iter().map(|name| &**name);
                names.eq(actual.iter().map(|name| &**name)) && *has_more == actual.has_more()
            }
            (
                Self::Messages {
                    name,
                    detail,
                    shown,
                    has_more,
                },
                Ok(Reply::Messages(list)),
            ) => {
                if *has_more != list.has_more() {
                    return Err(format!("expected that there is more: {has_more}"));
                }
                return check_list(name, *detail, shown, list, learned);
            }
            (Self::Put { created }, Ok(Reply::Put { created: actual })) => created == actual,
            (Self::PutBatch(ids), Ok(Reply::PutBatch(actual))) => {
                return check_ids(ids, actual, learned);
            }
            (Self::Settled(results), Ok(Reply::Settled(actual))) => {
                let same =
                    |(result, actual): (&Result<(), Vec<Refusal>>, &Result<(), Refusal>)| match (
                        result, actual,
                    ) {
                        (Err(any), Err(refusal)) => any.contains(refusal),
                        (result, actual) => result.is_ok() == actual.is_ok(),
                    };
                results.len() == actual.len() && results.iter().zip(actual).all(same)
            }
            (
                Self::Stats {
                    messages,
                    hidden,
                    bytes,
                },
                Ok(Reply::Stats(actual)),
            ) => {
                let told = (actual.messages, actual.hidden);
                told == (*messages, *hidden) && bytes.is_none_or(|bytes| bytes == actual.bytes)
            }
            (Self::Settings(settings), Ok(Reply::Settings(actual))) => settings == actual,
            (Self::Done, Ok(Reply::Done)) => true,
            _ => false,
        };
        if same {
            Ok(())
        } else {
            Err(format!("expected {self:?}, got {actual:?}"))
        }
    }
}

fn check_ids(ids: &[Id], actual: &IdList, learned: &mut Learned) -> Result<(), String> {
    if ids.len() != actual.len() {
        return Err(format!("expected {} ids, got {}", ids.len(), actual.len()));
    }
    let mut given = HashSet::new();
    for (id, text) in ids.iter().zip(actual.iter()) {
        let new = id.text().is_none();
        if text.is_empty() || !id.learn(text) {
            return Err(format!("expected the id {id:?}, got {text:?}"));
        }
        if new {
            if !given.insert(text) || learned.given.contains(&text.to_string()) {
                return Err(format!("the id {text:?} was given before"));
            }
            learned.given.push(text.to_string());
        }
    }
    Ok(())
}

fn check_list(
    name: &Name,
    detail: Detail,
    shown: &[Shown],
    list: &MessageList,
    learned: &mut Learned,
) -> Result<(), String> {
    let entries = if detail == Detail::None {
        0
    } else {
        shown.len()
    };
    if list.matched() != shown.len() as u64 || list.iter().len() != entries {
        let got: Vec<_> = list.iter().take(20).collect();
        let want: Vec<_> = shown.iter().take(20).collect();
        return Err(format!(
            "expected {} matches with {entries} entries, got {} with {}: expected {want:?}…, got {got:?}…",
            shown.len(),
            list.matched(),
            list.iter().len()
        ));
    }
    for (at, (shown, actual)) in shown.iter().zip(list.iter()).enumerate() {
        check_message(detail, shown, &actual).map_err(|field| {
            format!(
                "entry {at} of {entries} differs in its {field}: expected {shown:?}, got {actual:?}"
            )
        })?;
        learn_claim(name, shown, &actual, learned)?;
    }
    Ok(())
}

/// The name of the field that differs.
fn check_message(
    detail: Detail,
    shown: &Shown,
    actual: &MessageRef<'_>,
) -> Result<(), &'static str> {
    let (body, content_type): (&[u8], _) = if detail.has_body() {
        (&shown.body, shown.content_type.as_deref())
    } else {
        (&[], None)
    };
    let times = matches!(detail, Detail::Attributes | Detail::All);
    let fields = [
        ("id", shown.id.learn(actual.id)),
        ("body", body == actual.body),
        ("content type", content_type == actual.content_type),
        ("ttl", !times || shown.ttl_ms == actual.ttl_ms),
        ("hide", !times || shown.hide_ms == actual.hide_ms),
        ("attempts", !times || shown.attempts == actual.attempts),
        (
            "claim",
            if times {
                shown.claim.is_some() == actual.claim.is_some()
            } else {
                true
            },
        ),
        ("claim", shown.claim.is_some() || actual.claim.is_none()),
    ];
    fields
        .iter()
        .find(|(_, same)| !same)
        .map_or(Ok(()), |(field, _)| Err(*field))
}

fn learn_claim(
    name: &Name,
    shown: &Shown,
    actual: &MessageRef<'_>,
    learned: &mut Learned,
) -> Result<(), String> {
    let (Some(claim), Some(token)) = (&shown.claim, actual.claim) else {
        return Ok(());
    };
    if !learned.ever.insert(token) || !claim.learn(token) {
        return Err(format!("the claim token {token} was given before"));
    }
    learned.tokens.push((name.clone(), shown.id.clone(), token));
    Ok(())
}

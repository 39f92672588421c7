//! The body of a settle: what becomes of claimed messages.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::input::{Form, Items, Kind, Values};
use super::query::read_token;
use super::response::Response;
use crate::command::{SettleAction, Settlement, Update};
use crate::refusal::Field;

const SETTLEMENT: Form = Form {
    expected: "an object that is a settlement",
    fields: &[
        ("id", Kind::NeededText),
        ("claim", Kind::Text),
        ("delete", Kind::Flag),
        ("hide", Kind::Json),
        ("ttl", Kind::Json),
    ],
};

/// True if the body of a `POST` to a queue is a settle: a JSON array, whatever its content
/// type says. Any other body means nothing, because an update has none.
pub(super) fn is_settle(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// Reads a JSON array of settlements.
pub(super) fn read<'a>(
    body: &'a [u8],
    max_settlements: u64,
) -> Result<Vec<Settlement<'a>>, Response> {
    let items = Items {
        plural: "settlements",
        max_items: max_settlements,
        form: &SETTLEMENT,
    };
    let mut settlements = Vec::new();
    items.read_array(body, &mut |values: &mut Values<'a>| {
        settlements.push(settlement(values)?);
        Ok(())
    })?;
    Ok(settlements)
}

fn settlement<'a>(values: &mut Values<'a>) -> Result<Settlement<'a>, String> {
    let [id, claim, delete, hide, ttl, ..] = values;
    let update = Update {
        ttl_ms: ttl.span(Field::Ttl)?,
        hide_ms: hide.span(Field::Hide)?,
    };
    let action = if delete.flag() {
        SettleAction::Delete
    } else if update == Update::default() {
        return Err("neither delete nor hide is given".to_string());
    } else {
        SettleAction::Update(update)
    };
    Ok(Settlement {
        id: id.text().unwrap_or_default(),
        claim: claim.text().map(|token| read_token(&token)),
        action,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::ClaimToken;
    use alloc::borrow::Cow;

    #[test]
    fn settlements_delete_or_update() {
        let body = br#"[{"id":"a","claim":"2","delete":true},{"id":"b","hide":0},{"id":"c","delete":false,"hide":1.5,"ttl":9}]"#;
        let update = |ttl_ms, hide_ms| SettleAction::Update(Update { ttl_ms, hide_ms });
        let claim = Some(ClaimToken { fence: 2 });
        let settlement = |id, claim, action| Settlement {
            id: Cow::Borrowed(id),
            claim,
            action,
        };
        assert_eq!(
            read(body, 3).unwrap(),
            [
                settlement("a", claim, SettleAction::Delete),
                settlement("b", None, update(None, Some(0))),
                settlement("c", None, update(Some(9_000), Some(1_500))),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases: [(&[u8], &str); 7] = [
            (
                br#"[{"id":"a"}]"#,
                "settlements[0]: neither delete nor hide is given",
            ),
            (
                br#"[{"id":"a","delete":false}]"#,
                "settlements[0]: neither delete nor hide is given",
            ),
            (
                br#"[{"delete":true}]"#,
                "settlements[0]: missing field `id`",
            ),
            (
                br#"[{"id":"a","delete":true,"x":1}]"#,
                "settlements[0]: unknown field `x`",
            ),
            (
                br#"[{"id":"a","hide":0},{"id":"a","hide":1e3}]"#,
                "settlements[1]: hide is not a number of seconds",
            ),
            (
                br#"[{"id":"a","delete":"yes"}]"#,
                "settlements[0]: invalid type: string \"yes\", expected a boolean at line 1 column 27",
            ),
            (
                br#"[5]"#,
                "settlements[0]: invalid type: integer `5`, expected an object that is a settlement",
            ),
        ];
        for (body, expected) in cases {
            let response = read(body, 3).unwrap_err();
            let text = String::from_utf8(response.body).unwrap();
            assert!(
                response.status == 400 && text.starts_with(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn only_an_array_is_a_settle() {
        assert!(is_settle(b" \r\n\t[1]"));
        for other in [b"".as_slice(), b"ttl=5", b"{}", b"  ", b"\xff["] {
            assert!(!is_settle(other));
        }
    }
}

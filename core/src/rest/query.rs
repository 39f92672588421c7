//! The parameters of a query string.
//!
//! Reading is lazy: a parameter that a route does not take is never looked at, so that
//! nothing in it can be wrong. Of a repeated parameter the last one wins.

use alloc::borrow::Cow;
use alloc::format;

use super::RestConfig;
use super::percent::{cut, decode_query};
use super::response::Response;
use super::seconds::{parse_span, parse_whole};
use crate::command::{Detail, Page, Selection, Update};
use crate::refusal::Field;
use crate::time::MAX_SPAN_MS;
use crate::token::ClaimToken;

/// The known parameters, as they stand in the query.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Query<'a> {
    ttl: Option<&'a str>,
    hide: Option<&'a str>,
    limit: Option<&'a str>,
    marker: Option<&'a str>,
    match_hidden: Option<&'a str>,
    detail: Option<&'a str>,
    wait: Option<&'a str>,
    claim: Option<&'a str>,
    settings: Option<&'a str>,
    stats: Option<&'a str>,
    export: Option<&'a str>,
    import: Option<&'a str>,
    after: Option<&'a str>,
}

/// What of a queue a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    Messages,
    Settings,
    /// How much is in it.
    Stats,
    /// All of it, to be taken elsewhere.
    Export,
    /// All of it, from elsewhere.
    Import,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        let mut rest = Some(query).filter(|query| !query.is_empty());
        while let Some(pairs) = rest {
            let (pair, behind) = cut(pairs, b'&');
            rest = behind;
            let (name, value) = cut(pair, b'=');
            // A name that cannot be decoded is none that is known.
            let Ok(name) = decode_query(name) else {
                continue;
            };
            let slot = match name.as_ref() {
                "ttl" => &mut parsed.ttl,
                "hide" => &mut parsed.hide,
                "limit" => &mut parsed.limit,
                "marker" => &mut parsed.marker,
                "match_hidden" => &mut parsed.match_hidden,
                "detail" => &mut parsed.detail,
                "wait" => &mut parsed.wait,
                "claim" => &mut parsed.claim,
                "settings" => &mut parsed.settings,
                "stats" => &mut parsed.stats,
                "export" => &mut parsed.export,
                "import" => &mut parsed.import,
                "after" => &mut parsed.after,
                _ => continue,
            };
            *slot = Some(value.unwrap_or_default());
        }
        parsed
    }

    pub(super) fn aspect(&self) -> Aspect {
        match (self.settings, self.export, self.import) {
            (Some(_), _, _) => Aspect::Settings,
            (None, Some(_), _) => Aspect::Export,
            (None, None, Some(_)) => Aspect::Import,
            (None, None, None) if self.stats.is_some() => Aspect::Stats,
            (None, None, None) => Aspect::Messages,
        }
    }

    /// Where an export goes on.
    pub(super) fn after(&self) -> Result<Option<u64>, Response> {
        self.after
            .map(|value| parse_whole(Field::After, value, 1, u64::MAX))
            .transpose()
            .map_err(Response::bad_request)
    }

    pub(super) fn page(&self) -> Result<Page<'a>, Response> {
        Ok(Page {
            marker: self.marker()?,
            limit: self.limit()?,
        })
    }

    pub(super) fn selection(&self) -> Result<Selection<'a>, Response> {
        let match_hidden = decode("match_hidden", self.match_hidden.unwrap_or_default())?;
        Ok(Selection {
            marker: self.marker()?,
            limit: self.limit()?,
            match_hidden: match_hidden.eq_ignore_ascii_case("true"),
        })
    }

    pub(super) fn update(&self) -> Result<Update, Response> {
        Ok(Update {
            ttl_ms: span(Field::Ttl, self.ttl, MAX_SPAN_MS)?,
            hide_ms: span(Field::Hide, self.hide, MAX_SPAN_MS)?,
        })
    }

    pub(super) fn wait_ms(&self, config: &RestConfig) -> Result<u64, Response> {
        Ok(span(Field::Wait, self.wait, config.max_wait_ms)?.unwrap_or(0))
    }

    /// The detail of messages.
    pub(super) fn detail(&self, default: Detail) -> Result<Detail, Response> {
        let Some(value) = self.detail else {
            return Ok(default);
        };
        match decode("detail", value)?.as_ref() {
            "none" => Ok(Detail::None),
            "id" => Ok(Detail::Id),
            "attributes" => Ok(Detail::Attributes),
            "body" => Ok(Detail::Body),
            "all" => Ok(Detail::All),
            other => Err(Response::bad_request(format!(
                "detail is none of none, id, attributes, body, all: {other}"
            ))),
        }
    }

    /// The detail of accounts and queues: never `Attributes` or `Body`.
    pub(super) fn name_detail(&self, default: Detail) -> Result<Detail, Response> {
        match self.detail(default)? {
            bad @ (Detail::Attributes | Detail::Body) => {
                let name = if bad == Detail::Body {
                    "body"
                } else {
                    "attributes"
                };
                Err(Response::bad_request(format!(
                    "detail is none of none, id, all: {name}"
                )))
            }
            good => Ok(good),
        }
    }

    /// True if an update of a queue's messages is to show the claims it makes.
    pub(super) fn shows_claims(&self) -> Result<bool, Response> {
        let Some(value) = self.claim else {
            return Ok(false);
        };
        let value = decode("claim", value)?;
        match value.as_ref() {
            yes if yes.eq_ignore_ascii_case("true") => Ok(true),
            no if no.eq_ignore_ascii_case("false") => Ok(false),
            other => Err(Response::bad_request(format!(
                "claim is neither true nor false: {other}"
            ))),
        }
    }

    /// The claim under which one message is updated or deleted.
    pub(super) fn claim_token(&self) -> Result<Option<ClaimToken>, Response> {
        let Some(value) = self.claim else {
            return Ok(None);
        };
        Ok(Some(read_token(&decode("claim", value)?)))
    }

    fn marker(&self) -> Result<Option<Cow<'a, str>>, Response> {
        self.marker.map(|value| decode("marker", value)).transpose()
    }

    fn limit(&self) -> Result<Option<u64>, Response> {
        let Some(value) = self.limit else {
            return Ok(None);
        };
        let text = decode("limit", value)?;
        parse_whole(Field::Limit, &text, 1, u64::MAX)
            .map(Some)
            .map_err(Response::bad_request)
    }
}

/// Reads a claim token as a client gives it back. Tokens are opaque to clients, so a text
/// that is no token is a claim that is not current, rather than a malformed request.
pub(super) fn read_token(text: &str) -> ClaimToken {
    const NEVER_GIVEN: ClaimToken = ClaimToken { fence: u64::MAX };
    text.parse().unwrap_or(NEVER_GIVEN)
}

fn span(field: Field, value: Option<&str>, maximum_ms: u64) -> Result<Option<u64>, Response> {
    let Some(value) = value else { return Ok(None) };
    let text = decode_query(value)
        .map_err(|problem| Response::bad_request(format!("{field} {problem}")))?;
    parse_span(field, &text, maximum_ms)
        .map(Some)
        .map_err(Response::bad_request)
}

fn decode<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, Response> {
    decode_query(value).map_err(|problem| Response::bad_request(format!("{name} {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn error<T: core::fmt::Debug>(result: Result<T, Response>) -> String {
        let response = result.unwrap_err();
        assert_eq!(response.status, 400);
        String::from_utf8(response.body).unwrap()
    }

    #[test]
    fn the_last_of_a_repeated_parameter_wins() {
        let query = Query::parse("ttl=bad&ttl=60&hide=1&hide=2");
        assert_eq!(
            query.update().unwrap(),
            Update {
                ttl_ms: Some(60_000),
                hide_ms: Some(2_000)
            }
        );
        assert!(Query::parse("ttl=60&ttl=bad").update().is_err());
    }

    #[test]
    fn unknown_parameters_and_odd_separators_are_ignored() {
        for query in ["", "&", "&&x=1&=&=5&%ff=1&%=2&TTL=9", "ttl_=1&xttl=2"] {
            assert_eq!(
                Query::parse(query).update().unwrap(),
                Update::default(),
                "{query}"
            );
        }
        assert_eq!(
            Query::parse("%74tl=1").update().unwrap().ttl_ms,
            Some(1_000)
        );
    }

    #[test]
    fn a_bad_span_names_the_parameter_and_its_range() {
        let config = RestConfig::default();
        for value in [
            "",
            "x",
            "-1",
            "1e3",
            "NaN",
            "0.0x",
            "1000000000.001",
            "99999999999999999999",
            "+5",
        ] {
            let query = alloc::format!("ttl={value}");
            assert_eq!(
                error(Query::parse(&query).update()),
                "ttl is not a number of seconds in the range 0 to 1000000000"
            );
        }
        assert!(error(Query::parse("hide=x").update()).starts_with("hide "));
        assert_eq!(
            error(Query::parse("wait=3600.001").wait_ms(&config)),
            "wait is not a number of seconds in the range 0 to 3600"
        );
        assert_eq!(
            error(Query::parse("ttl=%zz").update()),
            "ttl has a % without two hexadecimal digits after it"
        );
    }

    #[test]
    fn limit_is_a_whole_number_from_1() {
        assert_eq!(Query::parse("limit=7").page().unwrap().limit, Some(7));
        for value in ["0", "-1", "1.5", "", "x", "18446744073709551616"] {
            let query = alloc::format!("limit={value}");
            assert_eq!(
                error(Query::parse(&query).selection()),
                "limit is not a whole number in the range 1 to 18446744073709551615"
            );
        }
    }

    #[test]
    fn match_hidden_is_true_in_any_case_and_else_false() {
        for (value, expected) in [
            ("true", true),
            ("TRUE", true),
            ("tRuE", true),
            ("1", false),
            ("false", false),
            ("", false),
        ] {
            let query = alloc::format!("match_hidden={value}");
            assert_eq!(
                Query::parse(&query).selection().unwrap().match_hidden,
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_marker_is_decoded() {
        assert_eq!(
            Query::parse("marker=a%20b+c")
                .page()
                .unwrap()
                .marker
                .as_deref(),
            Some("a b c")
        );
        assert_eq!(
            error(Query::parse("marker=%ff").page()),
            "marker is not UTF-8"
        );
    }

    #[test]
    fn a_bad_detail_is_named() {
        let query = Query::parse("detail=every%3Cthing");
        assert_eq!(
            error(query.detail(Detail::All)),
            "detail is none of none, id, attributes, body, all: every<thing"
        );
        assert_eq!(
            error(Query::parse("detail=body").name_detail(Detail::Id)),
            "detail is none of none, id, all: body"
        );
        assert!(Query::parse("detail=ALL").detail(Detail::All).is_err());
        assert_eq!(Query::parse("").detail(Detail::Id).unwrap(), Detail::Id);
    }

    #[test]
    fn a_text_that_is_no_token_is_a_claim_that_is_never_current() {
        let real = ClaimToken { fence: 2 };
        assert_eq!(
            Query::parse(&alloc::format!("claim={real}"))
                .claim_token()
                .unwrap(),
            Some(real)
        );
        for value in ["", "x", "0", "zz-1"] {
            let token = Query::parse(&alloc::format!("claim={value}"))
                .claim_token()
                .unwrap()
                .unwrap();
            assert_eq!(token.fence, u64::MAX);
        }
        assert_eq!(Query::parse("").claim_token().unwrap(), None);
        assert_eq!(
            error(Query::parse("claim=1-2").shows_claims()),
            "claim is neither true nor false: 1-2".to_string()
        );
    }
}

//! Which requests are plain, and what they say.
//!
//! A request is plain if nothing in it asks for more than "carry this out, and keep the
//! connection". Whatever is unusual, and whatever may be wrong, is not judged here: hyper does
//! that.

use burrow_core::rest;
use httparse::{EMPTY_HEADER, Header, Status};

/// A head that is longer is left to hyper, which has its own limit and words for that.
pub(super) const MAX_HEAD_BYTES: usize = 4 << 10;
const MAX_HEADERS: usize = 32;
const METHODS: [&str; 4] = ["GET", "PUT", "POST", "DELETE"];

/// What is found at the start of what was received.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// The end of the head has not come yet.
    Nothing,
    /// For hyper.
    Unusual,
    Head(Head<'a>),
}

/// The head of a plain request. Its body, which may not be there yet, is not in `request`.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) request: rest::Request<'a>,
    pub(super) head_bytes: usize,
    pub(super) body_bytes: usize,
}

/// Reads a head of no more headers than permitted.
pub(super) fn read(received: &[u8], max_headers: u64) -> Found<'_> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let permitted = usize::try_from(max_headers).unwrap_or(MAX_HEADERS);
    let mut head = httparse::Request::new(&mut headers[..permitted.min(MAX_HEADERS)]);
    let head_bytes = match head.parse(received) {
        Ok(Status::Complete(bytes)) if bytes <= MAX_HEAD_BYTES => bytes,
        Ok(Status::Partial) if received.len() < MAX_HEAD_BYTES => return Found::Nothing,
        _ => return Found::Unusual,
    };
    let (Some(method), Some(target), Some(1)) = (head.method, head.path, head.version) else {
        return Found::Unusual;
    };
    if !METHODS.contains(&method) || !is_plain_target(target) {
        return Found::Unusual;
    }
    let mut request = rest::Request {
        method,
        target,
        ..rest::Request::default()
    };
    let mut length = None;
    for header in &*head.headers {
        if take_header(header, &mut request, &mut length).is_none() {
            return Found::Unusual;
        }
    }
    Found::Head(Head {
        request,
        head_bytes,
        body_bytes: length.unwrap_or(0),
    })
}

/// `None` if the header makes the request unusual.
fn take_header<'a>(
    header: &Header<'a>,
    request: &mut rest::Request<'a>,
    length: &mut Option<usize>,
) -> Option<()> {
    let is = |name: &str| header.name.eq_ignore_ascii_case(name);
    let wanted = match header.name.len() {
        14 if is("content-length") => {
            let digits = header.value;
            let is_number =
                (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            if !is_number || length.is_some() {
                return None;
            }
            *length = Some(str::from_utf8(digits).ok()?.parse().ok()?);
            return Some(());
        }
        10 if is("connection") => {
            return header
                .value
                .eq_ignore_ascii_case(b"keep-alive")
                .then_some(());
        }
        6 if is("expect") => return None,
        7 if is("upgrade") || is("trailer") => return None,
        17 if is("transfer-encoding") => return None,
        12 if is("content-type") => &mut request.content_type,
        6 if is("origin") => &mut request.origin,
        29 if is("access-control-request-method") => &mut request.access_control_request_method,
        _ => return Some(()),
    };
    if wanted.is_none() {
        *wanted = Some(str::from_utf8(header.value).ok()?);
    }
    Some(())
}

/// True for a path and a query in which every sign stands for itself, or is a percent sign.
fn is_plain_target(target: &str) -> bool {
    let mut signs = target.bytes();
    target.starts_with('/') && signs.all(|sign| PLAIN_SIGNS[usize::from(sign)])
}

const PLAIN_SIGNS: [bool; 256] = {
    let others = b"/-._~%?=&+,:;@!$*";
    let mut plain = [false; 256];
    let mut sign = 0;
    while sign < 128 {
        plain[sign] = (sign as u8).is_ascii_alphanumeric();
        sign += 1;
    }
    let mut other = 0;
    while other < others.len() {
        plain[others[other] as usize] = true;
        other += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Option<(String, usize, usize)> {
        match read(text.as_bytes(), 100) {
            Found::Head(head) => Some((
                format!("{} {}", head.request.method, head.request.target),
                head.head_bytes,
                head.body_bytes,
            )),
            Found::Unusual => None,
            Found::Nothing => panic!("it is whole"),
        }
    }

    #[test]
    fn a_plain_request_is_read() {
        let text = "PUT /v1.0/a/q/m?ttl=1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
            content-length: 5\r\nCONNECTION: Keep-Alive\r\n\r\n";
        let found = head(&format!("{text}hello")).unwrap();
        assert_eq!(found, ("PUT /v1.0/a/q/m?ttl=1".into(), text.len(), 5));
        let Found::Head(head) = read(text.as_bytes(), 100) else {
            panic!("its body need not be there");
        };
        assert_eq!(head.request.content_type, Some("text/plain"));
        for end in 0..text.len() {
            assert!(
                matches!(read(&text.as_bytes()[..end], 100), Found::Nothing),
                "{end}"
            );
        }
    }

    /// Each of these means something else to hyper, or nothing at all.
    #[test]
    fn whatever_is_unusual_is_left_to_hyper() {
        for line in [
            "HEAD / HTTP/1.1",
            "BREW / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET http://x/v1.0 HTTP/1.1",
            "GET * HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET /\" HTTP/1.1",
            "GET  / HTTP/1.1",
        ] {
            assert_eq!(head(&format!("{line}\r\n\r\n")), None, "{line}");
        }
        for header in [
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: +1",
            "Content-Length: 1, 1",
            "Content-Length: ",
            "Content-Length: 9999999999",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Upgrade: websocket",
            "Trailer: x",
            "Connection: close",
            "Connection: keep-alive, upgrade",
            "Origin: \u{ff}\0",
            "Content-Length : 1",
            " folded: x",
        ] {
            let text = format!("PUT / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
            assert_eq!(head(&text), None, "{header}");
        }
        let two = b"GET / HTTP/1.1\r\na: b\r\nc: d\r\n\r\n";
        assert!(matches!(read(two, 1), Found::Unusual));
        let many = "a: b\r\n".repeat(MAX_HEADERS + 1);
        assert_eq!(head(&format!("GET / HTTP/1.1\r\n{many}\r\n")), None);
        let long = "x".repeat(MAX_HEAD_BYTES);
        assert_eq!(head(&format!("GET /{long} HTTP/1.1\r\n\r\n")), None);
    }
}

//! Answers as bytes, the same as hyper writes them.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use burrow_core::rest;
use http::StatusCode;

/// A body that is longer is not copied behind its head: the head is put before it.
const LARGE_BODY: usize = 64 << 10;
const DATE_BYTES: usize = 29;
const DATE_AT: usize = b"date: ".len();
/// Most heads are no longer.
const HEAD_BYTES: usize = 192;

/// Appends an answer that has its body. `is_last`: the connection is closed behind it.
pub(super) fn write(out: &mut Vec<u8>, answer: rest::Response, is_last: bool) {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    write_head(out, status, &answer, is_last);
    if out.len() < answer.body.len() && answer.body.len() > LARGE_BODY {
        let mut body = answer.body;
        body.splice(..0, out.drain(..));
        *out = body;
    } else {
        out.extend_from_slice(&answer.body);
    }
}

fn write_head(out: &mut Vec<u8>, status: StatusCode, answer: &rest::Response, is_last: bool) {
    out.reserve(HEAD_BYTES);
    match status {
        StatusCode::OK => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        StatusCode::CREATED => out.extend_from_slice(b"HTTP/1.1 201 Created\r\n"),
        StatusCode::NO_CONTENT => out.extend_from_slice(b"HTTP/1.1 204 No Content\r\n"),
        status => {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(status.as_str().as_bytes());
            out.push(b' ');
            out.extend_from_slice(status.canonical_reason().unwrap_or("<none>").as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    for (name, value) in &answer.headers {
        // What no header can hold is left out.
        if is_value(value) {
            out.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    if is_last {
        out.extend_from_slice(b"connection: close\r\n");
    }
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        match answer.body.len() {
            0 => out.extend_from_slice(b"content-length: 0\r\n"),
            length => {
                out.extend_from_slice(b"content-length: ");
                write_number(out, length);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    let mut line = *b"date: .............................\r\n\r\n";
    line[DATE_AT..DATE_AT + DATE_BYTES].copy_from_slice(&date());
    out.extend_from_slice(&line);
}

/// What a header's value may hold, as the crate `http` has it.
fn is_value(value: &str) -> bool {
    let is_permitted = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    value.bytes().all(is_permitted)
}

fn write_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut left = number;
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(digits.len() - count));
}

/// The present second, as the header `date` has it. It is made once a second.
fn date() -> [u8; DATE_BYTES] {
    thread_local! {
        static LAST: Cell<(u64, [u8; DATE_BYTES])> = const { Cell::new((u64::MAX, [0; DATE_BYTES])) };
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    LAST.with(|last| {
        if last.get().0 != now {
            let at = UNIX_EPOCH + Duration::from_secs(now);
            let text = httpdate::fmt_http_date(at);
            let mut date = [b' '; DATE_BYTES];
            date.iter_mut()
                .zip(text.bytes())
                .for_each(|(to, from)| *to = from);
            last.set((now, date));
        }
        last.get().1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: rest::Response, is_last: bool) -> String {
        let mut out = b"before".to_vec();
        write(&mut out, answer, is_last);
        let text = String::from_utf8(out).unwrap();
        let (head, rest) = text.split_once("date: ").unwrap();
        let (date, body) = rest.split_once("\r\n").unwrap();
        assert!(
            httpdate::parse_http_date(date).is_ok() && date.len() == DATE_BYTES,
            "{date}"
        );
        format!("{head}{body}")
    }

    #[test]
    fn answers_are_written_as_hyper_writes_them() {
        let answer = rest::Response {
            status: 200,
            headers: vec![
                ("Content-Type", "text/plain".into()),
                ("ETag", "a\nb".to_owned().into()),
            ],
            body: b"hello".to_vec(),
            head: false,
        };
        assert_eq!(
            written(answer, true),
            "beforeHTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\
             content-length: 5\r\n\r\nhello"
        );
        let status = |status| rest::Response {
            status,
            ..rest::Response::default()
        };
        assert_eq!(
            written(status(201), false),
            "beforeHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(
            written(status(204), false),
            "beforeHTTP/1.1 204 No Content\r\n\r\n"
        );
        let large = rest::Response {
            body: vec![b'x'; 123_456],
            ..status(200)
        };
        let text = written(large, false);
        assert!(text.contains("content-length: 123456\r\n\r\nxxx") && text.ends_with("xx"));
        assert_eq!(text.matches('x').count(), 123_456);
    }
}

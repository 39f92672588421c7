//! Requests of every kind, from a seed and from what was answered before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::conformance::{Answer, Request};

/// As they stand in a path.
const ACCOUNTS: [&str; 3] = ["shop", "a%2Fb", "%C3%A4"];
const QUEUES: [&str; 4] = ["jobs", "news", "dead%20ones", "q%00"];
/// The same queues, as they stand in settings.
const QUEUE_NAMES: [&str; 4] = ["jobs", "news", "dead ones", "q\0"];
/// So many of them, the first, may be limited, and in them requests wait; the others take dead letters. Where
/// queues are apart, a dead letter waits for room instead of going beyond a limit, and comes when the clock has
/// been moved instead of on the way.
const LIMITED: usize = 2;
/// Tokens that are remembered, of the latest claims.
const TOKENS: usize = 60;
/// Pieces of queues that are remembered, of the latest exports.
const PIECES: usize = 8;

pub(super) struct Generator {
    pub(super) rng: Rng,
    pub(super) has_dead_letters: bool,
    /// The clock is moved by so much at the most.
    pub(super) most_advance_ms: u64,
    /// Queue, id and token of claims.
    claims: Vec<(String, String, String)>,
    /// With the name of the queue, as its settings go along.
    pieces: Vec<(String, Vec<u8>)>,
}

/// A request that may have to wait, to the queue at this path.
pub(super) struct WaitingRequest {
    pub(super) request: Request,
    pub(super) queue: String,
    pub(super) is_claim: bool,
    pub(super) wait_ms: u64,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            has_dead_letters: true,
            most_advance_ms: u64::MAX,
            claims: Vec::new(),
            pieces: Vec::new(),
        }
    }

    pub(super) fn request(&mut self) -> Request {
        match self.rng.u32(0..100) {
            0..22 => self.put(),
            22..30 => self.put_batch(),
            30..44 => self.claim(),
            44..52 => self.one(),
            52..58 => self.settle(),
            58..64 => self.pop(),
            64..72 => self.list(),
            72..76 => self.update(),
            76..81 => self.settings(),
            81..84 => self.names(),
            84..90 => self.clock(),
            90..92 => self.moving(),
            _ => self.wrong(),
        }
    }

    /// The queue in which the request makes numbered claims or gives ids.
    pub(super) fn numbers(&self, request: &Request) -> Option<String> {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let is_queue = path.split('/').count() == 4;
        let claims = request.method == "POST" && query.contains("hide=");
        let gives_ids = request.method == "PUT";
        (is_queue && (claims || gives_ids)).then(|| path.to_owned())
    }

    /// A request that may have to wait. All claims that wait are to be of the same queue, if there is one.
    pub(super) fn waiting(&mut self, claimed: Option<&str>) -> WaitingRequest {
        let queues = self.rng.usize(1..=LIMITED);
        let queue = self.pick(&QUEUES[..queues]);
        let account = self.pick(&ACCOUNTS);
        let own = format!("/v1.0/{account}/{queue}");
        let (wait, wait_ms) =
            self.pick(&[("0.5", 500), ("5", 5_000), ("20", 20_000), ("61.5", 61_500)]);
        let kind = self.rng.u32(0..5);
        let is_claim = kind < 2;
        let queue = claimed.filter(|_| is_claim).map_or(own, str::to_owned);
        let limit = self.pick(&["&limit=1", "&limit=3", ""]);
        let rest = self.query(&["detail"]).replace('?', "&");
        let request = match kind {
            0 | 1 => {
                let hide = self.pick(&["2", "10", "30"]);
                let target = format!("{queue}?hide={hide}&claim=true{limit}&wait={wait}{rest}");
                post(target)
            }
            2 => send("DELETE", format!("{queue}?wait={wait}{limit}{rest}"), ""),
            _ => {
                let marker = self.query(&["marker", "match_hidden"]).replace('?', "&");
                let method = self.pick(&["GET", "GET", "HEAD"]);
                let target = format!("{queue}?wait={wait}{limit}{rest}{marker}");
                send(method, target, "")
            }
        };
        WaitingRequest {
            request,
            queue,
            is_claim,
            wait_ms,
        }
    }

    /// Leaves nothing visible in a queue, so that who comes next has to wait.
    pub(super) fn hide_all(&mut self, queue: &str) -> Request {
        match self.rng.u32(0..3) {
            0 => send("DELETE", queue, ""),
            _ => {
                let hide = self.pick(&["0.5", "7", "30"]);
                post(format!("{queue}?hide={hide}&claim=true&detail=id"))
            }
        }
    }

    /// Remembers the tokens that an answer tells, and the pieces of queues.
    pub(super) fn learn(&mut self, request: &Request, answer: &Answer) {
        if request.target.contains("?export") && answer.status == 200 {
            let (path, _) = request.target.split_once('?').unwrap_or_default();
            let (_, name) = path.rsplit_once('/').unwrap_or_default();
            self.pieces.push((name.to_owned(), answer.body.clone()));
            let surplus = self.pieces.len().saturating_sub(PIECES);
            self.pieces.drain(..surplus);
            return;
        }
        if !request.target.contains("claim=true") {
            return;
        }
        let (path, _) = request.target.split_once('?').unwrap_or_default();
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        for message in told.as_array().into_iter().flatten() {
            if let (Some(id), Some(token)) = (message["id"].as_str(), message["claim"].as_str()) {
                let claim = (path.to_owned(), id.to_owned(), token.to_owned());
                self.claims.push(claim);
            }
        }
        let surplus = self.claims.len().saturating_sub(TOKENS);
        self.claims.drain(..surplus);
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn queue(&mut self) -> String {
        // One queue has most of the traffic, so that it gets long.
        let (accounts, queues) = (self.rng.usize(1..=3), self.rng.usize(1..=4));
        let account = self.pick(&ACCOUNTS[..accounts]);
        let queue = self.pick(&QUEUES[..queues]);
        format!("/v1.0/{account}/{queue}")
    }

    fn id(&mut self) -> String {
        match self.rng.u32(0..20) {
            0 => "%20%2f%F0%9F%A6%94".into(),
            1 => "x".repeat(255),
            _ => format!("m{}", self.rng.u32(0..60)),
        }
    }

    fn span(&mut self) -> &'static str {
        self.pick(&["0", "1", "0.25", "5", "30", "61.5", "600", "100000"])
    }

    /// Any of these parameters, each as likely as not.
    fn query(&mut self, parameters: &[&'static str]) -> String {
        let mut query = String::new();
        for name in parameters {
            if self.rng.bool() {
                continue;
            }
            let value = match *name {
                "ttl" | "hide" => self.span().to_owned(),
                "limit" => self.rng.u32(1..8).to_string(),
                "marker" => self.id(),
                "match_hidden" => self.pick(&["true", "false", "TRUE", "1"]).to_owned(),
                "detail" => self
                    .pick(&["none", "id", "attributes", "body", "all"])
                    .to_owned(),
                _ => self.pick(&["0", "0.5", "20"]).to_owned(),
            };
            let separator = if query.is_empty() { '?' } else { '&' };
            query.push_str(&format!("{separator}{name}={value}"));
        }
        query
    }

    fn body(&mut self) -> Vec<u8> {
        let length = self.pick(&[0, 5, 40, 40, 300]);
        match self.rng.u32(0..5) {
            0 => (0..length).map(|_| self.rng.u8(..)).collect(),
            1 => "\u{1f994} \"quoted\" \\ \u{7}\n".into(),
            _ => (0..length).map(|_| self.rng.alphanumeric() as u8).collect(),
        }
    }

    fn put(&mut self) -> Request {
        let (queue, id) = (self.queue(), self.id());
        let query = self.query(&["ttl", "hide"]);
        let mut request = send("PUT", format!("{queue}/{id}{query}"), self.body());
        if self.rng.u32(0..4) == 0 {
            let content_type = self.pick(&["image/png", "text/plain; charset=utf-8"]);
            request
                .headers
                .push(("Content-Type".into(), content_type.into()));
        }
        request
    }

    fn put_batch(&mut self) -> Request {
        let count = self.pick(&[0, 1, 3, 20]);
        let items: Vec<Value> = (0..count)
            .map(|_| {
                let mut item = match String::from_utf8(self.body()) {
                    Ok(text) => json!({ "body": text }),
                    Err(bytes) => {
                        json!({ "body": BASE64.encode(bytes.as_bytes()), "encoding": "base64" })
                    }
                };
                if self.rng.bool() {
                    item["id"] = format!("m{}", self.rng.u32(0..60)).into();
                }
                if self.rng.u32(0..3) == 0 {
                    item["ttl"] = self.rng.u32(0..900).into();
                    item["hide"] = self.rng.u32(0..20).into();
                }
                item
            })
            .collect();
        let body = if self.rng.bool() {
            items.iter().map(|item| format!("{item}\n")).collect()
        } else {
            Value::from(items).to_string()
        };
        send("PUT", self.queue(), body)
    }

    fn claim(&mut self) -> Request {
        let hide = self.pick(&["0.5", "10", "30", "30", "600"]);
        let claim = if self.rng.u32(0..5) > 0 {
            "&claim=true"
        } else {
            ""
        };
        let limit = self.pick(&["&limit=1", "&limit=1", "&limit=5", "&limit=100", ""]);
        // No wait: a claim that is taken back may have buried messages all the same.
        let rest = self
            .query(&["detail", "ttl", "match_hidden"])
            .replace('?', "&");
        // Rarely everything hidden as well: that takes all other claims' time away.
        let rest = match self.rng.u32(0..8) {
            0 => rest,
            _ => rest
                .replace("&match_hidden=true", "")
                .replace("&match_hidden=TRUE", ""),
        };
        post(format!("{}?hide={hide}{claim}{limit}{rest}", self.queue()))
    }

    /// One message by its id, with a token or without.
    fn one(&mut self) -> Request {
        let (queue, id, token) = match self.rng.usize(..self.claims.len() + 3) {
            place if place < self.claims.len() => self.claims[place].clone(),
            place => {
                let token = ["1", "ffffffffffffff", "no%20token"][place - self.claims.len()];
                (self.queue(), self.id(), token.to_owned())
            }
        };
        let id = encode(&id);
        let claim = if self.rng.u32(0..4) > 0 {
            format!("&claim={token}")
        } else {
            String::new()
        };
        let detail = self.query(&["detail"]).replace('?', "&");
        match self.rng.u32(0..8) {
            0..3 => send("DELETE", format!("{queue}/{id}?x{claim}{detail}"), ""),
            3..5 => {
                let hide = self.pick(&["0", "0", "20", "90"]);
                post(format!("{queue}/{id}?hide={hide}{claim}{detail}"))
            }
            5 => post(format!("{queue}/{id}?ttl=300{claim}{detail}")),
            6 => send("HEAD", format!("{queue}/{id}?x{detail}"), ""),
            _ => send("GET", format!("{queue}/{id}?x{detail}"), ""),
        }
    }

    fn settle(&mut self) -> Request {
        let queue = match self.claims.last() {
            Some((queue, ..)) if self.rng.u32(0..5) > 0 => queue.clone(),
            _ => self.queue(),
        };
        let mut items: Vec<Value> = Vec::new();
        for (_, id, token) in self.claims.iter().filter(|claim| claim.0 == queue) {
            items.push(match self.rng.u32(0..6) {
                0 => continue,
                1 => json!({ "id": id, "claim": token, "hide": 0 }),
                2 => json!({ "id": id, "claim": token, "hide": 25.5, "ttl": 900 }),
                _ => json!({ "id": id, "claim": token, "delete": true }),
            });
        }
        if self.rng.u32(0..4) == 0 {
            items.push(json!({ "id": "nobody", "delete": true }));
        }
        send("POST", queue, Value::from(items).to_string())
    }

    fn pop(&mut self) -> Request {
        let limit = self.rng.u32(1..6);
        let rest = self.query(&["detail", "marker", "wait"]).replace('?', "&");
        send(
            "DELETE",
            format!("{}?limit={limit}{rest}", self.queue()),
            "",
        )
    }

    fn list(&mut self) -> Request {
        let method = self.pick(&["GET", "GET", "GET", "HEAD"]);
        let query = self.query(&["limit", "marker", "match_hidden", "detail", "wait"]);
        send(method, format!("{}{query}", self.queue()), "")
    }

    fn update(&mut self) -> Request {
        let query = self.query(&["ttl", "limit", "marker", "match_hidden", "detail"]);
        let separator = if query.is_empty() { '?' } else { '&' };
        let release = if self.rng.bool() { "hide=0" } else { "x" };
        post(format!("{}{query}{separator}{release}", self.queue()))
    }

    fn settings(&mut self) -> Request {
        let queue = self.queue();
        let target = format!("{queue}?settings");
        match self.rng.u32(0..6) {
            0 => return send("DELETE", target, ""),
            1 => return send("GET", target, ""),
            _ => {}
        }
        let mut settings = json!({});
        if self.rng.bool() && self.has_dead_letters {
            settings["max_attempts"] = self.rng.u32(0..4).into();
            settings["dead_letter"] = self.pick(&QUEUE_NAMES[LIMITED..]).into();
        }
        if self.rng.u32(0..3) == 0 {
            settings["order"] = self.pick(&["fifo", "lifo"]).into();
        }
        if self.rng.u32(0..3) == 0 {
            settings["default_ttl"] = self.rng.u32(0..500).into();
            settings["retention"] = self.pick(&["0", "0.5", "7200"]).parse::<f64>().ok().into();
        }
        let may_be_limited = QUEUES[..LIMITED].iter().any(|name| queue.ends_with(name));
        if may_be_limited && self.rng.u32(0..4) == 0 {
            settings["max_messages"] = self.rng.u32(0..40).into();
            settings["max_bytes"] = self.rng.u32(500..20_000).into();
        }
        send("PUT", target, settings.to_string())
    }

    fn names(&mut self) -> Request {
        let account = self.pick(&ACCOUNTS);
        let query = self.query(&["limit", "detail"]);
        match self.rng.u32(0..20) {
            0 => send("DELETE", format!("/v1.0{query}"), ""),
            1 | 2 => send("DELETE", format!("/v1.0/{account}{query}"), ""),
            3..8 => send("GET", format!("/v1.0{query}"), ""),
            8 => send("GET", "/", ""),
            _ => send("GET", format!("/v1.0/{account}{query}"), ""),
        }
    }

    fn clock(&mut self) -> Request {
        let (span, span_ms) = self.pick(&[
            ("0s", 0),
            ("1ms", 1),
            ("40ms", 40),
            ("0.25s", 250),
            ("1s", 1_000),
            ("7s", 7_000),
            ("30s", 30_000),
            ("30s", 30_000),
            ("5m", 300_000),
            ("11m", 660_000),
            ("2h", 7_200_000),
        ]);
        match self.most_advance_ms {
            most_ms if most_ms < span_ms => post(format!("/clock?advance={most_ms}ms")),
            _ => post(format!("/clock?advance={span}")),
        }
    }

    /// A queue goes out, or comes back in: to its place or to another account, early or late.
    fn moving(&mut self) -> Request {
        if self.pieces.is_empty() || self.rng.u32(0..3) == 0 {
            return send("GET", format!("{}?export", self.queue()), "");
        }
        let account = self.pick(&ACCOUNTS);
        let (queue, piece) = self.pieces[self.rng.usize(..self.pieces.len())].clone();
        send("PUT", format!("/v1.0/{account}/{queue}?import"), piece)
    }

    /// What every host must refuse, in the same words.
    fn wrong(&mut self) -> Request {
        let queue = self.queue();
        let long = "y".repeat(256);
        match self.rng.u32(0..16) {
            0 => send("GET", "/v1.1", ""),
            1 => send("GET", format!("{queue}/m/n"), ""),
            2 => send("PATCH", queue, ""),
            3 => send("PUT", "/v1.0/shop", ""),
            4 => send("PUT", format!("{queue}/{long}"), "x"),
            5 => send("PUT", format!("{queue}/m%ff"), "x"),
            6 => send("PUT", format!("{queue}/m%2"), "x"),
            7 => send("PUT", format!("{queue}/m?ttl=-1"), "x"),
            8 => send("GET", format!("{queue}?limit=0"), ""),
            9 => send("GET", format!("{queue}?detail=more"), ""),
            10 => send("PUT", queue, "[{\"id\":\"m\""),
            11 => send("PUT", queue, "[{\"id\":7,\"body\":\"x\"}]"),
            12 => send("PUT", format!("{queue}?settings"), "{\"color\":\"red\"}"),
            13 => send("PUT", format!("{queue}?import"), "no piece"),
            14 => post(format!("{queue}?claim=true")),
            _ => post("/clock?advance=soon".to_owned()),
        }
    }
}

/// The paths of all queues.
pub(super) fn every_queue() -> impl Iterator<Item = String> {
    let queues = |account| QUEUES.map(move |queue| format!("/v1.0/{account}/{queue}"));
    ACCOUNTS.into_iter().flat_map(queues)
}

fn send(method: &str, target: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    Request {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: body.into(),
    }
}

fn post(target: String) -> Request {
    send("POST", target, "")
}

/// An id as it stands in a path.
fn encode(id: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(byte);
    id.bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

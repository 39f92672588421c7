use super::*;
use crate::command::{Page, Selection, Update};
use crate::refusal::Refusal;
use alloc::string::String;

fn request<'a>(method: &'a str, target: &'a str) -> Request<'a> {
    Request {
        method,
        target,
        ..Request::default()
    }
}

fn command<'a>(method: &'a str, target: &'a str) -> Command<'a> {
    match route(&request(method, target), &RestConfig::default()) {
        Routed::Submit(command, _) => command,
        other => panic!("{method} {target}: {other:?}"),
    }
}

fn response(request: &Request<'_>, config: &RestConfig) -> Response {
    match route(request, config) {
        Routed::Respond(response) => response,
        other => panic!("{request:?}: {other:?}"),
    }
}

fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

#[test]
fn lists_and_deletes_of_names() {
    let page = || Page {
        marker: Some("m".into()),
        limit: Some(2),
    };
    let account = || Cow::Borrowed("a");
    let cases = [
        (
            "GET",
            "/v1.0?marker=m&limit=2",
            Command::ListAccounts { page: page() },
        ),
        (
            "DELETE",
            "/v1.0?marker=m&limit=2",
            Command::DeleteAccounts { page: page() },
        ),
        (
            "GET",
            "/v1.0/a?marker=m&limit=2",
            Command::ListQueues {
                account: account(),
                page: page(),
            },
        ),
        (
            "DELETE",
            "/v1.0/a?marker=m&limit=2",
            Command::DeleteQueues {
                account: account(),
                page: page(),
            },
        ),
    ];
    for (method, target, expected) in cases {
        assert_eq!(command(method, target), expected);
    }
}

#[test]
fn lists_updates_and_deletes_of_messages() {
    let query = "marker=m&limit=2&match_hidden=True&wait=1.5&ttl=60&hide=0.5";
    let selection = || Selection {
        marker: Some("m".into()),
        limit: Some(2),
        match_hidden: true,
    };
    let update = Update {
        ttl_ms: Some(60_000),
        hide_ms: Some(500),
    };
    let wait_ms = 1_500;
    let cases = [
        (
            "GET",
            Command::ListMessages {
                queue: queue(),
                selection: selection(),
                wait_ms,
                detail: Detail::All,
            },
        ),
        (
            "POST",
            Command::UpdateMessages {
                queue: queue(),
                selection: selection(),
                update,
                wait_ms,
                detail: Detail::None,
            },
        ),
        (
            "DELETE",
            Command::DeleteMessages {
                queue: queue(),
                selection: selection(),
                wait_ms,
                detail: Detail::None,
            },
        ),
    ];
    for (method, expected) in cases {
        assert_eq!(command(method, &format!("/v1.0/a/q?{query}")), expected);
    }
}

#[test]
fn one_message_by_id() {
    let id = || Cow::Borrowed("m");
    let claim = "12".parse().ok();
    let update = Update {
        ttl_ms: Some(5_000),
        hide_ms: None,
    };
    let cases = [
        (
            "GET",
            "",
            Command::GetMessage {
                queue: queue(),
                id: id(),
                detail: Detail::All,
            },
        ),
        // Parameters that a route does not take are not read at all.
        (
            "GET",
            "?claim=%ff&ttl=x&wait=x",
            Command::GetMessage {
                queue: queue(),
                id: id(),
                detail: Detail::All,
            },
        ),
        (
            "POST",
            "?ttl=5&claim=12&detail=id",
            Command::UpdateMessage {
                queue: queue(),
                id: id(),
                update,
                claim,
                detail: Detail::Id,
            },
        ),
        (
            "DELETE",
            "?claim=12",
            Command::DeleteMessage {
                queue: queue(),
                id: id(),
                claim,
                detail: Detail::None,
            },
        ),
    ];
    for (method, query, expected) in cases {
        assert_eq!(command(method, &format!("/v1.0/a/q/m{query}")), expected);
    }
}

#[test]
fn a_plain_put_borrows_everything() {
    let request = Request {
        content_type: Some("t"),
        body: b"\xff",
        ..request("PUT", "/v1.0/a/q/m?ttl=0&hide=1")
    };
    let Routed::Submit(
        Command::Put {
            queue: name,
            message,
        },
        plan,
    ) = route(&request, &RestConfig::default())
    else {
        panic!();
    };
    assert_eq!(name, queue());
    assert!(matches!(name.account, Cow::Borrowed(_)) && matches!(name.queue, Cow::Borrowed(_)));
    assert!(matches!(message.id, Some(Cow::Borrowed("m"))));
    assert!(matches!(message.content_type, Some(Cow::Borrowed("t"))));
    assert!(matches!(message.body, Cow::Borrowed(b"\xff")));
    assert_eq!((message.ttl_ms, message.hide_ms), (Some(0), Some(1_000)));
    for (created, status) in [(true, 201), (false, 204)] {
        let response = plan.respond(Ok(crate::Reply::Put { created }));
        // Not even an allocation.
        assert_eq!(
            (
                response.status,
                response.headers.capacity(),
                response.body.capacity()
            ),
            (status, 0, 0)
        );
    }
}

#[test]
fn a_claim_that_is_shown_is_asked_for_with_its_attempts() {
    let cases = [
        ("", Detail::All, Detail::All),
        ("&detail=id", Detail::Attributes, Detail::Id),
        ("&detail=body", Detail::All, Detail::Body),
        ("&detail=none", Detail::None, Detail::None),
    ];
    for (query, asked, shown) in cases {
        let target = format!("/v1.0/a/q?claim=TRUE&hide=1{query}");
        let Routed::Submit(Command::UpdateMessages { detail, .. }, plan) =
            route(&request("POST", &target), &RestConfig::default())
        else {
            panic!();
        };
        assert_eq!(detail, asked);
        assert!(
            matches!(plan.shape, Shape::Messages(View { detail, claims: true }) if detail == shown)
        );
    }
    for query in [
        "claim=true",
        "claim=true&hide=0",
        "claim=x&hide=1",
        "claim=&hide=1",
    ] {
        let target = format!("/v1.0/a/q?{query}");
        assert_eq!(
            response(&request("POST", &target), &RestConfig::default()).status,
            400,
            "{query}"
        );
    }
}

#[test]
fn an_array_in_a_post_is_a_settle_and_other_bodies_mean_nothing() {
    let settle = Request {
        body: br#"[{"id":"m","delete":true}]"#,
        ..request("POST", "/v1.0/a/q?limit=x")
    };
    assert!(matches!(
        route(&settle, &RestConfig::default()),
        Routed::Submit(Command::Settle { .. }, Plan { shape: Shape::Settled(ids), .. }) if ids.as_slice() == [Box::from("m")]
    ));
    let form = Request {
        body: b"ttl=5&limit=x",
        ..request("POST", "/v1.0/a/q")
    };
    assert!(matches!(
        route(&form, &RestConfig::default()),
        Routed::Submit(
            Command::UpdateMessages {
                update: Update {
                    ttl_ms: None,
                    hide_ms: None
                },
                ..
            },
            _
        )
    ));
}

#[test]
fn settings_are_read_replaced_and_cleared() {
    assert_eq!(
        command("GET", "/v1.0/a/q?settings"),
        Command::GetSettings { queue: queue() }
    );
    assert_eq!(
        command("HEAD", "/v1.0/a/q?settings=1"),
        Command::GetSettings { queue: queue() }
    );
    assert_eq!(
        command("DELETE", "/v1.0/a/q?settings&limit=1"),
        Command::ClearSettings { queue: queue() }
    );
    let put = Request {
        body: b"{}",
        ..request("PUT", "/v1.0/a/q?settings")
    };
    assert!(matches!(
        route(&put, &RestConfig::default()),
        Routed::Submit(Command::PutSettings { .. }, _)
    ));
}

#[test]
fn other_methods_are_told_what_is_allowed() {
    let config = RestConfig::default();
    let cases = [
        ("/", "GET, HEAD"),
        ("/v1.0", "GET, HEAD, DELETE"),
        ("/v1.0/a", "GET, HEAD, DELETE"),
        ("/v1.0/a/q", "GET, HEAD, PUT, POST, DELETE"),
        ("/v1.0/a/q?settings", "GET, HEAD, PUT, DELETE"),
        ("/v1.0/a/q/m", "GET, HEAD, PUT, POST, DELETE"),
    ];
    for (target, allowed) in cases {
        for method in ["PATCH", "OPTIONS", "get", "", "PROPFIND"] {
            let answer = response(&request(method, target), &config);
            assert_eq!(
                (answer.status, answer.header("Allow")),
                (405, Some(allowed)),
                "{method} {target}"
            );
        }
    }
    assert_eq!(response(&request("POST", "/v1.0"), &config).status, 405);
    assert_eq!(
        response(&request("POST", "/v1.0/a/q?settings"), &config).status,
        405
    );
    assert_eq!(response(&request("PATCH", "/v2"), &config).status, 404);
}

#[test]
fn a_head_answer_has_the_mark_and_the_body_of_the_get() {
    let config = RestConfig::default();
    let head = response(&request("HEAD", "/"), &config);
    assert!(head.head);
    assert_eq!(
        Response {
            head: false,
            ..head
        },
        response(&request("GET", "/"), &config)
    );
    let Routed::Submit(_, plan) = route(&request("HEAD", "/v1.0"), &config) else {
        panic!()
    };
    assert!(plan.respond(Err(Refusal::AccountNotFound)).head);
}

#[test]
fn a_preflight_grants_only_the_configured_origin() {
    let none = RestConfig::default();
    let one = RestConfig {
        cors_origin: Some("http://a".into()),
        ..RestConfig::default()
    };
    let any = RestConfig {
        cors_origin: Some("*".into()),
        ..RestConfig::default()
    };
    let preflight = |origin| Request {
        origin: Some(origin),
        access_control_request_method: Some("PUT"),
        ..request("OPTIONS", "/v1.0/a/q/m")
    };
    for (config, origin, granted) in [
        (&none, "http://a", None),
        (&one, "http://b", None),
        (&one, "http://a", Some("http://a")),
        (&any, "http://b", Some("*")),
    ] {
        let answer = response(&preflight(origin), config);
        assert_eq!(
            (answer.status, answer.header("Access-Control-Allow-Origin")),
            (204, granted)
        );
        assert_eq!(
            answer.header("Access-Control-Allow-Methods").is_some(),
            granted.is_some()
        );
        assert!(granted.is_some() || answer.headers.is_empty());
        assert_eq!(
            (answer.body.len(), answer.header("Content-Type")),
            (0, None)
        );
        // The request that follows is granted the same.
        let put = Request {
            origin: Some(origin),
            ..request("PUT", "/v1.0/a/q/m")
        };
        let Routed::Submit(_, plan) = route(&put, config) else {
            panic!()
        };
        let answer = plan.respond(Ok(crate::Reply::Put { created: true }));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), granted);
    }
    let half = Request {
        origin: Some("http://a"),
        ..request("OPTIONS", "/v1.0")
    };
    assert_eq!(response(&half, &one).status, 405);
    assert_eq!(
        response(
            &Request {
                target: "/x",
                ..preflight("http://a")
            },
            &one
        )
        .status,
        404
    );
}

#[test]
fn a_content_type_cannot_smuggle_a_header() {
    let request = Request {
        content_type: Some("a\r\nb: c"),
        ..request("PUT", "/v1.0/a/q/m")
    };
    let answer = response(&request, &RestConfig::default());
    assert_eq!(answer.status, 400);
    assert_eq!(
        String::from_utf8_lossy(&answer.body),
        "content type has characters that are not printable ASCII"
    );
}

//! From a request to a command.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;

use super::batch;
use super::clock;
use super::cors;
use super::json::View;
use super::path::Resource;
use super::percent::cut;
use super::plan::{Plan, Shape};
use super::query::{Aspect, Query};
use super::response::Response;
use super::settings;
use super::settle;
use super::{Request, RestConfig, Routed};
use crate::command::{Command, Detail, NewMessage, QueueName};
use crate::refusal::Field;

/// Bytes of one exported piece, unless a single message is larger.
const PIECE_BYTES: u64 = 1 << 20;

/// Reads a request.
pub fn route<'a>(request: &Request<'a>, config: &RestConfig) -> Routed<'a> {
    let head = request.method == "HEAD";
    let origin = cors::permitted_origin(request, config);
    let read = match clock::read(request) {
        Some(_) if !config.manual_clock => Err(clock::moves_by_itself()),
        Some(Ok(request)) => return Routed::Clock(request),
        Some(Err(response)) => Err(response),
        None => read(request, config, origin.is_some()),
    };
    match read {
        Ok((command, shape)) => Routed::Submit(
            command,
            Plan {
                shape,
                head,
                origin,
            },
        ),
        Err(mut response) => {
            response.head = head;
            if let Some(origin) = origin {
                cors::grant(&mut response, &origin);
            }
            Routed::Respond(response)
        }
    }
}

/// A command and how its reply is shown, or the answer if there is nothing to ask the machine.
type Read<'a> = Result<(Command<'a>, Shape), Response>;

fn read<'a>(request: &Request<'a>, config: &RestConfig, permitted: bool) -> Read<'a> {
    let (path, query) = cut(request.target, b'?');
    let resource = Resource::parse(path)?;
    let query = Query::parse(query.unwrap_or_default());
    let allowed = allowed_methods(&resource, &query);
    if cors::is_preflight(request) {
        return Err(cors::preflight(allowed, permitted));
    }
    let method = match request.method {
        "HEAD" => "GET",
        other => other,
    };
    match (method, resource) {
        ("GET", Resource::Versions) => Err(Response::json(200, br#"["v1.0"]"#.to_vec())),
        ("GET" | "DELETE", Resource::Accounts) => accounts(method, &query),
        ("GET" | "DELETE", Resource::Account(account)) => queues(method, account, &query),
        (_, Resource::Queue(name)) => {
            queue(method, name, &query, request, config).unwrap_or(Err(method_not_allowed(allowed)))
        }
        ("PUT", Resource::Message(queue, id)) => put(queue, id, &query, request),
        ("GET" | "POST" | "DELETE", Resource::Message(queue, id)) => {
            message(method, queue, id, &query)
        }
        _ => Err(method_not_allowed(allowed)),
    }
}

fn allowed_methods(resource: &Resource<'_>, query: &Query<'_>) -> &'static str {
    match resource {
        Resource::Versions => "GET, HEAD",
        Resource::Accounts | Resource::Account(_) => "GET, HEAD, DELETE",
        Resource::Queue(_) => match query.aspect() {
            Aspect::Messages => "GET, HEAD, PUT, POST, DELETE",
            Aspect::Settings => "GET, HEAD, PUT, DELETE",
            Aspect::Export | Aspect::Stats => "GET, HEAD",
            Aspect::Import => "PUT",
        },
        Resource::Message(..) => "GET, HEAD, PUT, POST, DELETE",
    }
}

fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = Response::text(405, "Method not allowed");
    response.headers.push(("Allow", Cow::Borrowed(allowed)));
    response
}

fn accounts<'a>(method: &str, query: &Query<'a>) -> Read<'a> {
    let page = query.page()?;
    if method == "GET" {
        Ok((
            Command::ListAccounts { page },
            Shape::Names(query.name_detail(Detail::Id)?),
        ))
    } else {
        Ok((
            Command::DeleteAccounts { page },
            Shape::Names(query.name_detail(Detail::None)?),
        ))
    }
}

fn queues<'a>(method: &str, account: Cow<'a, str>, query: &Query<'a>) -> Read<'a> {
    let page = query.page()?;
    if method == "GET" {
        Ok((
            Command::ListQueues { account, page },
            Shape::Names(query.name_detail(Detail::Id)?),
        ))
    } else {
        Ok((
            Command::DeleteQueues { account, page },
            Shape::Names(query.name_detail(Detail::None)?),
        ))
    }
}

/// A request to a queue; `None` if its method is not one for what the request is about.
fn queue<'a>(
    method: &str,
    queue: QueueName<'a>,
    query: &Query<'a>,
    request: &Request<'a>,
    config: &RestConfig,
) -> Option<Read<'a>> {
    Some(match (query.aspect(), method) {
        (Aspect::Settings, "GET" | "PUT" | "DELETE") => queue_settings(method, queue, request),
        (Aspect::Stats, "GET") => Ok((Command::GetStats { queue }, Shape::Stats)),
        (Aspect::Export, "GET") => export(queue, query),
        (Aspect::Import, "PUT") => {
            let piece = Cow::Borrowed(request.body);
            Ok((Command::Import { queue, piece }, Shape::Imported))
        }
        (Aspect::Messages, "PUT") => batch::read(request.body, config.max_batch_messages)
            .map(|messages| (Command::PutBatch { queue, messages }, Shape::PutBatch)),
        (Aspect::Messages, "POST") if settle::is_settle(request.body) => {
            settlement(queue, request, config)
        }
        (Aspect::Messages, "POST") => update(queue, query, config),
        (Aspect::Messages, "GET" | "DELETE") => messages(method, queue, query, config),
        _ => return None,
    })
}

fn export<'a>(queue: QueueName<'a>, query: &Query<'a>) -> Read<'a> {
    let command = Command::Export {
        queue,
        after: query.after()?,
        max_bytes: PIECE_BYTES,
    };
    Ok((command, Shape::Exported))
}

fn queue_settings<'a>(method: &str, queue: QueueName<'a>, request: &Request<'a>) -> Read<'a> {
    match method {
        "GET" => Ok((Command::GetSettings { queue }, Shape::Settings)),
        "PUT" => Ok((
            Command::PutSettings {
                queue,
                settings: settings::read(request.body)?,
            },
            Shape::Done,
        )),
        _ => Ok((Command::ClearSettings { queue }, Shape::Done)),
    }
}

fn messages<'a>(
    method: &str,
    queue: QueueName<'a>,
    query: &Query<'a>,
    config: &RestConfig,
) -> Read<'a> {
    let selection = query.selection()?;
    let wait_ms = query.wait_ms(config)?;
    let default = if method == "GET" {
        Detail::All
    } else {
        Detail::None
    };
    let detail = query.detail(default)?;
    let shape = Shape::Messages(View {
        detail,
        claims: false,
    });
    if method == "GET" {
        Ok((
            Command::ListMessages {
                queue,
                selection,
                wait_ms,
                detail,
            },
            shape,
        ))
    } else {
        Ok((
            Command::DeleteMessages {
                queue,
                selection,
                wait_ms,
                detail,
            },
            shape,
        ))
    }
}

fn update<'a>(queue: QueueName<'a>, query: &Query<'a>, config: &RestConfig) -> Read<'a> {
    let selection = query.selection()?;
    let wait_ms = query.wait_ms(config)?;
    let update = query.update()?;
    let claims = query.shows_claims()?;
    if claims && update.hide_ms.unwrap_or(0) == 0 {
        // Nothing would be claimed, and the client would believe that it was.
        return Err(Response::bad_request("claim=true needs a hide above 0"));
    }
    let shown = query.detail(if claims { Detail::All } else { Detail::None })?;
    // Claims come with these details only.
    let detail = match shown {
        Detail::Id if claims => Detail::Attributes,
        Detail::Body if claims => Detail::All,
        other => other,
    };
    let command = Command::UpdateMessages {
        queue,
        selection,
        update,
        wait_ms,
        detail,
    };
    Ok((
        command,
        Shape::Messages(View {
            detail: shown,
            claims,
        }),
    ))
}

fn settlement<'a>(queue: QueueName<'a>, request: &Request<'a>, config: &RestConfig) -> Read<'a> {
    let settlements = settle::read(request.body, config.max_batch_messages)?;
    let ids = settlements
        .iter()
        .map(|settlement| Box::from(settlement.id.as_ref()))
        .collect();
    Ok((Command::Settle { queue, settlements }, Shape::Settled(ids)))
}

fn put<'a>(
    queue: QueueName<'a>,
    id: Cow<'a, str>,
    query: &Query<'a>,
    request: &Request<'a>,
) -> Read<'a> {
    if request
        .content_type
        .is_some_and(|value| !batch::is_header_value(value))
    {
        return Err(Response::bad_request(format!(
            "{} has characters that are not printable ASCII",
            Field::ContentType
        )));
    }
    let times = query.update()?;
    let message = NewMessage {
        id: Some(id),
        body: Cow::Borrowed(request.body),
        content_type: request.content_type.map(Cow::Borrowed),
        ttl_ms: times.ttl_ms,
        hide_ms: times.hide_ms,
    };
    Ok((Command::Put { queue, message }, Shape::Put))
}

fn message<'a>(
    method: &str,
    queue: QueueName<'a>,
    id: Cow<'a, str>,
    query: &Query<'a>,
) -> Read<'a> {
    if method == "GET" {
        let detail = query.detail(Detail::All)?;
        return Ok((
            Command::GetMessage { queue, id, detail },
            Shape::Message(detail),
        ));
    }
    let detail = query.detail(Detail::None)?;
    let claim = query.claim_token()?;
    let command = if method == "POST" {
        Command::UpdateMessage {
            queue,
            id,
            update: query.update()?,
            claim,
            detail,
        }
    } else {
        Command::DeleteMessage {
            queue,
            id,
            claim,
            detail,
        }
    };
    Ok((command, Shape::Message(detail)))
}

#[cfg(test)]
mod tests;

//! Every setting, from every source.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use burrow::config::layers::{Layers, bad_flag};
use burrow::config::{ConfigError, Settings};
use clap::{Args, Command};

/// For each setting: two values that are not the default, one that is refused, and a part
/// of what is said to be allowed.
const SETTINGS: [(&str, &str, &str, &str, &str); 40] = [
    (
        "listen",
        "127.0.0.1:1",
        "[::1]:2",
        "localhost:80",
        "such as 127.0.0.1:8080",
    ),
    (
        "listen_wire",
        "127.0.0.1:1,unix:/a",
        "unix:/b",
        "8081",
        "several with commas",
    ),
    ("data", "here", "/there", "", "a value is needed"),
    ("memory", "true", "false", "perhaps", "one of true, false"),
    (
        "clock",
        "manual",
        "system",
        "sundial",
        "one of system, manual",
    ),
    ("threads", "3", "4", "0", "from 1 to 1024"),
    (
        "cors_origin",
        "https://example.org",
        "*",
        "example.org",
        "such as https://example.org",
    ),
    ("log_format", "json", "text", "xml", "one of text, json"),
    (
        "log_level",
        "debug",
        "warn",
        "loud",
        "one of error, warn, info, debug, trace",
    ),
    ("max_connections", "50", "51", "0", "from 1 to"),
    (
        "max_request_bytes",
        "2MiB",
        "3MiB",
        "5GiB",
        "from 0 to 4GiB",
    ),
    ("max_arriving_bytes", "1MiB", "2MiB", "-1", "bytes from 0"),
    (
        "max_header_bytes",
        "16KiB",
        "17KiB",
        "8191",
        "from 8KiB to 16MiB",
    ),
    ("max_headers", "50", "51", "0", "from 1 to 10000"),
    ("max_streams", "50", "51", "0", "from 1 to"),
    ("max_in_flight", "50", "51", "15", "from 16 to"),
    ("header_timeout", "5", "0.5", "0.05", "seconds from 0.1"),
    ("body_timeout", "5", "6", "0", "seconds from 0.1"),
    ("write_timeout", "5", "6", "never", "seconds from 0.1"),
    ("idle_timeout", "5", "6", "-1", "seconds from 0.1"),
    ("default_ttl", "0.25", "0", "1s", "such as 60 or 0.25"),
    ("default_hide", "1.5", "2", "1.0005", "seconds from 0"),
    ("marker_retention", "60", "61", "x", "seconds from 0"),
    ("max_wait", "60", "61", "1000000001", "from 0 to 1000000000"),
    (
        "max_body_bytes",
        "64KiB",
        "65KiB",
        "64KB",
        "such as 4096, 64KiB",
    ),
    ("max_batch_messages", "10", "11", "0", "from 1 to"),
    ("max_answer_bytes", "10", "11", "0", "bytes from 1"),
    ("max_queue_messages", "10", "11", "0", "from 1 to"),
    ("max_queue_bytes", "10", "11", "0", "bytes from 1"),
    ("max_account_messages", "10", "11", "0", "from 1 to"),
    ("max_account_bytes", "10", "11", "0", "bytes from 1"),
    ("max_account_queues", "10", "11", "0", "from 1 to"),
    ("max_messages", "10", "11", "1e6", "from 1 to"),
    ("max_bytes", "10", "11", "0", "bytes from 1"),
    ("max_queues", "10", "11", "+1", "from 1 to"),
    ("max_waiters", "10", "0", "many", "from 0 to"),
    ("max_queue_waiters", "10", "11", "1.5", "from 0 to"),
    (
        "max_markers",
        "10",
        "33554432",
        "33554433",
        "from 0 to 33554432",
    ),
    ("checkpoint_bytes", "1MiB", "2MiB", "1KiB", "from 64KiB"),
    ("extent_bytes", "64KiB", "65KiB", "1KiB", "from 4KiB"),
];

type Pair<'a> = Option<(&'a str, &'a str)>;

/// The settings that result from at most one flag, one variable and one line of a file.
fn resolve(flag: Pair, variable: Pair, file: Pair) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burrow.toml");
    fs::write(
        &path,
        file.map(|(key, value)| format!("{key} = {value:?}"))
            .unwrap_or_default(),
    )
    .unwrap();
    let variables = variable.map(|(key, value)| (variable_name(key), value.into()));
    resolve_from(flag, variables, Some(path))
}

fn resolve_from(
    flag: Pair,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    file: Option<PathBuf>,
) -> Result<Settings, ConfigError> {
    let layers = Layers::read::<Settings>("serve", file, variables)?;
    let flag = flag.map(|(key, value)| format!("--{}={value}", key.replace('_', "-")));
    let command = layers.apply(Settings::augment_args(Command::new("burrow")));
    let arguments = std::iter::once("burrow".to_owned()).chain(flag);
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(|error| bad_flag(&error))?;
    layers.settings(&matches)
}

fn variable_name(key: &str) -> OsString {
    format!("BURROW_{}", key.to_uppercase()).into()
}

fn shown(settings: Result<Settings, ConfigError>) -> String {
    format!("{:?}", settings.unwrap())
}

#[test]
fn the_table_names_every_setting() {
    let command = Settings::augment_args(Command::new("burrow"));
    let mut known: Vec<&str> = command
        .get_arguments()
        .map(|arg| arg.get_id().as_str())
        .collect();
    let mut listed = SETTINGS.map(|(key, ..)| key);
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
}

#[test]
fn a_flag_a_variable_and_a_line_of_the_file_mean_the_same() {
    let default = shown(resolve(None, None, None));
    for (key, value, ..) in SETTINGS {
        let by_flag = shown(resolve(Some((key, value)), None, None));
        assert_ne!(by_flag, default, "{key} has no effect");
        assert_eq!(
            shown(resolve(None, Some((key, value)), None)),
            by_flag,
            "{key} as a variable"
        );
        assert_eq!(
            shown(resolve(None, None, Some((key, value)))),
            by_flag,
            "{key} in the file"
        );
    }
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    for (key, one, other, ..) in SETTINGS {
        let (one, other) = (Some((key, one)), Some((key, other)));
        let (by_one, by_other) = (
            shown(resolve(one, None, None)),
            shown(resolve(other, None, None)),
        );
        assert_ne!(by_one, by_other, "{key}");
        assert_eq!(
            shown(resolve(one, other, None)),
            by_one,
            "{key}: flag and variable"
        );
        assert_eq!(
            shown(resolve(other, one, None)),
            by_other,
            "{key}: flag and variable, the other way round"
        );
        assert_eq!(
            shown(resolve(None, one, other)),
            by_one,
            "{key}: variable and file"
        );
        assert_eq!(
            shown(resolve(None, other, one)),
            by_other,
            "{key}: variable and file, the other way round"
        );
        assert_eq!(
            shown(resolve(other, None, one)),
            by_other,
            "{key}: flag and file"
        );
        assert_eq!(
            shown(resolve(one, other, other)),
            by_one,
            "{key}: all three"
        );
    }
}

#[test]
fn a_bad_value_is_refused_with_its_name_its_source_and_what_is_allowed() {
    for (key, _, _, bad, allowed) in SETTINGS {
        let flag = format!("--{}", key.replace('_', "-"));
        let variable = variable_name(key).into_string().unwrap();
        let bad_pair = Some((key, bad));
        let cases = [
            (
                resolve(bad_pair, None, None),
                flag.as_str(),
                "from the command line",
            ),
            (resolve(None, bad_pair, None), key, variable.as_str()),
            (resolve(None, None, bad_pair), key, "burrow.toml"),
        ];
        for (outcome, name, source) in cases {
            let error = outcome.expect_err(key).to_string();
            for part in [&format!("{name}: {bad:?}"), source, allowed] {
                assert!(error.contains(part), "{key}: no {part:?} in {error:?}");
            }
        }
    }
}

#[test]
fn a_bad_value_is_refused_even_where_a_better_one_wins() {
    let good = Some(("max_wait", "1"));
    let bad = Some(("max_wait", "x"));
    resolve(good, bad, None).expect_err("the variable is bad");
    resolve(good, good, bad).expect_err("the file is bad");
}

#[test]
fn an_unknown_name_is_refused_and_a_similar_one_offered() {
    let error = resolve(None, Some(("max_wiat", "1")), None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("max_wiat") && error.contains("BURROW_MAX_WIAT"),
        "{error}"
    );
    assert!(error.contains("similar is max_wait"), "{error}");
    let error = resolve(None, None, Some(("max-wait", "1")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("max-wait") && error.contains("burrow.toml"),
        "{error}"
    );
    for key in ["config", "help", "version", ""] {
        resolve(None, None, Some((key, "1"))).expect_err("not a setting of a file");
    }
    resolve_from(None, [("BURROW_Max_Wait".into(), "1".into())], None)
        .expect_err("not how a variable is written");
    resolve_from(
        None,
        [("BURROWED".into(), "1".into()), ("PATH".into(), "1".into())],
        None,
    )
    .expect("not ours");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let error = resolve_from(None, [("BURROW_MAX_WAIT".into(), value)], None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("BURROW_MAX_WAIT") && error.contains("UTF-8"),
        "{error}"
    );
}

#[test]
fn a_setting_given_by_two_variables_is_refused() {
    let both = ["BURROW_LISTEN", "BURROW_listen"].map(|name| (name.into(), "127.0.0.1:1".into()));
    let refused = Layers::read::<Settings>("serve", None, both).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "listen is given twice, by the variables BURROW_LISTEN and BURROW_listen; keep one of them"
    );
}

#[test]
fn the_file_takes_numbers_and_truths_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burrow.toml");
    let read = |content: &str| {
        fs::write(&path, content).unwrap();
        resolve_from(None, [], Some(path.clone()))
    };
    let settings =
        read("memory = true\nmax_wait = 60\ndefault_ttl = 0.25\nmax_body_bytes = 4096 # small\n")
            .unwrap();
    assert!(settings.data.memory);
    assert_eq!(settings.messages.max_wait.ms, 60_000);
    assert_eq!(settings.messages.default_ttl.ms, 250);
    assert_eq!(settings.messages.max_body_bytes.0, 4096);
    for bad in [
        "max_wait = [60]",
        "[max_wait]\nseconds = 60",
        "max_wait = 2020-01-01",
    ] {
        let error = read(bad).unwrap_err().to_string();
        assert!(
            error.contains("max_wait") && error.contains("burrow.toml"),
            "{error}"
        );
    }
    let error = read("max_wait = 60\nmax_wait == 61")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("burrow.toml") && error.contains("line 2"),
        "{error}"
    );
}

#[test]
fn the_file_may_be_named_by_a_variable_and_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.toml");
    let variables = || [("BURROW_CONFIG".into(), path.clone().into())];
    let error = resolve_from(None, variables(), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("b.toml"), "{error}");
    fs::write(&path, "max_wait = 7").unwrap();
    assert_eq!(
        resolve_from(None, variables(), None)
            .unwrap()
            .messages
            .max_wait
            .ms,
        7_000
    );
    let other = folder.path().join("c.toml");
    fs::write(&other, "max_wait = 8").unwrap();
    let settings = resolve_from(None, variables(), Some(other)).unwrap();
    assert_eq!(
        settings.messages.max_wait.ms, 8_000,
        "the flag --config wins over BURROW_CONFIG"
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let error = resolve(Some(("max_request_bytes", "1KiB")), None, None)
        .unwrap_err()
        .to_string();
    for part in [
        "max_request_bytes = 1KiB",
        "command line",
        "max_body_bytes = 1MiB",
        "the default",
    ] {
        assert!(error.contains(part), "no {part:?} in {error:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burrow.toml");
    fs::write(&path, "memory = true\ndata = \"here\"").unwrap();
    resolve_from(None, [], Some(path)).expect_err("both at once from one place");
    let settings = resolve(Some(("memory", "true")), Some(("data", "here")), None).unwrap();
    assert!(settings.data.memory, "the stronger source decides");
}

//! The README's commands do what it says, with a real shell, a real curl and a real server.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use burrow_tests::process::{Launch, program};

/// The address that stands in the README.
const ADDRESS: &str = "127.0.0.1:8080";
/// How the README starts the program that cargo has built for this test.
const PROGRAM: &str = "cargo run --release --";

#[test]
fn every_command_of_the_readme_answers_as_shown() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("the README can be read");
    let steps: Vec<Step> = blocks(&readme).flat_map(steps).collect();
    let (offline, online): (Vec<_>, Vec<_>) = steps
        .into_iter()
        .partition(|step| step.command.starts_with(PROGRAM));
    assert!(
        online.len() > 10 && offline.len() == 4,
        "{online:?}\n{offline:?}"
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Launch::new(program())
        .folder(folder.path())
        .start()
        .expect("the server starts");
    check(&online, folder.path(), &server.address().to_string());
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    check(&offline, folder.path(), "no server");
}

#[derive(Debug)]
struct Step {
    command: String,
    answer: String,
}

/// The texts of all blocks that are marked as `console`.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.split("\n```console\n").skip(1);
    starts.map(|rest| rest.split_once("\n```").expect("a block has an end").0)
}

/// The commands of a block, each with what is shown below it.
fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                command: command.to_owned(),
                answer: String::new(),
            }),
            (None, Some(step)) => step.answer.push_str(line),
            (None, None) => panic!("a block begins with a command: {line}"),
        }
    }
    steps
}

/// Runs the commands in one shell, as somebody would who types them one after the other.
fn check(steps: &[Step], folder: &Path, address: &str) {
    // Each command is followed by a line of its own, so that answers can be told apart.
    const END: &str = "-- end of answer --";
    let script: String = steps
        .iter()
        .map(|step| format!("{}\nprintf '\\n{END}\\n'\n", step.command))
        .collect();
    let script = script
        .replace(ADDRESS, address)
        .replace(PROGRAM, &program().display().to_string());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .output()
        .expect("there is a bash");
    let errors = String::from_utf8_lossy(&output.stderr);
    let answers = String::from_utf8(output.stdout).expect("answers are text");
    let answers: Vec<_> = answers
        .split(END)
        .map(|answer| answer.trim().replace('\n', ""))
        .collect();
    assert_eq!(answers.len(), steps.len() + 1, "{answers:?}\n{errors}");
    for (step, answer) in steps.iter().zip(answers) {
        assert!(
            is_like(&answer, &step.answer),
            "$ {}\n{answer}\n{errors}",
            step.command
        );
    }
}

/// Whether the answer is the one shown, in which `…` stands for anything.
fn is_like(answer: &str, shown: &str) -> bool {
    let Some((start, more)) = shown.split_once('…') else {
        return answer == shown;
    };
    let Some(rest) = answer.strip_prefix(start) else {
        return false;
    };
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| is_like(&rest[at..], more))
}

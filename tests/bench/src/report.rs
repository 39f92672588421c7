//! What a run has measured: tables with where, when and by which command they came about; as
//! text, as JSON, and as a section of a document.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

/// Where, when and how a run was made.
#[derive(Clone, Debug)]
pub struct Header(Vec<(&'static str, String)>);

impl Header {
    pub fn take() -> Self {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
        let memory_kb: u64 = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split(' ').next()?.parse().ok())
            .unwrap_or(0);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let build = if cfg!(debug_assertions) {
            "debug build: no figures"
        } else {
            "release build"
        };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        let program = "burrow-bench".to_owned();
        let command: Vec<String> = [program]
            .into_iter()
            .chain(std::env::args().skip(1))
            .collect();
        Self(vec![
            (
                "machine",
                format!(
                    "{cpu}, {cores} cores, {} GiB, Linux {}",
                    memory_kb >> 20,
                    kernel.trim()
                ),
            ),
            (
                "version",
                format!("burrow {}, {build}", env!("CARGO_PKG_VERSION")),
            ),
            ("commit", told("git", &["describe", "--always", "--dirty"])),
            ("date", told("date", &["-u", "+%F %R UTC"])),
            ("command", command.join(" ")),
            ("load", format!("{load} before the run")),
        ])
    }

    pub fn print(&self) {
        for (name, value) in &self.0 {
            println!("{name:8} {value}");
        }
    }
}

/// What a command prints, in the folder of the sources.
fn told(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match command.output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

/// The value of the first `name: value` line of a file of /proc.
pub fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// One table: the first column is text, the others are figures. Notes stand below it.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Report {
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: &[&dyn Display]) {
        self.rows
            .push(cells.iter().map(ToString::to_string).collect());
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn print(&self) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(self.columns.iter().map(Cell::new));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::new));
        }
        println!("\n{}\n{table}", self.title);
        self.notes.iter().for_each(|note| println!("{note}"));
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row).map(|(column, cell)| {
                let number = cell.parse::<f64>().ok().filter(|number| number.is_finite());
                (column.clone(), number.map_or(json!(cell), Value::from))
            });
            Value::Object(cells.collect::<Map<_, _>>())
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>(), "notes": self.notes })
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|---{}|\n", "|--:".repeat(self.columns.len() - 1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("\n{note}\n"))
            .collect();
        format!(
            "**{}**\n\n{}{rule}{rows}{notes}",
            self.title,
            line(&self.columns)
        )
    }
}

/// The tables of one run.
#[derive(Clone, Debug)]
pub struct Run {
    pub header: Header,
    pub tables: Vec<Report>,
}

impl Run {
    pub fn json(&self) -> Value {
        let header = self.header.0.iter();
        let header: Map<_, _> = header
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let tables: Vec<Value> = self.tables.iter().map(Report::json).collect();
        json!({ "header": header, "tables": tables })
    }

    /// Puts the tables, and the plot beside the document if there is one, between the two lines
    /// that name the section.
    pub fn write_section(
        &self,
        document: &Path,
        name: &str,
        plot: Option<&str>,
    ) -> anyhow::Result<()> {
        let text = fs::read_to_string(document)
            .with_context(|| format!("cannot read {}", document.display()))?;
        let (begin, end) = (
            format!("<!-- {name} -->\n"),
            format!("<!-- end of {name} -->"),
        );
        let missing = || format!("{} has no section {name}", document.display());
        let (before, rest) = text.split_once(&begin).with_context(missing)?;
        let (_, after) = rest.split_once(&end).with_context(missing)?;
        let header = self.header.0.iter();
        let header: String = header
            .map(|(name, value)| format!("- {name}: {value}\n"))
            .collect();
        let tables: Vec<String> = self.tables.iter().map(Report::markdown).collect();
        let plot = plot.map(|file| format!("![the same as a plot]({file})\n\n"));
        let section = format!(
            "{header}\n{}{}",
            plot.unwrap_or_default(),
            tables.join("\n")
        );
        fs::write(document, format!("{before}{begin}{section}{end}{after}"))?;
        Ok(())
    }
}

/// A number with so many decimals.
pub fn decimal(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}

/// The middle one; 0 of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The least and the largest, once [`median`] has sorted them.
pub fn spread(sorted: &[f64], decimals: usize) -> String {
    match sorted {
        [first, .., last] => format!("{first:.decimals$} to {last:.decimals$}"),
        _ => String::new(),
    }
}

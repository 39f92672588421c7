//! Tables on standard output, each under a line that says where it was measured.

use std::fmt::Display;
use std::fs;

use comfy_table::{Cell, CellAlignment, Table, presets};

/// Prints the machine, the version and the command line.
pub fn print_header() {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
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
    println!(
        "machine  {cpu}, {cores} cores, {} GiB, Linux {}",
        memory_kb >> 20,
        kernel.trim()
    );
    println!("version  burrow {}, {build}", env!("CARGO_PKG_VERSION"));
    println!(
        "command  {}",
        std::env::args().collect::<Vec<_>>().join(" ")
    );
}

/// The value of the first `name: value` line of a file of /proc.
pub fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// One table: the first column is text, the others are figures.
#[derive(Debug)]
pub struct Report {
    title: &'static str,
    table: Table,
}

impl Report {
    pub fn new(title: &'static str, columns: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(columns.iter().map(Cell::new));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self { title, table }
    }

    pub fn row(&mut self, cells: &[&dyn Display]) {
        self.table.add_row(cells.iter().map(Cell::new));
    }

    pub fn print(&self) {
        println!("\n{}\n{}", self.title, self.table);
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

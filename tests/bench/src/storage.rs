//! What it takes to be durable, in one run: starts after a kill, pauses, bytes written.

use crate::contest::Options;
use crate::report::{self, Run};
use crate::{Size, pause, restart, writes};

pub fn run(size: Size, options: &Options) -> anyhow::Result<()> {
    let header = report::Header::take();
    header.print();
    let mut tables = vec![restart::table(size)?];
    tables.extend(pause::tables(size)?);
    tables.push(writes::table(size)?);
    options.publish_tables("storage", &Run { header, tables })
}

//! Where the processor's time goes, by `perf`.

mod alone;
mod perf;
mod server;

pub use alone::{Case, live};

use crate::Size;
use crate::contest::Options;
use crate::report::{Header, Report, Run};

pub fn run(size: Size, options: &Options) -> anyhow::Result<()> {
    let header = Header::take();
    header.print();
    let tables = if perf::is_usable() {
        vec![server::table(size, options)?, alone::table(size, options)?]
    } else {
        let mut table = Report::new("profile: nothing", &["missing"]);
        table.note(
            "Missing: perf, which `apt-get install linux-perf` installs, and `sysctl kernel.perf_event_paranoid=1` allows.",
        );
        vec![table]
    };
    options.publish_tables("profile", &Run { header, tables })
}

//! The Worker on workerd. `cargo xtask worker test` builds the one, installs the other and
//! runs these tests; a plain run of all tests leaves them out.

mod alarm;
mod conformance;
mod cost;
mod crash;
mod crowd;
mod dead_letters;
mod deploy;
mod dots;
mod forged;
mod limits;
mod lists;
mod moving;
mod parity;
mod seed;
mod size;
mod support;
mod trap;
mod wire;
mod wire_record;

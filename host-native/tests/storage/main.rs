//! The engine over real files: crashes and damage.

mod crash;
mod damage;
mod long_history;
mod support;

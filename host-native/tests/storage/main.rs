//! The engine over real files: crashes and damage.

mod crash;
mod damage;
mod history;
mod long_history;
mod support;

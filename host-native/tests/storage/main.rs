//! The engine over real files: crashes, damage, and a disk that is full.

mod crash;
mod damage;
mod disk_full;
mod support;

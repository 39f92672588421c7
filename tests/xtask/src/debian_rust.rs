//! Debian's newest Rust compiler with the source of its libraries, for machines on which
//! rustup cannot fetch the libraries of another target: cargo compiles them from source.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::install::{apt_get, cache_folder, debian_packages, has};
use crate::run::{Failure, Task, program};

/// The compiler, unpacked into a folder of its own: installed, it would exclude rustup's.
#[derive(Debug)]
pub(crate) struct DebianRust {
    sysroot: PathBuf,
}

impl DebianRust {
    pub(crate) fn get() -> Result<Self, Failure> {
        if !has("apt-get") {
            return Err(Failure(
                "the target cannot be added with rustup, and there is no apt-get".into(),
            ));
        }
        apt_get(["update", "-qq"])?;
        let version = candidate("rustc-web")?;
        let folder = cache_folder()?.join(format!("rustc-web_{version}"));
        if !folder.is_dir() {
            // Under another name until it is complete, so that a run which is cut short
            // does not leave half a compiler behind.
            let partial = folder.with_extension("partial");
            unpack(&version, &partial)?;
            fs::rename(&partial, &folder).map_err(at(&folder))?;
        }
        Ok(Self {
            sysroot: folder.join("usr"),
        })
    }

    /// The build with this compiler, and with these libraries compiled from their source.
    pub(crate) fn compile_with(&self, build: Task, libraries: &str) -> Result<Task, Failure> {
        let ours = program("rustc").args(["--print", "sysroot"]).read()?;
        let host = program("rustc").args(["--print", "host-tuple"]).read()?;
        let linker = Path::new(&ours)
            .join("lib/rustlib")
            .join(&host)
            .join("bin/rust-lld");
        let shared = self.sysroot.join("lib").join(host.replace("-unknown", ""));
        Ok(build
            .args([format!("-Zbuild-std={libraries}")])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", self.sysroot.join("bin/rustc"))
            .env("LD_LIBRARY_PATH", shared)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker))
    }
}

fn unpack(version: &str, folder: &Path) -> Result<(), Failure> {
    let series: Vec<_> = version.split('.').take(2).collect();
    let library = format!("libstd-rust-web-{}", series.join("."));
    debian_packages(&[&llvm_of(&library)?])?;

    let packages = folder.join("packages");
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(at(folder))?;
    }
    fs::create_dir_all(&packages).map_err(at(&packages))?;
    let exact = ["rustc-web", &library, "libstd-rust-web-dev", "rust-web-src"]
        .map(|name| format!("{name}={version}"));
    program("apt-get")
        .args(["download", "-qq"])
        .args(exact)
        .folder(&packages)
        .run()?;
    for package in fs::read_dir(&packages).map_err(at(&packages))? {
        let package = package.map_err(at(&packages))?.path();
        program("dpkg-deb")
            .args([Path::new("--extract"), &package, folder])
            .run()?;
    }
    fs::remove_dir_all(&packages).map_err(at(&packages))
}

/// The version of a package that apt would install.
fn candidate(package: &str) -> Result<String, Failure> {
    let policy = program("apt-cache").args(["policy", package]).read()?;
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "));
    let version = version.filter(|version| *version != "(none)");
    version
        .map(str::to_owned)
        .ok_or_else(|| Failure(format!("this Debian has no package {package}")))
}

fn llvm_of(package: &str) -> Result<String, Failure> {
    let depends = program("apt-cache").args(["depends", package]).read()?;
    let mut names = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let llvm = names.find(|name| name.starts_with("libllvm"));
    llvm.map(str::to_owned)
        .ok_or_else(|| Failure(format!("{package} depends on no libllvm")))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}

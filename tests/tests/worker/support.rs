//! A Worker with its data, and one connection to it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use burrow_tests::crash::http::{Connection, Request, Response};
use burrow_tests::process::Server;
use burrow_tests::worker::{config, config_with_wire, launch_as};
use rusqlite::Connection as Database;
use rusqlite::types::FromSql;
use serde_json::Value;
use tempfile::TempDir;

const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 12_000;

pub(crate) struct Worker {
    pub(crate) data: TempDir,
    pub(crate) server: Server,
    pub(crate) config: PathBuf,
    variables: Vec<(&'static str, &'static str)>,
    connection: Connection,
}

impl Worker {
    pub(crate) fn start(variables: &[(&'static str, &'static str)]) -> Self {
        Self::start_as(config(), variables)
    }

    /// The same with the wire protocol.
    pub(crate) fn start_with_wire(variables: &[(&'static str, &'static str)]) -> Self {
        Self::start_as(config_with_wire(), variables)
    }

    /// With another configuration of workerd.
    pub(crate) fn start_as(config: PathBuf, variables: &[(&'static str, &'static str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let variables = counting(variables);
        let server = serve(&config, &data, &variables);
        Self {
            connection: Connection::open(server.address()).unwrap(),
            config,
            data,
            server,
            variables,
        }
    }

    /// It has other variables when it is started the next time.
    pub(crate) fn vary(&mut self, variables: &[(&'static str, &'static str)]) {
        self.variables = counting(variables);
    }

    /// Kills it, and starts it again with the same data.
    pub(crate) fn kill_and_restart(self) -> Self {
        let ended = self.server.kill();
        assert!(ended.was_killed_by(nix::sys::signal::Signal::SIGKILL));
        let server = serve(&self.config, &self.data, &self.variables);
        Self {
            connection: Connection::open(server.address()).unwrap(),
            server,
            ..self
        }
    }

    /// One more connection to it.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.server.address()).unwrap()
    }

    pub(crate) fn call(&mut self, method: &'static str, target: &str, body: &[u8]) -> Response {
        let request = Request::new(method, target).with_body(body);
        self.connection
            .call(&request)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}\n{}", self.server.logs()))
    }

    pub(crate) fn expect(
        &mut self,
        status: u16,
        method: &'static str,
        target: &str,
        body: &[u8],
    ) -> Value {
        let response = self.call(method, target, body);
        assert_eq!(
            response.status,
            status,
            "{method} {target}: {}\n{}",
            response.text(),
            self.server.logs()
        );
        response.json()
    }

    /// Changes what an object has stored while nothing runs, and starts the Worker again.
    pub(crate) fn restart_with(mut self, class: &str, change: impl Fn(&Database)) -> Self {
        let ended = self.server.kill();
        assert!(ended.was_killed_by(nix::sys::signal::Signal::SIGKILL));
        for path in databases(self.data.path(), class) {
            change(&Database::open(path).unwrap());
        }
        self.server = serve(&self.config, &self.data, &self.variables);
        self.connection = Connection::open(self.server.address()).unwrap();
        self
    }

    /// A count of what the Worker has spent, or of what it does.
    pub(crate) fn counter(&mut self, name: &str) -> u64 {
        self.expect(200, "GET", "/counters", b"")[name]
            .as_u64()
            .unwrap()
    }
}

fn counting(variables: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let counters = ("COUNTERS", "true");
    [variables, &[counters]].concat()
}

fn serve(config: &Path, data: &TempDir, variables: &[(&'static str, &'static str)]) -> Server {
    let mut launch = launch_as(config, data.path());
    for (name, value) in variables {
        launch = launch.variable(name, value);
    }
    launch.start().unwrap()
}

/// The databases of the objects of a class, such as `burrow-queue`.
pub(crate) fn databases(data: &Path, class: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(data.join(class)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "sqlite")
            && path.file_stem().is_some_and(|stem| stem != "metadata")
    });
    paths
}

/// Reads a database that workerd has open. Whoever opens it beside workerd makes it fail, as it wants the file for
/// itself when it takes it away: so this reads a copy, and fails when the copy was torn. What is written ahead is
/// copied first, as it can be in the database by then.
pub(crate) fn read<T>(
    path: &Path,
    look: impl FnOnce(&Database) -> rusqlite::Result<T>,
) -> Result<T, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.sqlite");
    let ahead = path.with_extension("sqlite-wal");
    if ahead.exists() {
        fs::copy(ahead, copy.with_extension("sqlite-wal"))?;
    }
    fs::copy(path, &copy)?;
    Ok(look(&Database::open(copy)?)?)
}

/// The rows of a query for one column, read as `read` does.
pub(crate) fn column<T: FromSql>(path: &Path, query: &str) -> Result<Vec<T>, Box<dyn Error>> {
    read(path, |database| {
        let mut query = database.prepare(query)?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.collect()
    })
}

/// Looks until something is so.
pub(crate) fn until(worker: &mut Worker, mut is_so: impl FnMut(&mut Worker) -> bool) {
    let mut looks = 0..LOOKS;
    while !is_so(worker) {
        let logs = worker.server.logs();
        assert!(looks.next().is_some(), "it does not come about\n{logs}");
        std::thread::sleep(LOOK);
    }
}

/// A batch of messages without ids.
pub(crate) fn batch(messages: usize, body: &str) -> Vec<u8> {
    let messages: Vec<Value> = (0..messages)
        .map(|_| serde_json::json!({ "body": body }))
        .collect();
    serde_json::to_vec(&messages).unwrap()
}

/// A configuration in which a script stands between the Worker and the runtime.
pub(crate) fn behind_script(folder: &Path, script: &str) -> PathBuf {
    let own = config();
    let build = folder.join("build");
    fs::create_dir(&build).unwrap();
    for name in ["index.js", "index_bg.wasm"] {
        fs::copy(own.with_file_name("build").join(name), build.join(name)).unwrap();
    }
    fs::write(folder.join("between.js"), script).unwrap();
    let text = fs::read_to_string(&own).unwrap();
    let modules = "modules = [";
    assert!(text.contains(modules));
    let with_it = format!("{modules}(name = \"between.js\", esModule = embed \"between.js\"),");
    let changed = folder.join("workerd.capnp");
    fs::write(&changed, text.replace(modules, &with_it)).unwrap();
    changed
}
